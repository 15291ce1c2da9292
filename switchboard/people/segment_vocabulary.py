"""What conditions of segments may speak of: columns of a contact, and what a contact has many of.

People know contacts, tags, consents and events. A room above offers its own rows, such as leads, as a `Relation`, and
the entry point puts all of them together: a condition becomes one piece of SQL without any room asking another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from switchboard.kernel.expressions import FieldType

CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Column:
    """One field: its type, and its SQL over the row that stands in the place of `{row}`.

    `is_known` says that the SQL is never null. `nouns` are of the events, beside those of its relation, after which it
    may read differently: for the contact of the event, or for many at once, as after `stage`.
    """

    type: FieldType
    sql: str
    is_known: bool = False
    nouns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of which a contact may have many.

    `name` is what loops run over, such as `leads`; `one`, such as `lead`, reads a field of any of them, and is empty
    where that is not offered. `rows` is the SQL from after FROM up to a WHERE to which AND may be added: `{row}` is the
    row's alias, `{contact}` the contact's, and `%(workspace)s` the workspace. `nouns` are of the events after which the
    rows may differ. A relation of plain values, such as tags, has the single column "". Where `kinds` are given, a loop
    must name those it is about in the column `kind`; the nouns are theirs.
    """

    name: str
    rows: str
    columns: Mapping[str, Column]
    one: str = ""
    nouns: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """All that conditions may speak of; made once a process."""

    contact: Mapping[str, Column]
    relations: Mapping[str, Relation] = field(default_factory=dict)

    @cached_property
    def by_one(self) -> Mapping[str, Relation]:
        """The relations by the word for one of their rows."""
        return {relation.one: relation for relation in self.relations.values() if relation.one}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that a condition may use outside of loops."""
        return frozenset(self._names())

    def _names(self) -> Iterator[str]:
        yield "now"
        yield from (f"{CONTACT}.{name}" for name in self.contact)
        for relation in self.relations.values():
            yield relation.name
            if relation.one:
                yield from (f"{relation.one}.{name}" for name in relation.columns)
