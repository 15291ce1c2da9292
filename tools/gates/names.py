"""Which outside names a Python file uses, by their full dotted name whatever it imported them as."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tools.gates.source import Source


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a name; `full_name` is like `datetime.datetime.now`."""

    full_name: str
    line: int
    is_call: bool


def find_uses(source: Source) -> Iterator[Use]:
    """Uses in the order of the tree; a longer name is reported beside each of its prefixes."""
    imported = _read_imports(source)
    called = {id(node.func) for node in source.nodes if isinstance(node, ast.Call)}
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            head, *rest = dotted_name(node).split(".")
            full_name = ".".join([imported.get(head, head), *rest])
            yield Use(full_name, node.lineno, id(node) in called)


def dotted_name(node: ast.AST) -> str:
    """`a.b.c` for such an expression; a call or an index in it counts as the thing called or indexed."""
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return dotted_name(node.func)
    if isinstance(node, ast.Subscript):
        return dotted_name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


def _read_imports(source: Source) -> dict[str, str]:
    names = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names
