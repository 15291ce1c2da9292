"""Recognition: from a committed signal to a contact, a lead, an owner and running flows, in one transaction.

A batch is claimed across workspaces and handled a workspace at a time. A row that cannot be read gets the outcome
`failed` with its problems and holds nobody up; it can be run again from the source's page once the mapping is mended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from uuid import UUID

import structlog

from switchboard.intake import repository, repository_imports, repository_sources
from switchboard.intake.import_tally import count_imported
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import DueSignal, SignalOutcome, StoredSignal
from switchboard.intake.outcomes import Read, Turns, fail, read_signal, settle
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import Problem
from switchboard.kernel.queues import Tick, backoff, concerns_batch, one_by_one
from switchboard.kernel.turns import QUICK_AT_ONCE, in_turns

MOST_SIGNALS = 500
SIDE_BY_SIDE = 2
# Whoever stops the process waits for so many batches at most.
BATCHES_IN_A_ROW = 8
MOST_ATTEMPTS = 8
# Of fewer signals no statement takes so long that it would be worth while not to wait for it.
FEWEST_AHEAD = 50

log = structlog.get_logger()


class RecognitionLoop:
    """The loop of the signals queue."""

    name = "signals"
    due = repository.IS_DUE

    def __init__(self, database: Database, *, most_signals: int = MOST_SIGNALS) -> None:
        self._database = database
        self._most_signals = most_signals
        self._has_backlog = False

    async def tick(self) -> Tick:
        """Recognise the oldest due signals; of a backlog several batches, side by side."""
        handled = 0
        if not self._has_backlog:
            first = await self._recognise_batch()
            if not first.has_more:
                return first
            handled = first.handled
        return Tick(handled + await self._recognise_backlog(), has_more=True)

    async def _recognise_backlog(self) -> int:
        self._has_backlog = False
        # Postgres writes one batch while Python reads the other. One that fails leaves the other alone.
        ended = await asyncio.gather(*(self._recognise_some() for _ in range(SIDE_BY_SIDE)), return_exceptions=True)
        handled = 0
        for end in ended:
            if isinstance(end, BaseException):
                raise end
            handled += end.handled
            # Then the next tick need not find out by a batch that has nobody beside it.
            self._has_backlog |= end.has_more
        return handled

    async def _recognise_some(self) -> Tick:
        handled, has_more = 0, True
        for _ in range(BATCHES_IN_A_ROW):
            batch = await self._recognise_batch()
            handled, has_more = handled + batch.handled, batch.has_more
            if not has_more:
                break
        return Tick(handled, has_more)

    async def _recognise_batch(self) -> Tick:
        try:
            return await self._recognise_claimed(_recognise_together)
        except Exception as error:
            if concerns_batch(error):
                raise
            # One row spoilt all; nothing is written, and what it was will be logged.
            log.info("signals.one_by_one", error=type(error).__name__)
            return await self._recognise_claimed(_recognise_group)

    async def _recognise_claimed(self, recognise_some: "_Recogniser") -> Tick:
        async with self._database.queue_loop(keeps_plans=True) as tx:
            claimed = await repository.claim_due(tx, self._most_signals)
            # People who wait are not kept until the rows of a file behind them are done too.
            due = [signal for signal in claimed if signal.import_id is None] or claimed
            await tx.expect(len(due))
            for workspace_id, group in groupby(sorted(due, key=_workspace), key=_workspace):
                await tx.enter_workspace(workspace_id)
                await _recognise_loud_and_quiet(tx, list(group), recognise_some)
        return Tick(len(due), has_more=len(claimed) == self._most_signals or len(due) < len(claimed))


def _workspace(signal: DueSignal) -> UUID:
    return signal.workspace_id


_Recogniser = Callable[[Tx, list[DueSignal]], Awaitable[None]]


async def _recognise_loud_and_quiet(tx: Tx, group: list[DueSignal], recognise_some: _Recogniser) -> None:
    """Live signals begin flows; those of an import only when whoever started it said so."""
    imports = {signal.import_id for signal in group if signal.import_id is not None}
    quiet = await repository_imports.find_quiet(tx, imports) if imports else set()
    for is_backfill in (False, True):
        part = [signal for signal in group if (signal.import_id in quiet) is is_backfill]
        if part:
            with tx.backfill(is_backfill=is_backfill), tx.remembering():
                await recognise_some(tx, part)


async def _recognise_together(tx: Tx, group: list[DueSignal]) -> None:
    """All of one workspace, without a savepoint: nearly always nothing fails."""
    if len(group) < FEWEST_AHEAD:
        await recognise(tx, group)
        return
    # Postgres writes contacts while Python thinks of their leads.
    async with tx.ahead():
        await recognise(tx, group, turns=_BesideAnother())


class _BesideAnother:
    """A batch that may have another beside it, which waits for the rota's members from its first decision on."""

    def pass_on(self) -> None:
        """The other one claims addresses when it gets there."""

    async def take(self, tx: Tx) -> None:
        """At the commit the rota would be held all the while."""
        await repository.check_references(tx)


async def _recognise_group(tx: Tx, group: list[DueSignal]) -> None:
    """All of one workspace together; when that fails, one by one, so that a single row cannot hold the rest up."""
    try:
        async with tx.savepoint():
            await recognise(tx, group)
    except Exception as error:
        if concerns_batch(error):
            raise
        # Whatever went wrong, the other rows go on.
        if len(group) == 1:
            await _put_off(tx, group[0], error)
            return
        for signal in one_by_one(group):
            await _recognise_group(tx, [signal])


async def _put_off(tx: Tx, signal: DueSignal, error: Exception) -> None:
    log.error("signal.not_recognised", signal_id=str(signal.signal_id), attempts=signal.attempts + 1, exc_info=error)
    if signal.attempts + 1 < MOST_ATTEMPTS:
        await repository.postpone_due(tx, signal.signal_id, await tx.now() + backoff(signal.attempts + 1))
        return
    problem = Problem("", f"Recognition failed {MOST_ATTEMPTS} times: {type(error).__name__}. Run it again later.")
    await _finish(tx, [fail(signal, problem)], [signal], {})


async def recognise(tx: Tx, due: Sequence[DueSignal], *, turns: Turns | None = None) -> list[SignalOutcome]:
    """Take claimed signals of the transaction's workspace through people, leads and routing; `turns` hears how far."""
    # Whoever came with an earlier part of the transaction has a lead by now, and perhaps runs.
    tx.newcomers.clear()
    received = {signal.id: signal for signal in await repository.load_signals(tx, due)}
    reads = await _read_all(tx, due, received)
    outcomes = await settle(tx, reads, turns=turns)
    await _finish(tx, outcomes, due, received)
    return outcomes


async def _finish(
    tx: Tx, outcomes: Sequence[SignalOutcome], due: Sequence[DueSignal], received: Mapping[UUID, StoredSignal]
) -> None:
    await repository.conclude(tx, outcomes)
    await events.notify_live(tx, {"signal"})
    await count_imported(tx, due, outcomes, {signal.id: signal.payload for signal in received.values()})


async def _read_all(tx: Tx, due: Sequence[DueSignal], received: Mapping[UUID, StoredSignal]) -> list[Read]:
    sources = {source.id: source for source in await tx.remember("sources", repository_sources.list_sources)}
    import_ids = sorted({signal.import_id for signal in due if signal.import_id is not None})
    columns = await repository_imports.load_columns(tx, import_ids) if import_ids else {}
    mappings = {source.id: FieldMapping.from_json(source.mapping) for source in sources.values()}
    mappings |= {import_id: FieldMapping.from_json(mapping) for import_id, mapping in columns.items()}
    # Whoever holds a rota meanwhile must not wait until all have been read.
    return [
        read_signal(signal, sources[signal.source_id], received[signal.signal_id].payload, mappings)
        async for some in in_turns(due, QUICK_AT_ONCE)
        for signal in some
    ]
