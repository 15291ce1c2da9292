"""What a name in a condition stands for: a field, the rows that a loop runs over, or the present."""

from collections.abc import Iterator, Mapping, Sequence

from switchboard.kernel.expressions import FieldType, suggest_name
from switchboard.people.condition_tree import Exists, Field, Node, Now, parts_of
from switchboard.people.segment_vocabulary import CONTACT, Column, Relation, Vocabulary

# What rows are called that no variable names.
ITEM = "_item"


class ScopeError(Exception):
    """A name that stands for nothing here; the message says why."""


class Scope:
    """The names known at one place: those of the vocabulary, and the variable of the loop around."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._rows: dict[str, Relation] = {}

    def enter(self, variable: str, relation: Relation) -> None:
        """A loop begins; raises ScopeError for a variable that hides a field."""
        roots = {name.split(".")[0] for name in self.vocabulary.names}
        if variable in roots or variable == ITEM:
            raise ScopeError(f"{variable} already names a field; call the loop's variable something else.")
        self._rows[variable] = relation

    def leave(self, variable: str) -> None:
        """The loop ends."""
        del self._rows[variable]

    def find(self, names: Sequence[str], key: str | None) -> Node | Relation:
        """What a dotted name stands for, with the key of `name["key"]`; raises ScopeError."""
        root, path = names[0], ".".join(names)
        if path == "now":
            return Now()
        if path in self.vocabulary.relations:
            return self.vocabulary.relations[path]
        columns, relation = self._columns(root)
        found = find_column(columns, names[1:], key)
        if found is None:
            raise ScopeError(self._unknown(path, root, columns))
        name, column, entry = found
        return Field(root, name, column, entry, any_of=relation)

    def _columns(self, root: str) -> tuple[Mapping[str, Column], Relation | None]:
        if root in self._rows:
            return self._rows[root].columns, None
        if root == CONTACT:
            return self.vocabulary.contact, None
        relation = self.vocabulary.by_one.get(root)
        return ({}, None) if relation is None else (relation.columns, relation)

    def _unknown(self, path: str, root: str, columns: Mapping[str, Column]) -> str:
        if path == root and columns:
            example = next(iter(columns))
            return f"{root} is a group of fields; name one of them, such as {root}.{example}."
        names = {f"{root}.{name}" for name in columns} or self.vocabulary.names
        return f"There is no field {path}" + suggest_name(path, names)


def find_column(
    columns: Mapping[str, Column], names: Sequence[str], key: str | None
) -> tuple[str, Column, str | None] | None:
    """The column of a row that a name after the row's means, its name and, in a map, the entry."""
    name = ".".join(names)
    if name in columns and (key is None or columns[name].type is FieldType.STRING_MAP):
        return name, columns[name], key
    parent, _dot, entry = name.rpartition(".")
    if key is None and parent in columns and columns[parent].type is FieldType.STRING_MAP:
        return parent, columns[parent], entry
    return None


def outside_loops(node: Node) -> Iterator[Node]:
    """The node and what is below it, loops themselves but not what is inside of them."""
    yield node
    if not isinstance(node, Exists):
        for part in parts_of(node):
            yield from outside_loops(part)
