"""HTML stands in templates, never in a string of Python."""

import ast
import re
from collections.abc import Iterator, Sequence

from tools.gates.places import is_shipped
from tools.gates.source import Finding, Source
from tools.gates.strings import find_strings

_TAG = re.compile(
    r"</?(a|abbr|article|aside|b|blockquote|body|br|button|div|dl|em|form|h[1-6]|head|hr|html|i|iframe|img|input(?=\s)|label|li"
    r"|link|main|meta|nav|ol|option|p|pre|script|section|select|span|strong|style|svg|table|tbody|td|textarea|th|title"
    r"|tr|ul|video)(\s[^<>]*)?/?>",
    re.IGNORECASE,
)


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source):
            docstrings = {id(text) for node in source.nodes for text in _find_docstring(node)}
            for text in find_strings(source):
                tag = None if id(text.node) in docstrings else _TAG.search(text.value)
                if tag:
                    line = text.node.lineno + text.value.count("\n", 0, tag.start())
                    yield source.find(line, f"HTML in Python ({tag[0]}): move it to a template")


def _find_docstring(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr):
            yield first.value
