"""Rows of a file that begin no flows: from the sheet to contacts and leads in one transaction, without the queue.

They become the same signals, keys and outcomes as all others, and go through the same recognition.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from switchboard.intake import repository, repository_imports
from switchboard.intake.import_slices import Slice, SliceRow
from switchboard.intake.import_tally import count_outcomes, list_rejected
from switchboard.intake.models import DueSignal, Import
from switchboard.intake.outcomes import Read, Turns, settle
from switchboard.intake.repository_imports import Progress
from switchboard.kernel import events
from switchboard.kernel.db import Tx


async def recognise_slice(tx: Tx, import_: Import, taken: Slice, turns: Turns) -> Progress:
    """Store and recognise the rows; says what became of them, for the import's report.

    `turns` is told when all addresses are claimed, and asked before anything behind contacts is touched.
    """
    rows = await _store(tx, taken.rows)
    reads = await _reads(tx, rows)
    with tx.backfill(is_backfill=True), tx.remembering():
        tx.newcomers.clear()
        outcomes = await settle(tx, reads, [row.seen for row in rows], turns=turns) if reads else []
    turns.pass_on()
    await turns.take(tx)
    await repository.insert_outcomes(tx, outcomes)
    await events.notify_live(tx, {"signal"})
    cells = {row.signal.id: row.cells for row in rows}
    problems = [*taken.rejected, *list_rejected([each.due for each in reads], outcomes, cells)]
    if problems:
        await repository_imports.insert_problems(tx, import_.id, problems)
    counted = count_outcomes(outcomes)
    return replace(
        counted,
        read=taken.size,
        duplicate=taken.repeated + len(taken.rows) - len(rows),
        failed=counted.failed + len(taken.rejected),
    )


async def _store(tx: Tx, rows: Sequence[SliceRow]) -> list[SliceRow]:
    stored = await repository.insert_undue_signals(tx, [row.signal for row in rows]) if rows else set()
    return [row for row in rows if row.signal.id in stored]


async def _reads(tx: Tx, rows: Sequence[SliceRow]) -> list[Read]:
    now = await tx.now()
    return [Read(_due(row, now), row.said.parsed, row.said.problems) for row in rows]


def _due(row: SliceRow, now: datetime) -> DueSignal:
    signal = row.signal
    return DueSignal(
        signal.id, signal.workspace_id, signal.source_id, now, signal.import_id, signal.import_row, attempts=0
    )
