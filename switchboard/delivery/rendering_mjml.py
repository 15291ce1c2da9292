"""MJML with Liquid in it, made into the HTML of a mail once per version of a template.

Neither the MJML compiler nor the CSS inliner knows Liquid: both would drop, move or escape its tags. Every
tag is therefore masked by a mark that both keep, and put back at the end.
"""

import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass
from html.parser import HTMLParser

from switchboard.delivery.rendering_liquid import TemplateError
from switchboard.kernel.errors import Problem

MAX_BODY_LENGTH = 200_000
MAX_LIQUID_LENGTH = 20_000
MAX_NESTING = 100

_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_MARKUP = re.compile(r"<!--|-->|</?mj-(?:title|preview|style)\b|<|>", re.IGNORECASE)
_POSITION = re.compile(r"at position (\d+):(\d+)")
# A comment, or a whole tag with its name, its attributes (where a > may stand between quotation marks) and its end.
_ELEMENT = re.compile(
    r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<(/?)([a-z][^\s/>"']*+)(?:"[^"]*+"|'[^']*+'|[^"'>/]|(/(?=>))|/)*+>""",
    re.DOTALL | re.IGNORECASE,
)

# Components that hold other components; text directly inside one of them would be dropped without a word.
_CONTAINERS = frozenset(
    {
        "mjml",
        "mj-head",
        "mj-body",
        "mj-section",
        "mj-wrapper",
        "mj-group",
        "mj-column",
        "mj-hero",
        "mj-attributes",
        "mj-navbar",
        "mj-social",
        "mj-accordion",
        "mj-carousel",
    }
)
_LEAVES = frozenset(
    {
        "mj-text",
        "mj-button",
        "mj-image",
        "mj-divider",
        "mj-spacer",
        "mj-table",
        "mj-raw",
        "mj-title",
        "mj-preview",
        "mj-style",
        "mj-font",
        "mj-breakpoint",
        "mj-all",
        "mj-class",
        "mj-navbar-link",
        "mj-social-element",
        "mj-accordion-element",
        "mj-accordion-title",
        "mj-accordion-text",
        "mj-carousel-image",
        "mj-html-attributes",
        "mj-selector",
        "mj-html-attribute",
    }
)
_VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "source", "wbr"})
_COMPONENTS = _CONTAINERS | _LEAVES
_REFUSED = {
    "mj-include": "Files cannot be included: paste the part here.",
    "script": "Scripts do not run in mail: take the script out.",
    "link": "Style sheets cannot be linked in mail: put the rules into <mj-style>.",
    "iframe": "Frames are not shown in mail: take the frame out.",
    "form": "Forms do not work in mail: link to a page instead.",
}

_HEAD = (
    "<mj-head><mj-attributes>"
    '<mj-all font-family="-apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif" />'
    '<mj-text font-size="15px" line-height="1.5" color="#1c2024" />'
    "</mj-attributes></mj-head>"
)
_WRAPPED = (f"<mjml>{_HEAD}<mj-body>", "</mj-body></mjml>")
_WRAPPED_TEXT = (
    f"<mjml>{_HEAD}<mj-body><mj-section><mj-column><mj-text>",
    "</mj-text></mj-column></mj-section></mj-body></mjml>",
)


@dataclass(frozen=True, slots=True)
class MaskedBody:
    """A body whose Liquid tags are replaced by marks.

    `text` is a whole MJML document; `tags` maps each mark's name to the Liquid it stands for; `starts` and
    `origins` are ascending offsets of `text` and of what was written, pair by pair.
    """

    source: str
    text: str
    tags: dict[str, str]
    starts: tuple[int, ...]
    origins: tuple[int, ...]

    def restore(self, text: str) -> str:
        """Put the Liquid back wherever a mark survived, as a comment, escaped or bare."""
        marks = "|".join(map(re.escape, self.tags))
        if not marks:
            return text
        pattern = re.compile(rf"<!--({marks})-->|&lt;!--({marks})--&gt;|({marks})")
        return pattern.sub(lambda found: self.tags[next(filter(None, found.groups()))], text)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, in what the user wrote, for an offset of `text`."""
        piece = max(bisect_right(self.starts, offset) - 1, 0)
        origin = self.origins[piece] + offset - self.starts[piece]
        limit = self.origins[piece + 1] if piece + 1 < len(self.origins) else len(self.source)
        before = self.source[: max(min(origin, limit), 0)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def compile_markup(body: MaskedBody) -> str:
    """The HTML document of a masked body, styles inlined, marks still in it; raises `TemplateError`."""
    _require_shallow(body)
    # Only processes that render pay for loading the two compilers.
    import css_inline  # noqa: PLC0415
    import mjml  # noqa: PLC0415

    try:
        html = mjml.mjml2html(body.text, fonts={})
        inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, keep_at_rules=True)
        return inliner.inline(html)
    except ValueError as error:
        problem = _problem_of(error, body)
        raise TemplateError("The template's MJML cannot be read.", problems=[problem]) from error
    except BaseException as error:
        # The compiler is Rust. Where it fails outright, as over a lone > behind a letter beyond ASCII, it raises what
        # is no Exception, cannot be imported by name, and would end the process that sends.
        if type(error).__name__ != "PanicException":
            raise
        problem = Problem("body", "MJML: the compiler gave up. Where the text has a lone >, write &gt; instead.")
        raise TemplateError("The template's MJML cannot be read.", problems=[problem]) from error


def check_markup(body: MaskedBody) -> list[Problem]:
    """What is wrong with the MJML of a body, each with its place; empty when it compiles."""
    try:
        _require_shallow(body)
    except TemplateError as error:
        return list(error.problems)
    reader = _MarkupReader(body)
    reader.feed(body.text)
    reader.close()
    problems = reader.finish()
    if problems:
        return problems
    try:
        compile_markup(body)
    except TemplateError as error:
        return list(error.problems)
    return []


def _require_shallow(body: MaskedBody) -> None:
    """Raise `TemplateError` for elements within elements beyond reason: the compiler's stack would end the process."""
    still_open: list[str] = []
    for found in _ELEMENT.finditer(body.text):
        end, name, closes_itself = found.groups()
        tag = (name or "").lower()
        if end:
            # Only an end that fits counts, so that no end hidden in a text makes it look less deep than it is.
            if still_open and still_open[-1] == tag:
                still_open.pop()
        elif tag and not closes_itself and tag not in _VOID:
            still_open.append(tag)
        if len(still_open) > MAX_NESTING:
            line, column = body.place(found.start())
            message = f"More than {MAX_NESTING} elements stand within each other here: take some of them out."
            raise TemplateError(
                "The template's MJML is nested too deep.", problems=[Problem("body", message, line=line, column=column)]
            )


def mask_liquid(body: str) -> MaskedBody:
    """Mask the Liquid of a body and make a whole MJML document of it.

    A body may be a document (`<mjml>`), some components, or just text and HTML.
    """
    prefix, suffix = _wrapping_of(body)
    salt = hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    position = _Position()
    pieces, tags, starts, origins = [prefix], {}, [0, len(prefix)], [0, 0]
    end, length = 0, len(prefix)
    for number, found in enumerate(_LIQUID.finditer(body)):
        literal, name = body[end : found.start()], f"lq{salt}n{number}z"
        mark = f"<!--{name}-->" if position.after(literal) else name
        pieces += [literal, mark]
        starts += [length + len(literal), length + len(literal) + len(mark)]
        origins += [found.start(), found.end()]
        tags[name], end, length = found.group(), found.end(), starts[-1]
    text = "".join([*pieces, body[end:], suffix])
    return MaskedBody(body, text, tags, tuple(starts), tuple(origins))


def _wrapping_of(body: str) -> tuple[str, str]:
    if re.search(r"<mjml\b", body, re.IGNORECASE):
        return "", ""
    return _WRAPPED if re.search(r"<mj-", body, re.IGNORECASE) else _WRAPPED_TEXT


class _Position:
    """Follows the markup up to a Liquid tag, to tell whether a comment may stand in its place."""

    def __init__(self) -> None:
        self._in_comment = self._in_tag = self._in_bare_text = False

    def after(self, literal: str) -> bool:
        """Read on; true when not in an attribute, a comment, or a component that holds bare text."""
        for found in _MARKUP.finditer(literal):
            self._read(found.group().lower())
        return not (self._in_comment or self._in_tag or self._in_bare_text)

    def _read(self, mark: str) -> None:
        if self._in_comment:
            self._in_comment = mark != "-->"
        elif mark == "<!--":
            self._in_comment = True
        else:
            self._in_tag = mark.startswith("<")
            if "mj-" in mark:
                self._in_bare_text = not mark.startswith("</")


def _problem_of(error: ValueError, body: MaskedBody) -> Problem:
    message = f"MJML: {str(error).replace(' in root template', '')}"
    found = _POSITION.search(message)
    if found is None:
        return Problem("body", message)
    # The compiler counts bytes, everything here counts characters.
    offset = len(body.text.encode()[: int(found.group(1))].decode(errors="ignore"))
    line, column = body.place(offset)
    return Problem("body", message[: found.start()].rstrip(), line=line, column=column)


class _MarkupReader(HTMLParser):
    """Finds what the MJML compiler would swallow or name without a place."""

    def __init__(self, body: MaskedBody) -> None:
        super().__init__(convert_charrefs=False)
        self._body = body
        self._open: list[tuple[str, int]] = []
        self._problems: list[Problem] = []
        self._lines = [0]
        for line in body.text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def finish(self) -> list[Problem]:
        """All problems found, in the order of the text."""
        for tag, offset in self._open:
            self._report(f"<{tag}> is never closed: add </{tag}>.", offset)
        return sorted(self._problems, key=lambda problem: (problem.line or 0, problem.column or 0))

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Open a component or a tag of HTML, which the compiler wants closed too."""
        self._check(tag)
        if tag not in _VOID:
            self._open.append((tag, self._offset()))

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """A component closed at once."""
        self._check(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the component opened last; anything else is out of order."""
        if not self._open or self._open[-1][0] != tag:
            inner = self._open[-1][0] if self._open else ""
            wanted = f"</{inner}> is missing before it" if inner else "nothing is open here"
            self._report(f"</{tag}> is out of place: {wanted}.", self._offset())
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Text where no text can stand."""
        if self.cdata_elem is not None:
            return
        if "<" in data:
            self._report("A bare < is read as markup: write &lt;.", self._offset() + data.index("<"))
        if data.strip() and self._open and self._open[-1][0] in _CONTAINERS:
            tag = self._open[-1][0]
            self._report(f"Text directly inside <{tag}> is not shown: put it into <mj-text>.", self._offset())

    def _check(self, tag: str) -> None:
        if tag in _REFUSED:
            self._report(_REFUSED[tag], self._offset())
        elif tag.startswith("mj") and tag not in _COMPONENTS:
            self._report(f"<{tag}> is not an MJML component{_suggest(tag)}", self._offset())

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._lines[min(line, len(self._lines)) - 1] + column

    def _report(self, message: str, offset: int) -> None:
        line, column = self._body.place(offset)
        self._problems.append(Problem("body", message, line=line, column=column))


def _suggest(tag: str) -> str:
    from rapidfuzz import process  # noqa: PLC0415 -- only wanted when something is wrong.

    best = process.extractOne(tag, sorted(_COMPONENTS), score_cutoff=60)
    return f": did you mean <{best[0]}>?" if best else "."
