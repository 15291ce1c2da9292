"""Rows going out as CSV, with nothing in them that a spreadsheet would execute."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchboard.intake.files_limits import Cell
from switchboard.kernel.spreadsheets import guard_formula

ROW_HEADER, PROBLEM_HEADER = "Row", "Problem"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not imported, by its number in the sheet, and every reason why."""

    number: int
    cells: dict[str, Cell]
    reasons: Sequence[str]


def write_errors_csv(path: Path, headers: Sequence[str], rejected: Iterable[RejectedRow]) -> int:
    """Write the rejected rows with number and reasons in front, to be mended and imported again; how many.

    The file is UTF-8 with a byte order mark, without which Excel takes it for the local encoding.
    """
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(map(guard_formula, [ROW_HEADER, PROBLEM_HEADER, *headers]))
        for count, row in enumerate(rejected, start=1):  # noqa: B007 - the last count is the answer.
            writer.writerow(_line(row, headers))
    return count


def _line(row: RejectedRow, headers: Sequence[str]) -> Iterator[str]:
    yield str(row.number)
    yield guard_formula(" ".join(row.reasons))
    yield from (guard_formula(row.cells.get(header)) for header in headers)
