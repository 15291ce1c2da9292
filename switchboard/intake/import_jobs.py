"""The jobs of an import: a look at the top of the file, then slices of rows that become signals."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from uuid import UUID

import structlog

from switchboard.accounts import service as accounts
from switchboard.intake import repository, repository_imports
from switchboard.intake.batcher import QUEUE
from switchboard.intake.files import Row, Table
from switchboard.intake.files_preview import guess_columns
from switchboard.intake.import_files import ImportFiles
from switchboard.intake.import_relay import OutOfTurnError, Relay, SpoiltSliceError
from switchboard.intake.import_slices import Slice, SliceReader, Wanted, storable
from switchboard.intake.import_tally import add_progress
from switchboard.intake.importing import EXAMINE, RUN, SAMPLE_ROWS, headers_key
from switchboard.intake.models import Import
from switchboard.intake.repository_imports import Progress
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import SwitchboardError, UnavailableError
from switchboard.kernel.events import Event
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.kernel.queues import wake

# What one transaction takes: it holds the rotas of its leads, and live leads are routed by them too.
SLICE_ROWS = 1_000
GUESS_ROWS = 200
# While this many rows wait to be recognised, reading on would only make the queue longer.
MOST_UNSETTLED = 10_000
LONGEST_SAMPLE_CELL = 500

log = structlog.get_logger()


class ImportJobs:
    """The handlers of one process, which share its open files; slices are brought in on connections of `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = ImportFiles()
        self._readers: dict[UUID, SliceReader] = {}

    def handlers(self) -> Mapping[str, JobHandler]:
        """By kind of job."""
        return {EXAMINE: self.examine, RUN: self.run}

    async def examine(self, tx: Tx, payload: Mapping[str, object]) -> None:
        """Find encoding, delimiter, headers and number of rows, and guess the columns; or say why it cannot be read."""
        import_ = await repository_imports.find_import(tx, UUID(str(payload["import_id"])))
        if import_ is None or import_.state != "uploaded":
            return
        try:
            opened = await self._files.open(tx, import_)
            examined = await asyncio.to_thread(_examine, import_, opened.table)
        except SwitchboardError as error:
            self._close(import_.id)
            await _fail(tx, import_, error)
            return
        key = headers_key(examined.sample)
        remembered = await repository_imports.find_remembered_columns(tx, import_.source_id, key)
        if await repository_imports.save_examined(tx, replace(examined, columns=remembered or examined.columns), key):
            await events.append(tx, [Event("import.examined", subject_id=import_.id)])

    async def run(self, tx: Tx, payload: Mapping[str, object]) -> Again | None:
        """Import the next rows; progress is kept with them, so that a crash repeats or loses none."""
        import_ = await repository_imports.find_import(tx, UUID(str(payload["import_id"])))
        if import_ is None or import_.state != "running" or import_.is_read:
            return None
        if import_.rows_read - import_.rows_settled > MOST_UNSETTLED:
            return Again(payload, after=timedelta(milliseconds=200))
        is_quiet = import_.id in await repository_imports.find_quiet(tx, [import_.id])
        try:
            is_read = await (self._run_relay if is_quiet else self._queue_next)(tx, import_)
        except UnavailableError:
            raise
        except SwitchboardError as error:
            self._close(import_.id)
            await _fail(tx, import_, error)
            return None
        if not is_read:
            return Again(payload)
        self._close(import_.id)
        return None

    async def _run_relay(self, tx: Tx, import_: Import) -> bool:
        """Rows that begin no flows are recognised at once; where that fails they wait in the queue like all others.

        There each of them is tried by itself, so that one row cannot hold up the rest.
        """
        reader, wanted = await self._open(tx, import_)

        async def take(position: int) -> Slice:
            return await reader.take(replace(wanted, position=position))

        try:
            return await Relay(self._database, import_, take, SLICE_ROWS).run()
        except OutOfTurnError:
            return False
        except SpoiltSliceError as spoilt:
            log.info("import.one_by_one", error=type(spoilt.__cause__).__name__)
            # Whoever else moved the import on meanwhile has done these rows, too.
            is_ours = await repository_imports.lock_place(tx, import_.id, spoilt.position)
            return is_ours and await _queue(tx, import_, spoilt.taken)

    async def _queue_next(self, tx: Tx, import_: Import) -> bool:
        reader, wanted = await self._open(tx, import_)
        return await _queue(tx, import_, await reader.take(wanted))

    async def _open(self, tx: Tx, import_: Import) -> tuple[SliceReader, Wanted]:
        region = (await accounts.get_workspace(tx)).default_region
        opened = await self._files.open(tx, import_)
        reader = self._readers.get(import_.id)
        if reader is None or reader.opened is not opened:
            reader = self._readers[import_.id] = SliceReader(opened)
        return reader, Wanted.next_of(import_, region, SLICE_ROWS)

    def _close(self, import_id: UUID) -> None:
        self._readers.pop(import_id, None)
        self._files.close(import_id)


async def _queue(tx: Tx, import_: Import, taken: Slice) -> bool:
    """Let the rows wait for recognition like all others; True when they are the last of the file."""
    signals = [row.signal for row in taken.rows]
    stored = await repository.insert_signals(tx, signals) if signals else set()
    if taken.rejected:
        await repository_imports.insert_problems(tx, import_.id, taken.rejected)
    duplicates, is_read = taken.repeated + len(signals) - len(stored), taken.size < SLICE_ROWS
    progress = Progress(read=taken.size, duplicate=duplicates, failed=len(taken.rejected), is_read=is_read)
    await wake(tx, QUEUE)
    await add_progress(tx, import_.id, progress)
    if is_read:
        await repository_imports.delete_chunks(tx, import_.id)
    return is_read


async def _fail(tx: Tx, import_: Import, error: SwitchboardError) -> None:
    if await repository_imports.move_state(
        tx, import_.id, before=["uploaded", "running"], after="failed", detail=error.message
    ):
        await events.append(tx, [Event("import.failed", subject_id=import_.id)])


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
        name: storable(cell[:LONGEST_SAMPLE_CELL]) if isinstance(cell, str) else cell
        for name, cell in row.cells.items()
    }
    return {"number": row.number, "cells": cells, "problems": [problem.as_json() for problem in row.problems]}
