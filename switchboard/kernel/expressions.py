"""Conditions in rules and flows: CEL over named, typed fields, refused when saved rather than when run.

    expression = compile_expression("lead.value > 1000 && has(contact.phone)", FIELDS)
    expression.evaluate({"now": now, "lead": {"value": 2500}, "contact": {"phone": "+49301234"}})

A field without a value reads as "", 0, false or an empty list; `has(field)` tells whether there is one. A
moment that never came is null, and a comparison with it does not hold. `now` is always a field.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import cel
from rapidfuzz import fuzz, process

from switchboard.kernel.errors import InvalidError, Problem, SwitchboardError
from switchboard.kernel.expression_source import (
    CONSTANTS,
    LONGEST_TEXT,
    LOOPS,
    Mention,
    Source,
    SourceError,
    problem_at,
    read_source,
    shape_problems,
    too_many,
)

MOST_ITEMS = 100
MOST_LISTS = 6
LONGEST_STRING = 10_000
FUNCTIONS = frozenset(
    {
        *LOOPS, "has", "size", "contains", "startsWith", "endsWith", "matches", "lower", "upper", "trim",
        "int", "double", "string", "timestamp", "duration", "getFullYear", "getMonth", "getDate",
        "getDayOfWeek", "getHours", "getMinutes",
    }
)  # fmt: skip
_KNOWN = "_known"
_ABSENT = object()
_PARSE_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.+)")
_CONVERSIONS = re.compile(r"Function '(int|double|timestamp|duration)' error")
_FAULTS = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError)


class FieldType(StrEnum):
    """What a field holds; STRING_MAP has free keys, as in `contact.fields.plan`."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    STRING_LIST = "list[string]"
    STRING_MAP = "map"

    @property
    def words(self) -> str:
        """The type as a person says it, with its article."""
        return _WORDS[self]


_WORDS: Mapping[FieldType, str] = {
    FieldType.STRING: "a text",
    FieldType.INT: "a whole number",
    FieldType.FLOAT: "a number",
    FieldType.BOOL: "a yes or no",
    FieldType.TIMESTAMP: "a moment in time",
    FieldType.STRING_LIST: "a list of texts",
    FieldType.STRING_MAP: "a map of texts",
}


Fields = Mapping[str, FieldType]
Facts = Mapping[str, object]
Readings = Mapping["Reference", "Reading"]
Value = str | int | float | bool | datetime | list[str] | dict[str, str] | None

_SAMPLES: Mapping[FieldType, Value] = {
    FieldType.STRING: "sample",
    FieldType.INT: 1,
    FieldType.FLOAT: 1.5,
    FieldType.BOOL: True,
    FieldType.TIMESTAMP: datetime(2026, 1, 1, tzinfo=UTC),
    FieldType.STRING_LIST: ["sample"],
    FieldType.STRING_MAP: {"sample": "sample"},
}
_LITERAL_TYPES = {
    "string": {FieldType.STRING},
    "number": {FieldType.INT, FieldType.FLOAT},
    "name": {FieldType.BOOL},
}


class Reading(NamedTuple):
    """A field's value as conditions see it, and whether the facts hold one at all."""

    value: Value
    is_known: bool = True


class ExpressionError(SwitchboardError):
    """A condition that was fine when saved cannot be decided for these facts."""

    code = "expression_failed"
    status = 422


@dataclass(frozen=True, slots=True)
class Reference:
    """One field a condition reads: its declared name, its type and, in a map, the key."""

    name: str
    type: FieldType
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition, safe to run for every lead."""

    text: str
    references: tuple[Reference, ...]
    program: cel.Program

    def evaluate(self, facts: Facts) -> bool:
        """Whether the condition holds for facts nested as the field names are; raises ExpressionError."""
        readings = {reference: _read(facts, reference) for reference in self.references}
        try:
            result = self.program.execute(_context(readings))
        except _FAULTS as fault:
            if any(reading.value is None for reading in readings.values()):
                return False
            raise ExpressionError(f"The condition {self.text!r} cannot be decided: {fault}") from fault
        if isinstance(result, bool):
            return result
        raise ExpressionError(f"The condition {self.text!r} gives {result!r}; it must give yes or no.")


def compile_expression(text: str, fields: Fields) -> Expression:
    """Check `text` against `fields` (dotted name to type); raises InvalidError with every problem and its place."""
    return _compile(text, tuple(sorted(fields.items())))


@lru_cache(maxsize=2_048)
def _compile(text: str, fields: tuple[tuple[str, FieldType], ...]) -> Expression:
    known = {"now": FieldType.TIMESTAMP, **dict(fields)}
    source = read_condition(text)
    references: dict[Mention, Reference] = {}
    problems = [*shape_problems(source), *_unknown_calls(source), *_shadowing_loops(source, known)]
    for mention in source.mentions:
        found = _resolve(source, mention, known)
        if isinstance(found, Reference):
            references[mention] = found
        else:
            problems.append(found)
    problems += _list_problems(source, references)
    problems += _comparison_problems(source, references)
    if not problems:
        problems += _type_problems(source, references)
    if problems:
        raise InvalidError(problems[0].message, problems=problems)
    return Expression(text, tuple(dict.fromkeys(references.values())), cel.compile(_with_known(source)))


def read_condition(text: str) -> Source:
    """A condition's words, where the text is CEL within our bounds of length; raises InvalidError with the place."""
    if not text.strip():
        raise _refused(Problem("", "The condition is empty; write one, such as lead.value > 1000.", 1, 1))
    if len(text) > LONGEST_TEXT:
        raise _refused(problem_at(text, LONGEST_TEXT, f"A condition may have {LONGEST_TEXT:,} characters; shorten it."))
    try:
        cel.compile(text)
        return read_source(text)
    except SourceError as error:
        raise _refused(problem_at(text, error.offset, error.message)) from None
    except ValueError as error:
        raise _refused(_parse_problem(text, str(error))) from None


def _parse_problem(text: str, report: str) -> Problem:
    is_assignment = re.search(r"(?<![=!<>])=(?!=)", text)
    hint = " Compare with `==`; a single `=` means nothing here." if is_assignment else ""
    match = _PARSE_ERROR.search(report)
    if match is None:
        return Problem("", "This is not a condition; write one such as lead.value > 1000." + hint, 1, 1)
    message = match[3].split(" expecting ")[0].replace("'<EOF>'", "the end")
    return Problem(
        "", f"The condition cannot be read here: {message}.{hint}", max(int(match[1]), 1), max(int(match[2]), 1)
    )


def _unknown_calls(source: Source) -> Iterator[Problem]:
    for call in source.calls:
        if call.name not in FUNCTIONS:
            message = f"There is no function {call.name}()" + suggest_name(call.name, FUNCTIONS)
            yield source.problem(source.tokens[call.first].start, message)


def _shadowing_loops(source: Source, fields: Fields) -> Iterator[Problem]:
    roots = {name.split(".")[0] for name in fields}
    for call in source.calls:
        if call.variable in roots:
            message = f"{call.variable} already names a field; call the loop's variable something else."
            yield source.problem(source.tokens[call.opening + 1].start, message)


def _resolve(source: Source, mention: Mention, fields: Fields) -> Reference | Problem:
    path = mention.path
    if path in fields:
        return Reference(path, fields[path], mention.key)
    parent, _dot, key = path.rpartition(".")
    if fields.get(parent) is FieldType.STRING_MAP and mention.key is None:
        return Reference(parent, FieldType.STRING_MAP, key)
    start = source.tokens[mention.first].start
    inside = [name for name in fields if name.startswith(f"{path}.")]
    if inside:
        return source.problem(start, f"{path} is a group of fields; name one of them, such as {inside[0]}.")
    return source.problem(start, f"There is no field {path}" + suggest_name(path, fields))


def suggest_name(name: str, names: Collection[str]) -> str:
    """What may have been meant by a name there is none of, as the end of a sentence."""
    best = process.extractOne(name, sorted(names), scorer=fuzz.ratio, score_cutoff=60)
    return f"; did you mean {best[0]}?" if best else f"; there is {', '.join(sorted(names)[:12])}."


def _list_problems(source: Source, references: Mapping[Mention, Reference]) -> list[Problem]:
    # Each of a joined list's items may meet each of another's, so their number is bounded as well as their length.
    many = {FieldType.STRING_LIST, FieldType.STRING_MAP}
    lists = [mention.first for mention, reference in references.items() if _held(reference) in many]
    return too_many(source, lists, MOST_LISTS, "lists")


def _comparison_problems(source: Source, references: Mapping[Mention, Reference]) -> Iterator[Problem]:
    # CEL answers no, not an error, when a number is compared with a text, so this is looked for by itself.
    for mention, reference in references.items():
        for sign, other in ((mention.last + 1, mention.last + 2), (mention.first - 1, mention.first - 2)):
            if not (0 <= other < len(source.tokens)) or source.tokens[sign].text not in {"==", "!="}:
                continue
            literal = source.tokens[other]
            accepted = _LITERAL_TYPES.get(literal.kind, set()) if literal.text != "null" else set()
            if literal.kind == "name" and literal.text not in CONSTANTS:
                continue
            held = _held(reference)
            if accepted and held not in accepted:
                message = f"{mention.path} is {held.words}, which {literal.text} never equals."
                yield source.problem(literal.start, message)


def _type_problems(source: Source, references: Mapping[Mention, Reference]) -> list[Problem]:
    samples = {reference: Reading(_sample(reference)) for reference in references.values()}
    for start, end, is_logical in source.operands():
        if problem := _trial(source, start, end, samples, is_logical=is_logical):
            return [problem]
    first, last = source.tokens[0].start, source.tokens[-1].end
    problem = _trial(source, first, last, samples, is_logical=True)
    return [problem] if problem else []


def _trial(source: Source, start: int, end: int, samples: Readings, *, is_logical: bool) -> Problem | None:
    part = source.text[start:end]
    misused: list[str] = []
    context = _context(samples, misused)
    for variable in {call.variable for call in source.calls if call.variable}:
        context.add_variable(variable, "sample")
    try:
        result = cel.compile(part).execute(context)
    except _FAULTS as fault:
        if samples and _depends_on_value(fault):
            return None
        return source.problem(start, f"{part} does not work: {_explain(fault, samples)}")
    if misused:
        return source.problem(start, f"{part} does not work: {misused[0]}() takes one text.")
    if is_logical and not isinstance(result, bool):
        return source.problem(start, f"{part} is not a question with yes or no; compare it with something.")
    return None


def _depends_on_value(fault: Exception) -> bool:
    # A number in a text, an item of a list or a division may be fine for real facts though not for the sample.
    return isinstance(fault, LookupError | ArithmeticError) or _CONVERSIONS.match(str(fault)) is not None


def _explain(fault: Exception, samples: Readings) -> str:
    kinds = ", ".join(f"{reference.name} is {_held(reference).words}" for reference in samples)
    if isinstance(fault, TypeError) or str(fault).startswith("Undefined"):
        return f"the kinds of value do not fit together{f' ({kinds})' if kinds else ''}."
    if str(fault).startswith("Function 'duration'"):
        return "a duration is written like duration('48h') or duration('30m')."
    return " ".join(str(fault).removesuffix(" Check function arguments and their types.").split())


def _held(reference: Reference) -> FieldType:
    return reference.type if reference.key is None else FieldType.STRING


def _sample(reference: Reference) -> Value:
    return {reference.key: "sample"} if reference.key is not None else _SAMPLES[reference.type]


def _with_known(source: Source) -> str:
    # CEL's has() only asks whether a key is there, and defaults put every key there, so it asks a second tree.
    text = source.text
    for mention in reversed(source.mentions):
        if mention.is_in_has:
            start = source.tokens[mention.first].start
            text = f"{text[:start]}{_KNOWN}.{text[start:]}"
    return text


def _read(facts: Facts, reference: Reference) -> Reading:
    found: object = facts
    for part in reference.name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    try:
        if reference.type is FieldType.STRING_MAP:
            return Reading(_entries(found, reference))
        return Reading(_CONVERTERS[reference.type](found), found is not None and found not in ("", []))
    except (TypeError, ValueError) as fault:
        message = f"{reference.name} should be {reference.type.words} but holds something else: {fault}."
        raise ExpressionError(message) from fault


def _integer(found: object) -> int:
    return int(str(found)) if found is not None else 0


def _float(found: object) -> float:
    return float(str(found)) if found is not None else 0.0


def _text(found: object) -> str:
    return str(found)[:LONGEST_STRING] if found is not None else ""


def _moment(found: object) -> datetime | None:
    if found is None or (isinstance(found, datetime) and found.tzinfo is not None):
        return found
    raise TypeError("not a moment with a zone")


def _items(found: object) -> list[str]:
    if found is None:
        return []
    if not isinstance(found, list | tuple | set | frozenset):
        raise TypeError("not a list")
    if len(found) > MOST_ITEMS:
        raise ValueError(f"more than {MOST_ITEMS} items")
    return [_text(item) for item in found]


_CONVERTERS: Mapping[FieldType, Callable[[object], Value]] = {
    FieldType.STRING: _text,
    FieldType.INT: _integer,
    FieldType.FLOAT: _float,
    FieldType.BOOL: bool,
    FieldType.TIMESTAMP: _moment,
    FieldType.STRING_LIST: _items,
}


def _entries(found: object, reference: Reference) -> dict[str, str]:
    if found is not None and not isinstance(found, Mapping):
        raise TypeError("not a map")
    entries = found or {}
    if reference.key is not None:
        return {reference.key: _text(entries.get(reference.key))}
    if len(entries) > MOST_ITEMS:
        raise ValueError(f"more than {MOST_ITEMS} entries")
    return {str(key): _text(value) for key, value in entries.items()}


def _context(readings: Readings, misused: list[str] | None = None) -> cel.Context:
    tree: dict[str, object] = {}
    for reference, (value, is_known) in readings.items():
        path = reference.name.split(".")
        _plant(tree, path, value)
        if isinstance(value, dict):
            _plant(tree, [_KNOWN, *path], {key: entry for key, entry in value.items() if entry})
        else:
            _plant(tree, [_KNOWN, *path], value if is_known else _ABSENT)
    return cel.Context(tree, _text_functions([] if misused is None else misused))


def _plant(tree: dict[str, object], path: list[str], value: object) -> None:
    branch = tree
    for part in path[:-1]:
        step = branch.setdefault(part, {})
        if not isinstance(step, dict):
            raise TypeError(f"{'.'.join(path)}: {part} is declared both as a field and as a group")
        branch = step
    present = branch.get(path[-1])
    if isinstance(present, dict) and isinstance(value, dict):
        present.update(value)
    elif value is not _ABSENT:
        branch[path[-1]] = value


def _text_functions(misused: list[str]) -> dict[str, Callable[..., str]]:
    # The library logs a function that raises as an error of ours, so a wrong argument is noted instead.
    def total(name: str, change: Callable[[str], str]) -> Callable[..., str]:
        def apply(*arguments: object) -> str:
            if len(arguments) == 1 and isinstance(arguments[0], str):
                return change(arguments[0])
            misused.append(name)
            return ""

        return apply

    changes: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "trim": str.strip}
    return {name: total(name, change) for name, change in changes.items()}


def _refused(problem: Problem) -> InvalidError:
    return InvalidError(problem.message, problems=[problem])
