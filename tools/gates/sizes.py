"""Functions and modules stay small: hard limits everywhere, and how small they usually are in the product."""

import ast
import statistics
from collections.abc import Iterator, Sequence

from tools.gates.places import is_shipped
from tools.gates.source import Finding, Source

MODULE_LINES = 500
BODY_LINES = 60
MEDIAN_BODY_LINES = 8
NINE_IN_TEN_BODY_LINES = 30

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    shipped: list[int] = []
    for source in tree:
        if source.is_python:
            sizes = {node: _count_body_lines(node) for node in source.nodes if isinstance(node, _Function)}
            yield from _check_limits(source, sizes)
            shipped += [size for size in sizes.values() if size and is_shipped(source)]
    yield from _check_spread(tree, sorted(shipped))


def _check_limits(source: Source, sizes: dict[_Function, int]) -> Iterator[Finding]:
    if len(source.lines) > MODULE_LINES:
        message = f"module has {len(source.lines)} lines, more than {MODULE_LINES}: split it by noun"
        yield source.find(1, message)
    for function, size in sizes.items():
        if size > BODY_LINES:
            yield source.find(function.lineno, f"{function.name} has {size} lines, more than {BODY_LINES}: split it")


def _check_spread(tree: Sequence[Source], sizes: list[int]) -> Iterator[Finding]:
    if not sizes:
        return
    whole = next(source for source in tree if is_shipped(source))
    median, tenth = statistics.median(sizes), sizes[len(sizes) * 9 // 10]
    if median > MEDIAN_BODY_LINES:
        yield whole.find(1, f"the median function of switchboard/ has {median:g} lines, more than {MEDIAN_BODY_LINES}")
    if tenth > NINE_IN_TEN_BODY_LINES:
        yield whole.find(1, f"one function in ten has {tenth} lines, more than {NINE_IN_TEN_BODY_LINES}")


def _count_body_lines(function: _Function) -> int:
    """Lines from the first statement after the docstring to the last; 0 for a bare `...` of a Protocol."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if not body or (len(body) == 1 and isinstance(body[0], ast.Expr) and _is_ellipsis(body[0].value)):
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
