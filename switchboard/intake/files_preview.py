"""What a file's columns mean and what its rows would become, before anything is imported."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from switchboard.intake.files import Row, Table
from switchboard.intake.files_export import PROBLEM_HEADER, ROW_HEADER
from switchboard.intake.files_limits import Cell
from switchboard.intake.formats.answers import Reading, assemble
from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.coercion import looks_like_email
from switchboard.intake.mapping import FieldMapping, guess_targets
from switchboard.kernel.errors import InvalidError, Problem

_SAMPLE_ROWS = 200
_PHONE = re.compile(r"(\+|00)?[0-9 ().\-/]{7,25}")
_EXPORTED = frozenset({ROW_HEADER, PROBLEM_HEADER})


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row as it stands in the sheet and as it would become a lead, or why it would not."""

    number: int
    cells: Mapping[str, Cell]
    parsed: Parsed | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows under a mapping (as JSON, to be corrected)."""

    headers: tuple[str, ...]
    mapping: dict[str, object]
    rows: tuple[PreviewRow, ...]


def guess_columns(headers: Sequence[str], sample_rows: Sequence[Mapping[str, Cell]]) -> dict[str, object]:
    """A mapping, as JSON, from the headers' names and from what the sample rows hold under them.

    Columns nobody knows are kept as fields of their own name; those of our own error file are ignored.
    """
    known = [header for header in headers if header not in _EXPORTED]
    targets = {
        target: header
        for target, header in guess_targets(known).items()
        if target != "email" or _share(header, sample_rows, looks_like_email) >= 0.2
    }
    for target, test in (("email", looks_like_email), ("phone", _looks_like_phone_cell)):
        unused = [header for header in known if header not in targets.values()]
        best = max(unused, key=lambda header: _share(header, sample_rows, test), default=None)
        if target not in targets and best is not None and _share(best, sample_rows, test) >= 0.6:
            targets[target] = best
    ignored = [header for header in headers if header in _EXPORTED]
    return {**targets, "options": {"guess": False, "ignore": ignored}}


def parse_row(row: Row, mapping: FieldMapping) -> Parsed:
    """The lead that a row becomes. Raises InvalidError whose problems name the row as the sheet numbers it."""
    if row.problems:
        raise InvalidError(f"Row {row.number} is not imported.", problems=row.problems)
    try:
        return assemble(Reading(row.cells), mapping)
    except InvalidError as error:
        problems = [
            Problem(f"rows.{row.number}.{problem.field}".rstrip("."), problem.message) for problem in error.problems
        ]
        raise InvalidError(f"Row {row.number} is not imported.", problems=problems) from error


def preview(table: Table, mapping: Mapping[str, object] | None = None, *, limit: int = 20) -> Preview:
    """The first `limit` rows under `mapping`, or under a guess where none is given.

    Raises InvalidError for a mapping that cannot be used; what is wrong with a row stands beside the row.
    """
    if mapping is None:
        sample = [row.cells for row in islice(table.rows(), _SAMPLE_ROWS)]
        mapping = guess_columns(table.headers, sample)
    checked = FieldMapping.from_json(dict(mapping))
    rows = tuple(_preview_row(row, checked) for row in islice(table.rows(), limit))
    return Preview(table.headers, dict(mapping), rows)


def _preview_row(row: Row, mapping: FieldMapping) -> PreviewRow:
    try:
        return PreviewRow(row.number, row.cells, parse_row(row, mapping), ())
    except InvalidError as error:
        return PreviewRow(row.number, row.cells, None, error.problems)


def _share(header: str, rows: Sequence[Mapping[str, Cell]], test: Callable[[str], bool]) -> float:
    """The share of non-empty sample cells that pass; all of them where there is nothing to look at."""
    cells = [str(row[header]) for row in rows if row.get(header, "") != ""]
    return sum(map(test, cells)) / len(cells) if cells else float(not rows)


def _looks_like_phone_cell(text: str) -> bool:
    return _PHONE.fullmatch(text) is not None
