"""SQL stands in a room's repository, a named .sql file, the kernel or the queries of ops, and nowhere else."""

from collections.abc import Iterator, Sequence

from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source
from tools.gates.statements import find_statements

PLACES = ("*/repository*.py", "switchboard/kernel/*.py", "switchboard/ops/*queries*.py", "switchboard/ops/schema.py")


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source) and not is_any_of(source, *PLACES):
            for statement in find_statements(source):
                yield source.find(statement.lineno, "SQL outside of a repository: move it to the room's repository.py")
