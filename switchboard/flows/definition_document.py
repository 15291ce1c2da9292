"""A YAML text as sections that know their line and column, so that every problem in it can be named at once.

Values are read as they are written: `on`, `no` and `10:00` are texts here, whatever YAML makes of them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Protocol

import yaml
from rapidfuzz import fuzz, process

from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.expressions import Fields, compile_expression
from switchboard.kernel.localtime import WEEKDAY_NAMES, parse_duration

LARGEST_BYTES = 256 * 1024
DEEPEST_NODE = 60
MOST_PROBLEMS = 100
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_TAGS = "Tags (!) are not read; put quotes around a text that begins with an exclamation mark."
_QUOTES = "A text with : # ! & * or brackets in it needs quotes around it."
_YES = frozenset({"yes", "true", "on"})
_NO = frozenset({"no", "false", "off"})


class _Mark(Protocol):
    """A place in the text, counted from 0; the C parser and the Python parser each have their own class."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The text and what is wrong with it so far."""

    text: str
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: str, message: str, node: yaml.Node) -> None:
        """Note a problem at the node's first character."""
        self.report_at(path, message, node.start_mark.line + 1, node.start_mark.column + 1)

    def report_at(self, path: str, message: str, line: int, column: int) -> None:
        """Note a problem at a place, counted from 1."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(path, message, line, column))

    def refuse(self) -> None:
        """Raise InvalidError with all problems in the order of the text, if there are any."""
        if self.problems:
            ordered = sorted(self.problems, key=lambda problem: (problem.line or 0, problem.column or 0))
            first = ordered[0]
            raise InvalidError(f"Line {first.line}: {first.message}", problems=ordered)


@dataclass(frozen=True, slots=True)
class Item:
    """One value with its place; each `as_` reader returns None after noting what is wrong."""

    document: Document
    path: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """The line the value begins on, counted from 1."""
        return int(self.node.start_mark.line) + 1

    @property
    def is_section(self) -> bool:
        """Whether this is a mapping of names to values."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_text(self) -> bool:
        """Whether this is a single value."""
        return isinstance(self.node, yaml.ScalarNode)

    def wrong(self, message: str) -> None:
        """Note a problem here."""
        self.document.report(self.path, message, self.node)

    def as_section(self, what: str) -> "Section | None":
        """The mapping, or a problem that says `what` was expected."""
        if isinstance(self.node, yaml.MappingNode):
            return Section(self, self._entries(self.node))
        self.wrong(f"{what} is written as names and values, such as `name: value`.")
        return None

    def as_list(self, what: str) -> list["Item"]:
        """The items of a list; an empty list after a problem."""
        if isinstance(self.node, yaml.SequenceNode):
            return [Item(self.document, f"{self.path}.{n}", node) for n, node in enumerate(self.node.value, 1)]
        self.wrong(f"{what} is a list; begin each line with a dash.")
        return []

    def as_text(self, longest: int = 200) -> str | None:
        """The value as written, trimmed; never empty."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.wrong(f"{self.path} is a single text.")
            return None
        value = str(self.node.value).strip()
        if not value or (self.node.style is None and value in {"~", "null"}):
            self.wrong(f"{self.path} is empty; write something after the colon.")
            return None
        if len(value) > longest:
            self.wrong(f"{self.path} may have {longest} characters; shorten it.")
            return None
        return value

    def as_choice(self, choices: Collection[str]) -> str | None:
        """One of `choices`."""
        value = self.as_text()
        if value is None or value in choices:
            return value
        self.wrong(f"{value} is not possible here{suggestion(value, choices)}")
        return None

    def as_name(self, names: Collection[str] | None, noun: str) -> str | None:
        """The name of a thing that exists; any name when `names` is None."""
        value = self.as_text()
        if value is None or names is None or value in names:
            return value
        self.wrong(f"There is no {noun} called {value}{suggestion(value, names)}")
        return None

    def as_bool(self) -> bool | None:
        """Yes or no."""
        value = (self.as_text() or "").lower()
        if value in _YES | _NO:
            return value in _YES
        if value:
            self.wrong("Write yes or no.")
        return None

    def as_whole_number(self, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self.as_text()
        if value is None:
            return None
        if value.isascii() and value.isdecimal() and len(value) < 16 and least <= int(value) <= most:
            return int(value)
        self.wrong(f"{value} is not a whole number from {least} to {most}.")
        return None

    def as_duration(self) -> timedelta | None:
        """A length of time such as `2d`."""
        value = self.as_text()
        try:
            return parse_duration(value) if value is not None else None
        except InvalidError as refusal:
            self.wrong(refusal.message)
            return None

    def as_time(self) -> time | None:
        """A wall-clock time such as `09:00`."""
        value = self.as_text()
        if value is None:
            return None
        hours, colon, minutes = value.partition(":")
        is_time = colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and value.isascii()
        if is_time and int(hours) < 24 and int(minutes) < 60:
            return time(int(hours), int(minutes))
        self.wrong(f'{value} is not a time of day; write it like "09:00".')
        return None

    def as_weekdays(self) -> frozenset[int] | None:
        """Days such as `[mon, tue]`, Monday being 1."""
        names = [item.as_choice(WEEKDAY_NAMES.values()) for item in self.as_list("weekdays")]
        days = frozenset(day for day, name in WEEKDAY_NAMES.items() if name in names)
        return days or None

    def as_condition(self, fields: Fields) -> str | None:
        """A condition over `fields`; its problems are placed inside the YAML."""
        value = self.as_text(longest=10_000)
        if value is None:
            return None
        try:
            compile_expression(value, fields)
        except InvalidError as refusal:
            for problem in refusal.problems:
                self.document.report_at(self.path, problem.message, *self._place(value, problem))
            return None
        return value

    def _place(self, value: str, problem: Problem) -> tuple[int, int]:
        # A condition's line is looked for as it stands; where YAML folded or escaped it, the value's start must do.
        start, end = self.node.start_mark, self.node.end_mark
        wanted = value.split("\n")[(problem.line or 1) - 1]
        lines = self.document.text.splitlines()
        for number in range(start.line, min(end.line + 1, len(lines))):
            found = lines[number].find(wanted, start.column if number == start.line else 0)
            if found >= 0:
                return number + 1, found + (problem.column or 1)
        return start.line + 1, start.column + 1

    def _entries(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, "Item"]]:
        entries: dict[str, tuple[yaml.Node, Item]] = {}
        for key, value in node.value:
            name = str(key.value).strip() if isinstance(key, yaml.ScalarNode) else ""
            if not name or name in entries:
                message = f"{name} is there twice; keep one." if name else "A name here is a single word."
                self.document.report(self.path, message, key)
            else:
                entries[name] = (key, Item(self.document, f"{self.path}.{name}".lstrip("."), value))
        return entries


@dataclass(slots=True)
class Section:
    """A mapping that is read name by name; `close` notes the names nobody asked for."""

    item: Item
    entries: dict[str, tuple[yaml.Node, Item]]
    asked: list[str] = field(default_factory=list)

    def find(self, name: str) -> Item | None:
        """The value called `name`, if it is there."""
        self.asked.append(name)
        return self.entries[name][1] if name in self.entries else None

    def require(self, name: str, example: str) -> Item | None:
        """The value called `name`; a problem with an example where it is missing."""
        found = self.find(name)
        if found is None:
            self.item.wrong(f"{name} is missing here; add a line such as `{name}: {example}`.")
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def close(self) -> None:
        """Note every name that has no meaning here."""
        for name, (key, item) in self.entries.items():
            if name not in self.asked:
                message = f"{name} has no meaning here{suggestion(name, dict.fromkeys(self.asked))}"
                item.document.report(item.path, message, key)


def read_document(text: str) -> tuple[Document, Item | None]:
    """Compose the YAML; raises InvalidError for text that is too large, unreadable, or uses anchors or tags."""
    document = Document(text)
    if len(text.encode("utf-8", "replace")) > LARGEST_BYTES:
        document.report_at("", f"A flow may have {LARGEST_BYTES // 1024} KiB; shorten it.", 1, 1)
        document.refuse()
    root = _compose(document)
    document.refuse()
    return document, Item(document, "", root) if root is not None else None


def suggestion(name: str, names: Collection[str]) -> str:
    """The end of a sentence that says what was probably meant."""
    best = process.extractOne(name, sorted(names), scorer=fuzz.ratio, score_cutoff=60)
    if best:
        return f"; did you mean {best[0]}?"
    return f"; there is {', '.join(sorted(names)[:12])}." if names else "; there is none yet."


def _compose(document: Document) -> yaml.Node | None:
    try:
        _check_events(document)
        return None if document.problems else yaml.compose(document.text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        place = _place_of(error.problem_mark or error.context_mark)
        document.report_at("", f"This is not readable YAML: {error.problem}. {_QUOTES}", *place)
    except (yaml.YAMLError, UnicodeError):
        document.report_at("", "The text holds characters that YAML does not allow; remove them.", 1, 1)
    return None


def _place_of(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _check_events(document: Document) -> None:
    # The composer follows aliases and recurses, so both are refused on the flat stream of events before it runs.
    depth = 0
    for event in yaml.parse(document.text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        place = _place_of(event.start_mark)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            document.report_at("", "Anchors (&) and aliases (*) are not read; write the value out.", *place)
        if getattr(event, "tag", None) is not None:
            document.report_at("", _NO_TAGS, *place)
        if depth > DEEPEST_NODE:
            document.report_at("", "This nests too deeply; make it flatter.", *place)
            return
