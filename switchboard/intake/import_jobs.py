"""The jobs of an import: a look at the top of the file, then slices of rows that become signals."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from uuid import UUID

import msgspec

from switchboard.intake import repository, repository_imports
from switchboard.intake.app import CONTENT_WINDOW, OWN_ID_WINDOW
from switchboard.intake.batcher import QUEUE
from switchboard.intake.files import Row, Table
from switchboard.intake.files_preview import guess_columns
from switchboard.intake.formats.coercion import as_text
from switchboard.intake.formats.dedupe import dedupe_key
from switchboard.intake.formats.payloads import Payload
from switchboard.intake.import_files import ImportFiles
from switchboard.intake.import_tally import add_progress, reason
from switchboard.intake.importing import EXAMINE, RUN, SAMPLE_ROWS, headers_key
from switchboard.intake.mapping import FieldMapping, flatten
from switchboard.intake.models import Import, NewSignal
from switchboard.intake.repository_imports import ImportProblem, Progress
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import SwitchboardError
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.kernel.queues import wake

SLICE_ROWS = 2_000
GUESS_ROWS = 200
# While this many rows wait to be recognised, reading on would only make the queue longer.
MOST_UNSETTLED = 10_000
LONGEST_SAMPLE_CELL = 500


@dataclass(frozen=True, slots=True)
class _Slice:
    """Rows of a file, made ready for the database: signals, each key once, and rows that cannot become one."""

    signals: list[NewSignal]
    rejected: list[ImportProblem]
    repeated: int
    rows: int


class ImportJobs:
    """The handlers of one process, which share its open files."""

    def __init__(self) -> None:
        self._files = ImportFiles()

    def handlers(self) -> Mapping[str, JobHandler]:
        """By kind of job."""
        return {EXAMINE: self.examine, RUN: self.run_slice}

    async def examine(self, tx: Tx, payload: Mapping[str, object]) -> None:
        """Find encoding, delimiter, headers and number of rows, and guess the columns; or say why it cannot be read."""
        import_ = await repository_imports.find_import(tx, UUID(str(payload["import_id"])))
        if import_ is None or import_.state != "uploaded":
            return
        try:
            opened = await self._files.open(tx, import_)
            examined = await asyncio.to_thread(_examine, import_, opened.table)
        except SwitchboardError as error:
            self._files.close(import_.id)
            await _fail(tx, import_, error)
            return
        key = headers_key(examined.sample)
        remembered = await repository_imports.find_remembered_columns(tx, import_.source_id, key)
        if await repository_imports.save_examined(tx, replace(examined, columns=remembered or examined.columns), key):
            await events.append(tx, [Event("import.examined", subject_id=import_.id)])

    async def run_slice(self, tx: Tx, payload: Mapping[str, object]) -> Again | None:
        """Make signals of the next rows; progress is kept with them, so that a crash repeats or loses none."""
        import_ = await repository_imports.find_import(tx, UUID(str(payload["import_id"])))
        if import_ is None or import_.state != "running" or import_.is_read:
            return None
        if import_.rows_read - import_.rows_settled > MOST_UNSETTLED:
            return Again(payload, after=timedelta(milliseconds=200))
        try:
            taken = await self._take_slice(tx, import_)
        except SwitchboardError as error:
            self._files.close(import_.id)
            await _fail(tx, import_, error)
            return None
        await _store(tx, import_, taken)
        if taken.rows == SLICE_ROWS:
            return Again(payload)
        self._files.close(import_.id)
        await repository_imports.delete_chunks(tx, import_.id)
        return None

    async def _take_slice(self, tx: Tx, import_: Import) -> _Slice:
        opened = await self._files.open(tx, import_)
        rows = await asyncio.to_thread(opened.read, import_.rows_read, SLICE_ROWS)
        return await asyncio.to_thread(_make_slice, import_, rows)


async def _fail(tx: Tx, import_: Import, error: SwitchboardError) -> None:
    if await repository_imports.move_state(
        tx, import_.id, before=["uploaded", "running"], after="failed", detail=error.message
    ):
        await events.append(tx, [Event("import.failed", subject_id=import_.id)])


async def _store(tx: Tx, import_: Import, taken: _Slice) -> None:
    stored = await repository.insert_signals(tx, taken.signals) if taken.signals else set()
    if taken.rejected:
        await repository_imports.insert_problems(tx, import_.id, taken.rejected)
    duplicates = taken.repeated + len(taken.signals) - len(stored)
    progress = Progress(
        read=taken.rows, duplicate=duplicates, failed=len(taken.rejected), is_read=taken.rows < SLICE_ROWS
    )
    await wake(tx, QUEUE)
    await add_progress(tx, import_.id, progress)


def _examine(import_: Import, table: Table) -> Import:
    top = list(islice(table.rows(), GUESS_ROWS))
    sample = {
        "headers": list(table.headers),
        "rows": [_sample_row(row) for row in top[:SAMPLE_ROWS]],
    }
    columns = guess_columns(table.headers, [row.cells for row in top])
    return replace(
        import_,
        sample=sample,
        columns=columns,
        rows_total=table.count_rows(),
        encoding=table.encoding,
        delimiter=table.delimiter,
    )


def _sample_row(row: Row) -> dict[str, object]:
    cells = {
        name: _storable(cell[:LONGEST_SAMPLE_CELL]) if isinstance(cell, str) else cell
        for name, cell in row.cells.items()
    }
    return {"number": row.number, "cells": cells, "problems": [problem.as_json() for problem in row.problems]}


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _make_slice(import_: Import, rows: Sequence[Row]) -> _Slice:
    mapping = FieldMapping.from_json(import_.columns)
    by_key: dict[UUID, NewSignal] = {}
    rejected = []
    for row in rows:
        if row.problems:
            cells = {name: _storable(cell) if isinstance(cell, str) else cell for name, cell in row.cells.items()}
            why = reason([problem.as_json() for problem in row.problems])
            rejected.append(ImportProblem(row.number, why, cells))
            continue
        signal = _new_signal(import_, row, mapping)
        by_key.setdefault(signal.key, signal)
    repeated = len(rows) - len(rejected) - len(by_key)
    return _Slice(list(by_key.values()), rejected, repeated, len(rows))


def _new_signal(import_: Import, row: Row, mapping: FieldMapping) -> NewSignal:
    # Postgres keeps every character but this one.
    raw = msgspec.json.encode(row.cells).replace(b"\\u0000", b"\\ufffd")
    rule = mapping.rules.get("source_own_id")
    own_id = as_text(rule.read(flatten(row.cells)), 200) if rule else None
    # The same row twice in one file is one signal; in another file it is news from the sender.
    space = import_.source_id if own_id else import_.id
    return NewSignal(
        id=new_id(),
        workspace_id=import_.workspace_id,
        source_id=import_.source_id,
        key=dedupe_key(space, None, own_id, Payload(raw, row.cells)),
        window_seconds=OWN_ID_WINDOW if own_id else CONTENT_WINDOW,
        payload=raw.decode(),
        import_id=import_.id,
        import_row=row.number,
    )
