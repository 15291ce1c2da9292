"""The strings of a Python file."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tools.gates.source import Source


@dataclass(frozen=True, slots=True)
class Text:
    """A string as written; each hole of an f-string holds a word."""

    node: ast.expr
    value: str


def find_strings(source: Source) -> Iterator[Text]:
    """Each plain string and f-string once; docstrings too."""
    inner = {id(part) for node in source.nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in source.nodes:
        if isinstance(node, ast.JoinedStr):
            yield Text(node, "".join(_read_part(part) for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield Text(node, node.value)


def _read_part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "hole"
