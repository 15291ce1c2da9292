"""A checked condition as a tree, from which its SQL is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from switchboard.kernel.expressions import FieldType
from switchboard.people.segment_vocabulary import Column, Relation

Kind = Literal["text", "number", "truth", "moment", "duration", "map"]
KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "number": "a number",
    "truth": "a yes or no",
    "moment": "a moment in time",
    "duration": "a duration",
    "map": "a map of texts",
}
KINDS_OF_TYPES: dict[FieldType, Kind] = {
    FieldType.STRING: "text",
    FieldType.INT: "number",
    FieldType.FLOAT: "number",
    FieldType.BOOL: "truth",
    FieldType.TIMESTAMP: "moment",
    FieldType.STRING_MAP: "map",
}
Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
TextTestName = Literal["startsWith", "endsWith", "contains", "matches"]
TextChange = Literal["lower", "upper", "trim"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written out."""

    kind: Kind
    value: str | int | float | bool | timedelta | datetime


@dataclass(frozen=True, slots=True)
class Now:
    """The present."""

    kind: Kind = "moment"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the row `row`: the contact, or a relation's row by the name of the loop's variable.

    `any_of` is set where no loop says which row is meant: any will do. `key` is of a map.
    """

    row: str
    name: str
    column: Column
    key: str | None = None
    any_of: Relation | None = None

    @property
    def kind(self) -> Kind:
        """What it holds; an entry of a map is a text."""
        return "text" if self.key is not None else KINDS_OF_TYPES[self.column.type]


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a field has a value."""

    field: Field
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a relation a contact has."""

    relation: Relation
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Length:
    """How many characters a text has."""

    text: "Node"
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Changed:
    """A text in small letters, in capitals, or without blanks at its ends."""

    change: TextChange
    text: "Node"
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class NumberOf:
    """The number that a text says; none for a text that says none, and no comparison holds with it."""

    text: "Node"
    is_whole: bool
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Sum:
    """Two values added, or the second taken from the first."""

    is_minus: bool
    left: "Node"
    right: "Node"
    kind: Kind


@dataclass(frozen=True, slots=True)
class Compared:
    """Two values of one kind, compared."""

    sign: Comparison
    left: "Node"
    right: "Node"
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether a value is among those written out."""

    value: "Node"
    choices: tuple[Constant, ...]
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class TextTest:
    """Whether a text begins or ends with another, holds it, or meets a pattern."""

    test: TextTestName
    text: "Node"
    part: "Node"
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Node", ...]
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class Any:
    """Some part holds."""

    parts: tuple["Node", ...]
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"
    kind: Kind = "truth"


@dataclass(frozen=True, slots=True)
class Exists:
    """The contact has a row of the relation for which `body` holds, or any row where there is no body.

    `row` is what fields of the body call that row; `is_of_any` when no loop was written.
    """

    relation: Relation
    row: str
    body: "Node | None" = None
    is_of_any: bool = False
    kind: Kind = "truth"


Node = (
    Constant
    | Now
    | Field
    | Has
    | Count
    | Length
    | Changed
    | NumberOf
    | Sum
    | Compared
    | OneOf
    | TextTest
    | All
    | Any
    | Not
    | Exists
)


def parts_of(node: Node) -> Sequence[Node]:
    """What a node is made of."""
    found: Sequence[Node | None] = ()
    match node:
        case Has(part) | Length(part) | Changed(_, part) | NumberOf(part, _) | Not(part) | Exists(body=part):
            found = (part,)
        case Sum(_, left, right) | Compared(_, left, right) | TextTest(_, left, right):
            found = (left, right)
        case OneOf(value, choices):
            found = (value, *choices)
        case All(parts) | Any(parts):
            found = parts
    return [part for part in found if part is not None]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for part in parts_of(node):
        yield from walk(part)
