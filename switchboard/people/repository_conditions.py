"""Conditions written as SQL.

Null means no: a part that compares with what there is none of does not hold, and `Not` turns null to no first, so that
the rest may be plain comparisons, of which Postgres knows what they cost. Every value written in a condition is bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from switchboard.kernel.expressions import FieldType
from switchboard.people.condition_tree import (
    All,
    Any,
    Changed,
    Compared,
    Constant,
    Count,
    Exists,
    Field,
    Has,
    Kind,
    Length,
    Node,
    Not,
    Now,
    NumberOf,
    OneOf,
    Sum,
    TextTest,
)
from switchboard.people.segment_vocabulary import CONTACT, Relation

CONTACT_ALIAS = "c"
_SIGNS = {"==": "=", "!=": "<>"}
_EMPTY: Mapping[Kind, str] = {"text": "''", "number": "0", "truth": "false"}
_CASTS: Mapping[type, str] = {
    str: "text", bool: "boolean", int: "bigint", float: "double precision", timedelta: "interval",
    datetime: "timestamptz",
}  # fmt: skip
_CHANGES = {"lower": "lower({})", "upper": "upper({})", "trim": "btrim({}, E' \\t\\n\\r\\f\\v')"}
_TESTS = {
    "startsWith": "starts_with({text}, {part})",
    "endsWith": "right({text}, length({part})) = {part}",
    "contains": "strpos({text}, {part}) > 0",
    # The option keeps `.` within a line, as elsewhere.
    "matches": "{text} ~ ('(?p)' || {part})",
}
_NUMBERS = {True: ("^[+-]?[0-9]{1,18}$", "bigint"), False: ("^[+-]?[0-9]{1,18}([.][0-9]{1,18})?$", "double precision")}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition as SQL over the contact `c`, and what it binds; beside that it wants `workspace`."""

    sql: str
    params: Mapping[str, object]


def write_predicate(tree: Node) -> Predicate:
    """The SQL of a checked condition; null where it does not hold."""
    writer = _Writer()
    return Predicate(writer.truth(tree), writer.params)


@dataclass(slots=True)
class _Writer:
    params: dict[str, object] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=lambda: {CONTACT: CONTACT_ALIAS})
    aliases: int = 0

    def truth(self, node: Node) -> str:
        """A part that holds or not; null means that it does not."""
        match node:
            case All(parts):
                sql = "(" + " AND ".join(map(self.truth, parts)) + ")"
            case Any(parts):
                sql = "(" + " OR ".join(map(self.truth, parts)) + ")"
            case Not(part):
                sql = f"(NOT coalesce({self.truth(part)}, false))"
            case Exists():
                sql = self.exists(node)
            case Has(asked):
                sql = self.has(asked)
            case Compared():
                sql = self.compared(node)
            case OneOf():
                sql = self.one_of(node)
            case TextTest(test, text, part):
                sql = "(" + _TESTS[test].format(text=self.value(text), part=self.value(part)) + ")"
            case _:
                sql = self.value(node)
        return sql

    def exists(self, node: Exists) -> str:
        """A loop over the rows of a relation."""
        rows = self._rows_of(node.relation, node.row)
        body = "" if node.body is None else f" AND {self.truth(node.body)}"
        # OFFSET keeps it a look-up for each contact by the relation's index: as a join Postgres may read all events.
        return f"EXISTS (SELECT FROM {rows}{body} OFFSET 0)"

    def has(self, asked: Field) -> str:
        """Whether a field has a value."""
        sql = self.column(asked)
        return f"({sql} <> '')" if asked.kind == "text" else f"({sql} IS NOT NULL)"

    def compared(self, node: Compared) -> str:
        """A comparison; texts are in the order of their characters' numbers, whatever the database's language."""
        values = (node.left, node.right)
        is_plain = node.sign == "==" and any(isinstance(each, Constant) and not _is_empty(each) for each in values)
        left, right = (self.value(each, is_plain=is_plain) for each in values)
        order = ' COLLATE "C"' if node.sign not in {"==", "!="} and node.left.kind == "text" else ""
        return f"({left} {_SIGNS.get(node.sign, node.sign)} {right}{order})"

    def one_of(self, node: OneOf) -> str:
        """Whether a value is among those written out."""
        is_plain = not any(_is_empty(choice) for choice in node.choices)
        chosen = ", ".join(self.bind(choice.value) for choice in node.choices)
        return f"({self.value(node.value, is_plain=is_plain)} IN ({chosen}))"

    def value(self, node: Node, *, is_plain: bool = False) -> str:
        """A value; `is_plain` where it does not matter whether a field without one is null or empty."""
        match node:
            case Constant():
                sql = self.bind(node.value)
            case Now():
                sql = "app.now()"
            case Field():
                sql = self.field(node, is_plain=is_plain)
            case Length(text):
                sql = f"length({self.value(text)})"
            case Changed(change, text):
                sql = _CHANGES[change].format(self.value(text))
            case NumberOf(text, is_whole):
                pattern, number = _NUMBERS[is_whole]
                written = self.value(text)
                sql = f"(CASE WHEN {written} ~ '{pattern}' THEN ({written})::{number} END)"
            case Sum(is_minus, left, right, kind):
                # As a whole number a sum may be too large.
                wide = "::numeric" if kind == "number" else ""
                sql = f"({self.value(left)}{wide} {'-' if is_minus else '+'} {self.value(right)})"
            case Count(relation):
                sql = f"(SELECT count(*) FROM {self._rows_of(relation)})"
            case _:
                sql = f"coalesce({self.truth(node)}, false)"
        return sql

    def field(self, asked: Field, *, is_plain: bool) -> str:
        """A field as others compare it: empty where it has no value; a moment that never came stays null."""
        sql, empty = self.column(asked), _EMPTY.get(asked.kind)
        is_known = asked.column.is_known and asked.key is None
        return sql if is_plain or is_known or empty is None else f"coalesce({sql}, {empty})"

    def column(self, asked: Field) -> str:
        """A field's own SQL, null where there is no value."""
        sql = asked.column.sql.format(row=self.rows[asked.row])
        if asked.column.type is FieldType.STRING_MAP and asked.key is not None:
            return f"({sql} ->> {self.bind(asked.key)})"
        return sql

    def bind(self, value: object) -> str:
        """A parameter of this value, and of a type that leaves nothing to guess."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"%({name})s::{_CASTS[type(value)]}"

    def _rows_of(self, relation: Relation, row: str = "") -> str:
        self.aliases += 1
        self.rows[row] = f"r{self.aliases}"
        return relation.rows.format(row=self.rows[row], contact=CONTACT_ALIAS)


def _is_empty(constant: Constant) -> bool:
    return constant.value in {"", 0}
