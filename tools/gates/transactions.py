"""Transactions end at the edge: nobody but the kernel commits, rolls back or leaves transactions out."""

import ast
from collections.abc import Iterator, Sequence

from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source

# A connection that listens for notices (live) has nothing to commit.
PLACES = tuple(f"switchboard/kernel/{name}*.py" for name in ("db", "migration", "queues", "embedded", "live"))
_METHODS = {"commit", "rollback", "autocommit", "set_autocommit"}
_WORDS = {"BEGIN", "COMMIT", "ROLLBACK"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source) and not is_any_of(source, *PLACES):
            for node in source.nodes:
                line = _find_line(node)
                if line is not None:
                    yield source.find(line, "ends a transaction: leave that to the edge (kernel/db.py)")


def _find_line(node: ast.AST) -> int | None:
    if isinstance(node, ast.Attribute) and node.attr in _METHODS:
        return node.end_lineno
    if isinstance(node, ast.keyword) and node.arg == "autocommit":
        return node.lineno
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip(" ;\n") in _WORDS:
        return node.lineno
    return None
