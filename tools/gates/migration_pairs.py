"""Every migration can be run: numbered without a gap, with both halves and headers that are understood."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.migration_files import discover
from tools.gates.source import Finding, Source


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    folders = {(source.root, source.path.parent) for source in tree if source.path.match("migrations/*.sql")}
    for root, folder in sorted(folders):
        try:
            discover(root / folder)
        except ConfigurationError as error:
            for problem in error.problems:
                yield Finding(folder / PurePosixPath(problem.field), 1, problem.message)
