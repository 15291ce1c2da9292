"""What a condition's text mentions, and where: the CEL library says neither.

`read_source` takes a text the library has parsed and finds its field paths, calls and loops with their
positions, so that a check can point at the place. It also bounds the shape: the library limits no cost.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from switchboard.kernel.errors import Problem

LONGEST_TEXT = 2_000
DEEPEST_NESTING = 10
MOST_MENTIONS = 50
MOST_CALLS = 50
MOST_LOOPS = 4
MOST_MENTIONS_IN_LOOPS = 4
MOST_CALLS_IN_LOOPS = 8
MOST_PATTERNS = 2
LONGEST_PATTERN = 100

LOOPS = frozenset({"exists", "all", "exists_one", "filter"})
CONSTANTS = frozenset({"true", "false", "null"})
_OPENING = {"(": ")", "[": "]"}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^\\'\n])*'|"(?:\\.|[^\\"\n])*"))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\d+|\.\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:,.()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of the text; `start` and `end` are offsets, `partner` is the index of a bracket's other half."""

    kind: str
    text: str
    start: int
    end: int
    depth: int
    partner: int = -1


@dataclass(frozen=True, slots=True)
class Mention:
    """A field path as written, with the key of `path['key']`; `first` and `last` are token indexes."""

    path: str
    key: str | None
    first: int
    last: int
    is_in_has: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or method by name; the indexes are of the tokens of its name and of its two brackets."""

    name: str
    first: int
    opening: int
    closing: int
    variable: str | None

    def encloses(self, index: int) -> bool:
        """Whether the token stands between the brackets."""
        return self.opening < index < self.closing


class SourceError(Exception):
    """The text holds something conditions do not offer, at `offset`."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


@dataclass(frozen=True, slots=True)
class Source:
    """A condition's text with everything a check wants to point at."""

    text: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    calls: tuple[Call, ...]

    def problem(self, offset: int, message: str) -> Problem:
        """A problem at a character of the text, as line and column."""
        return problem_at(self.text, offset, message)

    def operands(self) -> Iterator[tuple[int, int, bool]]:
        """Each part between `&&`, `||`, `?`, `:` and `,` as (start, end, must be yes or no).

        CEL forgives an error in one half of `a || b` when the other decides; a check must look at each half.
        The innermost come first, so that the first failure is the smallest part that fails.
        """
        for opening, closing in reversed(list(self._groups())):
            yield from self._operands_between(opening, closing)

    def loops(self) -> list[Call]:
        """The calls that run their body once for each item."""
        return [call for call in self.calls if call.name in LOOPS]

    def is_in_loop(self, index: int) -> bool:
        """Whether the token is inside the brackets of a loop."""
        return any(loop.encloses(index) for loop in self.loops())

    def _groups(self) -> Iterator[tuple[int, int]]:
        yield -1, len(self.tokens)
        for index, token in enumerate(self.tokens):
            if token.text in _OPENING and token.kind == "sign":
                yield index, token.partner

    def _operands_between(self, opening: int, closing: int) -> Iterator[tuple[int, int, bool]]:
        depth = self.tokens[opening].depth + 1 if opening >= 0 else 0
        marks = [opening]
        for index in range(opening + 1, closing):
            token = self.tokens[index]
            if token.depth == depth and token.kind == "sign" and token.text in {"&&", "||", "?", ":", ","}:
                marks.append(index)
        marks.append(closing)
        for left, right in pairwise(marks):
            if right - left > 1 and len(marks) > 2:
                is_logical = self._joins(left, {"&&", "||"}) or self._joins(right, {"&&", "||", "?"})
                yield self.tokens[left + 1].start, self.tokens[right - 1].end, is_logical

    def _joins(self, index: int, signs: set[str]) -> bool:
        return 0 <= index < len(self.tokens) and self.tokens[index].text in signs


def read_source(text: str) -> Source:
    """Take apart a text that parses; raises SourceError for CEL that conditions do not offer."""
    tokens = tuple(_pair_brackets(_scan(text)))
    calls, paths = _names(tokens)
    mentions = tuple(path for path in paths if not _is_loop_variable(path, calls))
    return Source(text, tokens, mentions, calls)


def problem_at(text: str, offset: int, message: str) -> Problem:
    """A problem with line and column, counted from 1, of a character of `text`."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    line = bisect_right(starts, offset)
    return Problem("", message, line, offset - starts[line - 1] + 1)


def shape_problems(source: Source) -> list[Problem]:
    """What makes the text too costly to run for every lead."""
    mentions = [mention.first for mention in source.mentions]
    calls = [call.first for call in source.calls]
    return [
        *_too_deep(source),
        *too_many(source, mentions, MOST_MENTIONS, "fields"),
        *too_many(source, calls, MOST_CALLS, "functions"),
        *too_many(source, list(filter(source.is_in_loop, mentions)), MOST_MENTIONS_IN_LOOPS, "fields in loops"),
        *too_many(source, list(filter(source.is_in_loop, calls)), MOST_CALLS_IN_LOOPS, "functions in loops"),
        *too_many(source, [call.first for call in source.loops()], MOST_LOOPS, "loops"),
        *_nested_loops(source),
        *_pattern_problems(source),
    ]


def _scan(text: str) -> Iterator[Token]:
    position = depth = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match["sign"] in {"{", "}"}:
            raise SourceError(position, f"A condition has no use for {text[position]!r} here; remove it.")
        depth -= match["sign"] in {")", "]"}
        if match["space"] is None:
            yield Token(str(match.lastgroup), match[0], position, match.end(), depth)
        depth += match["sign"] in _OPENING
        position = match.end()


def _pair_brackets(tokens: Iterator[Token]) -> list[Token]:
    paired: list[Token] = []
    opened: list[int] = []
    for index, token in enumerate(tokens):
        paired.append(token)
        if token.kind == "sign" and token.text in _OPENING:
            opened.append(index)
        elif token.kind == "sign" and token.text in _OPENING.values():
            opening = opened.pop()
            first = paired[opening]
            paired[opening] = Token(first.kind, first.text, first.start, first.end, first.depth, index)
    return paired


def _names(tokens: tuple[Token, ...]) -> tuple[tuple[Call, ...], tuple[Mention, ...]]:
    calls: list[Call] = []
    paths: list[Mention] = []
    for index, token in enumerate(tokens):
        if token.kind != "name" or token.text in {*CONSTANTS, "in"}:
            continue
        if _text(tokens, index + 1) == "(":
            calls.append(_read_call(tokens, index))
        elif _text(tokens, index - 1) != ".":
            paths.append(_read_path(tokens, index))
        elif not _is_inside_path(tokens, index):
            raise SourceError(token.start, f"Nothing here has a part called {token.text!r}; name a field in full.")
    return tuple(calls), tuple(paths)


def _read_path(tokens: tuple[Token, ...], first: int) -> Mention:
    last = first
    while _text(tokens, last + 1) == "." and _kind(tokens, last + 2) == "name" and _text(tokens, last + 3) != "(":
        last += 2
    path = "".join(token.text for token in tokens[first : last + 1])
    is_in_has = _text(tokens, first - 1) == "(" and _text(tokens, first - 2) == "has"
    key = _read_key(tokens, last + 1)
    return Mention(path, key, first, last if key is None else last + 3, is_in_has)


def _read_key(tokens: tuple[Token, ...], opening: int) -> str | None:
    if _text(tokens, opening) != "[" or _text(tokens, opening + 2) != "]":
        return None
    literal = tokens[opening + 1]
    is_plain = literal.kind == "string" and literal.text[0] in "'\"" and "\\" not in literal.text
    return literal.text.strip(literal.text[0]) if is_plain else None


def _read_call(tokens: tuple[Token, ...], first: int) -> Call:
    opening = first + 1
    name = tokens[first].text
    is_loop = name in LOOPS and _kind(tokens, opening + 1) == "name"
    variable = tokens[opening + 1].text if is_loop else None
    return Call(name, first, opening, tokens[opening].partner, variable)


def _is_inside_path(tokens: tuple[Token, ...], index: int) -> bool:
    while _text(tokens, index - 1) == "." and _kind(tokens, index - 2) == "name":
        index -= 2
    return _text(tokens, index - 1) != "."


def _is_loop_variable(path: Mention, calls: tuple[Call, ...]) -> bool:
    root = path.path.split(".")[0]
    return any(call.variable == root and call.encloses(path.first) for call in calls)


def _too_deep(source: Source) -> list[Problem]:
    for token in source.tokens:
        if token.depth > DEEPEST_NESTING:
            message = f"Brackets nest deeper than {DEEPEST_NESTING}; split this into two conditions."
            return [source.problem(token.start, message)]
    return []


def too_many(source: Source, indexes: list[int], most: int, what: str) -> list[Problem]:
    """A problem at the first token over the limit, or none."""
    if len(indexes) <= most:
        return []
    message = f"A condition may mention at most {most} {what}; split this into two conditions."
    return [source.problem(source.tokens[indexes[most]].start, message)]


def _nested_loops(source: Source) -> list[Problem]:
    message = "A loop inside a loop costs too much; compare with `in` or write two conditions."
    nested = [call for call in source.loops() if source.is_in_loop(call.first)]
    return [source.problem(source.tokens[call.first].start, message) for call in nested]


def _pattern_problems(source: Source) -> Iterator[Problem]:
    matches = [call for call in source.calls if call.name == "matches"]
    yield from too_many(source, [call.first for call in matches], MOST_PATTERNS, "patterns")
    for call in matches:
        pattern = source.tokens[call.closing - 1]
        start = source.tokens[call.first].start
        if source.is_in_loop(call.first):
            yield source.problem(start, "A pattern inside a loop costs too much; use contains() or startsWith().")
        if pattern.kind != "string" or call.closing - call.opening not in {2, 4}:
            yield source.problem(start, "The pattern of matches() must be written out in quotes.")
        elif len(pattern.text) > LONGEST_PATTERN or "{" in pattern.text:
            message = f"A pattern may have {LONGEST_PATTERN} characters and no counts in braces; simplify it."
            yield source.problem(pattern.start, message)


def _text(tokens: tuple[Token, ...], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def _kind(tokens: tuple[Token, ...], index: int) -> str:
    return tokens[index].kind if 0 <= index < len(tokens) else ""
