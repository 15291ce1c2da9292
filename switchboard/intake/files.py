"""Spreadsheets for import, row by row: CSV of any encoding and delimiter, and XLSX."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from switchboard.intake.files_csv import CsvFile
from switchboard.intake.files_limits import DEFAULT_FILE_LIMITS, Cell, FileLimits, Record
from switchboard.intake.files_xlsx import XlsxFile
from switchboard.kernel.errors import Problem, TooLargeError, UnreadableError, UnsupportedMediaError

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_HEADER_WITHIN = 100
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Row(msgspec.Struct, frozen=True):
    """One row of a sheet: `number` as a person sees it there, non-empty `cells` by header."""

    number: int
    cells: dict[str, Cell]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet with a header. `rows` may be called again and starts from the top each time.

    `encoding` and `delimiter` are those found in a CSV, None for XLSX. `header_row` is None when the sheet has
    no header and its columns are named by their position.
    """

    headers: tuple[str, ...]
    header_row: int | None
    encoding: str | None
    delimiter: str | None
    limits: FileLimits
    records: Callable[[], Iterator[Record]] = field(repr=False)

    def rows(self) -> Iterator[Row]:
        """Every row that is not blank. Raises TooLargeError past the limit of rows, UnreadableError."""
        first = (self.header_row or 0) + 1
        read = 0
        for number, cells in self.records():
            # Numbers may be zero, and count.
            if number < first or not (any(cells) or any(cell != "" for cell in cells)):
                continue
            read += 1
            if read > self.limits.rows:
                raise TooLargeError(
                    f"The file has more than {self.limits.rows:,} rows; split it.",
                    data={"limit_rows": self.limits.rows},
                )
            yield self._row(number, cells)

    def count_rows(self) -> int:
        """How many rows `rows` gives, for a progress bar; reads the whole file once."""
        return sum(1 for _ in self.rows())

    def _row(self, number: int, cells: list[Cell]) -> Row:
        width, problems = len(self.headers), []
        if len(cells) > width and any(cell != "" for cell in cells[width:]):
            filled = max(index for index, cell in enumerate(cells) if cell != "") + 1
            message = f"Has {filled} cells under {width} headers; look for a missing quote or delimiter."
            problems.append(Problem(f"rows.{number}", message))
        kept = dict(zip(self.headers, cells, strict=False))
        if "" in cells:
            kept = {name: cell for name, cell in kept.items() if cell != ""}
        for name, cell in kept.items():
            if isinstance(cell, str) and len(cell) > self.limits.cell_characters:
                message = f"Has {len(cell):,} characters; the limit is {self.limits.cell_characters:,}."
                problems.append(Problem(f"rows.{number}.{name}", message))
                kept[name] = cell[: self.limits.cell_characters]
        return Row(number, kept, tuple(problems))


@contextmanager
def open_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: FileLimits = DEFAULT_FILE_LIMITS,
) -> Iterator[Table]:
    """The first sheet of `path` that holds anything; `encoding` and `delimiter` overrule what is found.

    Raises UnreadableError, TooLargeError, UnsupportedMediaError.
    """
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise TooLargeError(
            f"The file has {size:,} bytes; the limit is {limits.file_bytes:,}.",
            data={"limit_bytes": limits.file_bytes},
        )
    with path.open("rb") as file:
        start = file.read(4)
    if start == _OLE:
        raise UnsupportedMediaError("This is an old .xls or a locked workbook; save it as .xlsx or as CSV.")
    if start == _ZIP:
        with XlsxFile.opened(path, limits) as xlsx:
            yield _table(xlsx.records, None, None, limits)
        return
    csv_file = CsvFile.examined(path, encoding, delimiter)
    yield _table(csv_file.records, csv_file.encoding, csv_file.delimiter, limits)


def _table(
    records: Callable[[], Iterator[Record]], encoding: str | None, delimiter: str | None, limits: FileLimits
) -> Table:
    top = [(number, cells) for number, cells in islice(records(), _HEADER_WITHIN) if any(cell != "" for cell in cells)]
    if not top:
        raise UnreadableError("The file has no rows; export it again with its header.")
    width = max(_filled(cells) for _, cells in top)
    number, header = next((number, cells) for number, cells in top if _filled(cells) * 2 >= width)
    if len(header) > limits.columns and _filled(header) > limits.columns:
        raise TooLargeError(
            f"The file has {_filled(header):,} columns; the limit is {limits.columns}.",
            data={"limit_columns": limits.columns},
        )
    # A row that already holds somebody's address is data: the file starts without a header.
    if any(isinstance(cell, str) and _ADDRESS.fullmatch(cell.strip()) for cell in header):
        names = tuple(f"Column {position + 1}" for position in range(max(_width(cells) for _, cells in top)))
        return Table(names, None, encoding, delimiter, limits, records)
    return Table(_unique_names(header), number, encoding, delimiter, limits, records)


def _filled(cells: list[Cell]) -> int:
    return sum(1 for cell in cells if cell != "")


def _width(cells: list[Cell]) -> int:
    return max((index + 1 for index, cell in enumerate(cells) if cell != ""), default=0)


def _unique_names(header: list[Cell]) -> tuple[str, ...]:
    """Headers by which every column can be told: blank ones by position, a repeated one with a count."""
    names: list[str] = []
    for position, cell in enumerate(header[: _width(header)]):
        plain = " ".join(str(cell).split())[:200] or f"Column {position + 1}"
        name, count = plain, 1
        while name in names:
            count += 1
            name = f"{plain} {count}"
        names.append(name)
    return tuple(names)
