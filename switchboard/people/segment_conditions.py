"""Conditions of segments: CEL over a contact, its tags, leads, events and consents, read into a tree.

    contact.country == "DE" && "vip" in contact.tags
    leads.exists(l, l.is_open && l.value > 100000)
    !events.exists(e, e.kind == "message.replied" && e.at > now - duration("720h"))

They mean what the same text means in rules and flows, but are never evaluated contact by contact: the tree is written
as SQL. So they know fewer things, and whatever they do not know is refused with its place when the segment is saved.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.expression_source import Source, shape_problems
from switchboard.kernel.expressions import read_condition, suggest_name
from switchboard.people.condition_reading import Reader, ReadingError
from switchboard.people.condition_tree import All, Compared, Constant, Count, Exists, Field, Node, Now, OneOf, walk
from switchboard.people.segment_vocabulary import CONTACT, Relation, Vocabulary


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition. `reads` are the nouns of the events after which a contact may meet it or not any more;
    `reads_clock` says that time alone may decide, too."""

    text: str
    tree: Node
    reads: tuple[str, ...]
    reads_clock: bool


def check_condition(text: str, vocabulary: Vocabulary) -> Condition:
    """Read a condition; raises InvalidError with every problem that was found, each with line and column."""
    return _check(text.strip(), vocabulary)


@lru_cache(maxsize=512)
def _check(text: str, vocabulary: Vocabulary) -> Condition:
    source = read_condition(text)
    problems = shape_problems(source)
    if problems:
        raise InvalidError(problems[0].message, problems=problems)
    try:
        tree = Reader(source, vocabulary).read()
        reads = {CONTACT, *_nouns(source, tree)}
    except ReadingError as error:
        problem = source.problem(error.offset, error.message)
        raise InvalidError(problem.message, problems=[problem]) from None
    return Condition(text, tree, tuple(sorted(reads)), any(isinstance(node, Now) for node in walk(tree)))


def _nouns(source: Source, tree: Node) -> Iterator[str]:
    for node in walk(tree):
        match node:
            case Field():
                yield from node.column.nouns
            case Count(relation):
                yield from _nouns_of_all(source, relation)
            case Exists(relation, row, body):
                yield from relation.nouns
                if relation.kinds:
                    yield from (kind.partition(".")[0] for kind in _kinds(source, relation, row, body))


def _nouns_of_all(source: Source, relation: Relation) -> Collection[str]:
    if relation.kinds:
        raise _without_kind(source, relation)
    return relation.nouns


def _kinds(source: Source, relation: Relation, row: str, body: Node | None) -> list[str]:
    """The kinds that a loop is about, from a part that must hold for each of its rows."""
    for part in body.parts if isinstance(body, All) else (body,):
        chosen = _chosen_kinds(part, row)
        if chosen:
            for kind in chosen:
                if kind not in relation.kinds:
                    message = f"There is no kind {kind!r} of {relation.name}" + suggest_name(kind, relation.kinds)
                    raise ReadingError(_place_of(source, kind), message)
            return chosen
    raise _without_kind(source, relation)


def _chosen_kinds(part: Node | None, row: str) -> list[str]:
    match part:
        case Compared("==", Field(of, "kind"), Constant(_, kind)) if of == row:
            return [str(kind)]
        case Compared("==", Constant(_, kind), Field(of, "kind")) if of == row:
            return [str(kind)]
        case OneOf(Field(of, "kind"), choices) if of == row:
            return [str(choice.value) for choice in choices]
        case _:
            return []


def _without_kind(source: Source, relation: Relation) -> ReadingError:
    message = (
        f'Say which kind of {relation.name}, as in {relation.name}.exists(e, e.kind == "message.sent"): '
        "the kind must hold for all that the loop looks at."
    )
    return ReadingError(_place_of(source, relation.name), message)


def _place_of(source: Source, word: str) -> int:
    return next((token.start for token in source.tokens if token.text.strip("'\"") == word), 0)


def problems_of(error: InvalidError) -> list[Problem]:
    """What is wrong with a condition, as problems of the field `condition`."""
    return [Problem("condition", problem.message, problem.line, problem.column) for problem in error.problems]
