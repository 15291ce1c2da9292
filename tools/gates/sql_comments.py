"""Above every statement of a repository stands what it answers and which index it uses."""

import ast
from collections.abc import Iterator, Sequence

from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source
from tools.gates.statements import find_statements

PLACES = ("*/repository*.py", "switchboard/ops/*queries*.py", "switchboard/ops/schema.py")
_MESSAGE = "no comment directly above this SQL: say what it answers and which index it uses"


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_any_of(source, *PLACES):
            yield from _check_repository(source)
        elif _is_named_query(source) and not source.text.startswith("--"):
            yield source.find(1, _MESSAGE)


def _is_named_query(source: Source) -> bool:
    return source.path.suffix == ".sql" and is_shipped(source) and "migrations" not in source.path.parts


def _check_repository(source: Source) -> Iterator[Finding]:
    """The comment may stand above the string, or above the innermost statement that holds it."""
    for statement in find_statements(source):
        if not {statement.lineno - 1, _find_start(source, statement) - 1} & _comment_lines(source):
            yield source.find(statement.lineno, _MESSAGE)


def _find_start(source: Source, inner: ast.expr) -> int:
    """The first line of the innermost statement around an expression."""
    around = [node for node in source.nodes if isinstance(node, ast.stmt)]
    return max(node.lineno for node in around if node.lineno <= inner.lineno <= (node.end_lineno or node.lineno))


def _comment_lines(source: Source) -> set[int]:
    return {line for line in source.comments if source.lines[line - 1].lstrip().startswith("#")}
