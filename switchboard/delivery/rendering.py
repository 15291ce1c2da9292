"""Users' templates: Liquid over variables, MJML for the look, a text part made from the HTML.

A template is compiled once per content and kept; a message then only fills in what differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import msgspec
from liquid import BoundTemplate
from liquid.span import Span

from switchboard.delivery.rendering_liquid import (
    TemplateError,
    parse_markup,
    parse_plain,
    render_bounded,
)
from switchboard.delivery.rendering_mjml import (
    MAX_BODY_LENGTH,
    MAX_LIQUID_LENGTH,
    check_markup,
    compile_markup,
    mask_liquid,
)
from switchboard.delivery.rendering_skeleton import Cut, Fillable, Values
from switchboard.delivery.rendering_text import convert_to_text, tidy_text
from switchboard.kernel.errors import Problem

__all__ = ["Rendered", "Template", "TemplateError", "check_template", "find_nouns", "find_parts", "render_template"]

MAX_SUBJECT_LENGTH = 500
COMPILED_TEMPLATES_KEPT = 256

# Names that Liquid itself gives to lists, texts and loops.
_BUILT_IN_PROPERTIES = frozenset({"size", "first", "last"})


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a user's template: a Liquid subject, and a body of Liquid and MJML."""

    subject: str
    body: str


class Rendered(msgspec.Struct, frozen=True):
    """One message's content: a subject of one line, an HTML document and its text.

    `cut` is the same document as what the template's letters share and what is this one's own, where that is known.
    """

    subject: str
    html: str
    text: str
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class _Compiled:
    subject: Fillable
    html: Fillable
    text: Fillable


def render_template(template: Template, variables: Mapping[str, object]) -> Rendered:
    """Render one message; a variable that is missing is empty. Raises `TemplateError`."""
    compiled, values = _compile(template.subject, template.body), Values(variables)
    subject = _as_one_line(compiled.subject.render(variables, values, field="subject"))
    cut = compiled.html.cut(values)
    return Rendered(
        subject=subject,
        html=render_bounded(compiled.html.template, variables, field="body") if cut is None else cut.join(),
        text=tidy_text(compiled.text.render(variables, values, field="text")),
        cut=cut,
    )


@lru_cache(maxsize=COMPILED_TEMPLATES_KEPT)
def find_nouns(template: Template) -> frozenset[str]:
    """What a template speaks of, such as `contact` and `lead`; raises `TemplateError` when it cannot be read."""
    parts = (parse_plain(template.subject, field="subject"), parse_markup(template.body))
    return frozenset(chain.from_iterable(part.analyze(include_partials=False).globals for part in parts))


@lru_cache(maxsize=COMPILED_TEMPLATES_KEPT)
def find_parts(template: Template, noun: str) -> frozenset[str] | None:
    """What a template asks of a noun, such as `first_name` of `contact`; None where that may be anything.

    Raises `TemplateError` when it cannot be read.
    """
    parts = (parse_plain(template.subject, field="subject"), parse_markup(template.body))
    uses = [use for part in parts for use in part.analyze(include_partials=False).globals.get(noun, ())]
    named = [use.segments[1] for use in uses if len(use.segments) > 1 and isinstance(use.segments[1], str)]
    return frozenset(named) if len(named) == len(uses) else None


def check_template(subject: str, body: str, variables: Mapping[str, object]) -> list[Problem]:
    """Everything wrong with a template, before it is saved.

    `variables` is a nested mapping of sample values: what is not in it is unknown. An empty mapping inside
    it, such as a contact's own fields, takes any name.
    """
    problems = _check_sizes(subject, body)
    if problems:
        return problems
    problems = _check_liquid(subject, "subject", variables) + _check_liquid(body, "body", variables)
    if not subject.strip():
        problems.append(Problem("subject", "A mail needs a subject.", line=1, column=1))
    return problems + check_markup(mask_liquid(body))


@lru_cache(maxsize=COMPILED_TEMPLATES_KEPT)
def _compile(subject: str, body: str) -> _Compiled:
    sizes = _check_sizes(subject, body)
    if sizes:
        raise TemplateError("The template is too long.", problems=sizes)
    masked = mask_liquid(body)
    html = compile_markup(masked)
    text = convert_to_text(html, tags=masked.tags)
    return _Compiled(
        subject=Fillable.of(parse_plain(subject, field="subject")),
        html=Fillable.of(parse_markup(masked.restore(html))),
        text=Fillable.of(parse_plain(masked.restore(text))),
    )


def _as_one_line(subject: str) -> str:
    is_printable = subject.isprintable()
    printable = subject if is_printable else "".join(letter if letter.isprintable() else " " for letter in subject)
    return " ".join(printable.split())[:MAX_SUBJECT_LENGTH].rstrip()


def _check_sizes(subject: str, body: str) -> list[Problem]:
    liquid = sum(len(tag) for tag in mask_liquid(body).tags.values()) if len(body) <= MAX_BODY_LENGTH else 0
    sizes = (
        ("subject", "The subject", len(subject), 2 * MAX_SUBJECT_LENGTH),
        ("body", "The body", len(body), MAX_BODY_LENGTH),
        ("body", "The Liquid in the body", liquid, MAX_LIQUID_LENGTH),
    )
    return [
        Problem(field, f"{what} is {size} characters long: shorten it to {limit}.")
        for field, what, size, limit in sizes
        if size > limit
    ]


def _check_liquid(source: str, field: str, variables: Mapping[str, object]) -> list[Problem]:
    try:
        template = parse_markup(source, field=field, strict=True)
        unknown = list(_find_unknown(template, source, field, variables))
        if not unknown:
            render_bounded(template, _open_samples(variables), field=field)
    except TemplateError as error:
        return list(error.problems)
    return unknown


def _find_unknown(
    template: BoundTemplate, source: str, field: str, variables: Mapping[str, object]
) -> Iterator[Problem]:
    analysis = template.analyze(include_partials=False)
    for use in chain.from_iterable(analysis.globals.values()):
        if not _is_known(use.segments, variables):
            message = f"{use} is not a variable{_suggest(str(use), _paths_of(variables))}"
            yield _problem_at(use.span, source, field, message)
    for name in analysis.filters.keys() - template.env.filters.keys():
        message = f"{name} is not a filter{_suggest(name, template.env.filters)}"
        yield from (_problem_at(span, source, field, message) for span in analysis.filters[name])


def _problem_at(span: Span, source: str, field: str, message: str) -> Problem:
    line, column = span.line_col(source)
    return Problem(field, message, line=line, column=column + 1)


def _is_known(segments: Sequence[object], variables: object) -> bool:
    value = variables
    for segment in segments:
        if not isinstance(value, Mapping):
            return isinstance(value, list | tuple) or segment in _BUILT_IN_PROPERTIES
        if not value and value is not variables:
            return True
        if not isinstance(segment, str):
            return True
        if segment not in value:
            return segment in _BUILT_IN_PROPERTIES and value is not variables
        value = value[segment]
    return True


def _suggest(name: str, known: Iterable[str]) -> str:
    from rapidfuzz import process  # noqa: PLC0415 -- only wanted when something is wrong.

    best = process.extractOne(name, sorted(known), score_cutoff=60)
    return f": did you mean {best[0]}?" if best else "."


def _paths_of(variables: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in variables.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _paths_of(value, f"{prefix}{name}.")


class _AnyName(dict[str, object]):
    """A mapping whose every name is an empty text, standing in for fields that users name themselves."""

    def __missing__(self, name: str) -> object:
        return ""


def _open_samples(variables: Mapping[str, object]) -> dict[str, object]:
    return {
        name: (_open_samples(value) or _AnyName()) if isinstance(value, Mapping) else value
        for name, value in variables.items()
    }
