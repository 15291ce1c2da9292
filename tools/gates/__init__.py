"""Checks of the house style that no linter knows: `python -m tools.gates`.

Each gate is one file with `check(tree)`. A line is let through by a comment on it, or alone above it, that names the
gate and gives the reason: `gate: clock the boot time is the kernel's own`. An escape without a reason, or that lets
nothing through, is itself a finding.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.gates import (
    choices,
    clocks,
    environment,
    html_places,
    migration_pairs,
    module_names,
    printing,
    row_security,
    sizes,
    sql_comments,
    sql_places,
    tasks,
    templates,
    transactions,
    words,
)
from tools.gates.source import Escape, Finding, Source

Check = Callable[[Sequence[Source]], Iterator[Finding]]

GATES: dict[str, Check] = {
    "choice": choices.check,
    "clock": clocks.check,
    "environment": environment.check,
    "html": html_places.check,
    "migration": migration_pairs.check,
    "module-name": module_names.check,
    "print": printing.check,
    "row-security": row_security.check,
    "size": sizes.check,
    "sql-comment": sql_comments.check,
    "sql-place": sql_places.check,
    "tasks": tasks.check,
    "template": templates.check,
    "transaction": transactions.check,
    "word": words.check,
}
SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True)
class Report:
    """A finding with the name of its gate; printed as `path:line: gate: message`."""

    gate: str
    finding: Finding

    def __str__(self) -> str:
        return f"{self.finding.path}:{self.finding.line}: {self.gate}: {self.finding.message}"


def run_gates(tree: Sequence[Source]) -> list[Report]:
    """What the gates find and no escape lets through, in the order of the files."""
    broken = {source.path: finding for source in tree if (finding := source.find_syntax_error())}
    readable = [source for source in tree if source.path not in broken]
    reports = [Report("syntax", finding) for finding in broken.values()]
    used: set[tuple[PurePosixPath, int]] = set()
    escapes = {source.path: source.escapes for source in readable if source.escapes}
    for name, check in GATES.items():
        for report in (Report(name, finding) for finding in check(readable)):
            escape = _find_escape(escapes.get(report.finding.path, []), report)
            if escape is None:
                reports.append(report)
            else:
                used.add((report.finding.path, escape.line))
    reports += _check_escapes(readable, used)
    return sorted(reports, key=lambda report: (report.finding.path, report.finding.line, report.gate))


def read_tree(root: Path) -> list[Source]:
    """The text files that git knows or would add, in order; files that are no UTF-8 text are left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        timeout=30,
    )
    names = sorted(set(listing.stdout.decode().split("\0")) - {""})
    return [source for name in names for source in _read_source(root, name)]


def _read_source(root: Path, name: str) -> Iterator[Source]:
    path = root / name
    if path.is_file():
        try:
            yield Source(root, PurePosixPath(name), path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            return


def _find_escape(escapes: Sequence[Escape], report: Report) -> Escape | None:
    for escape in escapes:
        if escape.gate == report.gate and report.finding.line in escape.covers and _is_reasoned(escape):
            return escape
    return None


def _check_escapes(tree: Sequence[Source], used: set[tuple[PurePosixPath, int]]) -> Iterator[Report]:
    for source in tree:
        for escape in source.escapes:
            if escape.gate not in GATES:
                yield Report("escape", source.find(escape.line, f"there is no gate {escape.gate}"))
            elif not _is_reasoned(escape):
                yield Report("escape", source.find(escape.line, "give the reason after the gate's name"))
            elif (source.path, escape.line) not in used:
                yield Report("escape", source.find(escape.line, f"lets nothing through {escape.gate}: remove it"))


def _is_reasoned(escape: Escape) -> bool:
    return len(escape.reason) >= SHORTEST_REASON
