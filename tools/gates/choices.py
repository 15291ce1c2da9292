"""At most so many rows are chosen once, whatever the plan.

Where a subquery with LIMIT takes its rows' locks inside a condition or a join, Postgres may run it again for each row
outside, and each time it chooses others than those already changed: more go than the limit says. A common table
expression that locks runs once; LATERAL says that a choice for each row is meant.
"""

import re
from collections.abc import Iterator, Sequence

from tools.gates.places import is_shipped
from tools.gates.source import Finding, Source
from tools.gates.strings import find_strings

_LOCK = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b")
_MEANT = re.compile(r"\b(AS(\s+(NOT\s+)?MATERIALIZED)?|LATERAL)\s*$")
_MESSAGE = "a choice with LIMIT and a lock may be made anew for each row: make it WITH ... AS MATERIALIZED (...)"


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if not is_shipped(source):
            continue
        if source.is_python:
            for text in find_strings(source):
                if has_loose_choice(text.value):
                    yield source.find(text.node.lineno, _MESSAGE)
        elif source.path.suffix == ".sql" and has_loose_choice(source.text):
            yield source.find(1, _MESSAGE)


def has_loose_choice(statement: str) -> bool:
    """Whether a subquery outside WITH and LATERAL both limits and locks the rows it finds."""
    opened: list[int] = []
    own: list[str] = [""]
    for at, character in enumerate(statement):
        if character == "(":
            opened.append(at)
            own.append("")
        elif character == ")" and opened:
            start, inside = opened.pop(), own.pop()
            if re.search(r"\bLIMIT\b", inside) and _LOCK.search(inside) and not _MEANT.search(statement[:start]):
                return True
        else:
            own[-1] += character
    return False
