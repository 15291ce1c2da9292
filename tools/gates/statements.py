"""SQL written as a string in a Python file."""

import ast
import re
from collections.abc import Iterator

from tools.gates.source import Source
from tools.gates.strings import find_strings

# In capitals, so that an English sentence that starts with Select or With is none.
_SQL = re.compile(
    r"\s*(--[^\n]*\n\s*)*"
    r"(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+(\s+(AS\s+)?\w+)?\s+SET\s|DELETE\s+FROM\s|MERGE\s+INTO\s"
    r"|WITH\s+(RECURSIVE\s+)?\w+\s*(\([^)]*\)\s*)?AS\s"
    r"|(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+|UNIQUE\s+|UNLOGGED\s+)*(TABLE|INDEX|FUNCTION|SCHEMA|ROLE|VIEW|TYPE|DATABASE|"
    r"EXTENSION|POLICY|SEQUENCE|TRIGGER)\s"
    r"|TRUNCATE\s|LOCK\s+TABLE\s|COPY\s|GRANT\s|REVOKE\s|SET\s+(LOCAL|SESSION)\s|LISTEN\s|NOTIFY\s|VALUES\s*\(|EXPLAIN\s)"
)
_EXECUTORS = {"execute", "executemany", "stream", "copy"}
_KEYWORD = re.compile(
    r"\s*(select|insert|update|delete|with|create|alter|drop|set|copy|listen|notify|lock)\b", re.IGNORECASE
)


def find_statements(source: Source) -> Iterator[ast.expr]:
    """The string expressions that are SQL by their look, or by being run by a cursor."""
    executed = {id(node.args[0]) for node in source.nodes if isinstance(node, ast.Call) and _is_execution(node)}
    for text in find_strings(source):
        pattern = _KEYWORD if id(text.node) in executed else _SQL
        if pattern.match(text.value):
            yield text.node


def _is_execution(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _EXECUTORS and bool(call.args)
