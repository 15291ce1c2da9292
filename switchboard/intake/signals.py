"""The payload log: what came in, what became of it, and running it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.intake import repository_imports, repository_signals
from switchboard.intake.batcher import QUEUE
from switchboard.intake.errors import SignalMissingError
from switchboard.intake.models import LoggedSignal, SignalHistory, SignalStep, StoredSignal
from switchboard.intake.repository_signals import Bounds
from switchboard.intake.service import access_source
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.kernel.queues import wake

PAGE_ROWS = 50
MOST_OF_LEAD = 50
# Older failures are history: what they wanted has long been settled by hand.
FAILURES_OF = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SignalPage:
    """One page of the payload log, newest first; the cursors lead to the pages beside it, None where there is none."""

    signals: tuple[LoggedSignal, ...]
    newer_than: UUID | None
    older_than: UUID | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A signal's way so far: whether it waits, its outcomes newest first, and what happened to its lead since."""

    signal: StoredSignal
    is_due: bool
    history: tuple[SignalHistory, ...]
    steps: tuple[SignalStep, ...]


async def access_signal(tx: Tx, caller: Caller, signal_id: UUID) -> StoredSignal:
    """A signal of the caller's workspace; raises SignalMissingError, for a stranger's as well."""
    caller.require("viewer")
    signal = await repository_signals.find_signal(tx, signal_id)
    if signal is None:
        raise SignalMissingError
    return signal


async def list_signals(tx: Tx, caller: Caller, source_id: UUID, bounds: Bounds) -> SignalPage:
    """A page of a source's log; raises SourceMissingError."""
    await access_source(tx, caller, source_id)
    found = await repository_signals.list_signals(tx, source_id, bounds, PAGE_ROWS + 1)
    is_upward = bounds.newer_than is not None
    has_more = len(found) > PAGE_ROWS
    rows = found[-PAGE_ROWS:] if is_upward else found[:PAGE_ROWS]
    has_newer = has_more if is_upward else bounds.older_than is not None
    has_older = True if is_upward else has_more
    return SignalPage(
        tuple(rows), rows[0].id if rows and has_newer else None, rows[-1].id if rows and has_older else None
    )


async def list_failed_signals(tx: Tx, caller: Caller, source_id: UUID) -> SignalPage:
    """The newest of a source's signals that stand failed, at most a page of them."""
    await access_source(tx, caller, source_id)
    since = await tx.now() - FAILURES_OF
    return SignalPage(tuple(await repository_signals.list_failed_signals(tx, source_id, since, PAGE_ROWS)), None, None)


async def list_signals_of_lead(tx: Tx, lead_id: UUID) -> list[LoggedSignal]:
    """The signals that opened or joined a lead of the transaction's workspace, newest first, at most 50."""
    return await repository_signals.list_signals_of_lead(tx, lead_id, MOST_OF_LEAD)


async def find_passage(tx: Tx, caller: Caller, signal_id: UUID) -> Passage:
    """Where a signal stands on its way; raises SignalMissingError."""
    signal = await access_signal(tx, caller, signal_id)
    history = await repository_signals.list_history(tx, signal)
    steps: list[SignalStep] = []
    if history and history[0].contact_id is not None and history[0].lead_id is not None:
        last = history[0]
        steps = await repository_signals.list_steps(tx, history[0].contact_id, history[0].lead_id, last.at)
    return Passage(signal, await repository_signals.is_due(tx, signal_id), tuple(history), tuple(steps))


async def run_again(tx: Tx, caller: Caller, signal_id: UUID) -> StoredSignal:
    """Recognise a signal once more, by the mapping as it is now; a signal that waits already goes on waiting."""
    caller.require("agent")
    signal = await access_signal(tx, caller, signal_id)
    await _requeue(tx, caller, signal.source_id, [signal])
    return signal


async def run_failed_again(tx: Tx, caller: Caller, source_id: UUID) -> int:
    """Recognise again what stands failed, at most 1,000 signals; returns how many."""
    caller.require("agent")
    await access_source(tx, caller, source_id)
    since = await tx.now() - FAILURES_OF
    failed = await repository_signals.list_failed_signals(tx, source_id, since, repository_signals.MOST_RERUN)
    again = [
        StoredSignal(row.id, row.source_id, row.received_at, row.payload, row.import_id, row.import_row)
        for row in failed
    ]
    return await _requeue(tx, caller, source_id, again) if again else 0


async def _requeue(tx: Tx, caller: Caller, source_id: UUID, signals: Sequence[StoredSignal]) -> int:
    added = await repository_signals.insert_due(tx, signals)
    await repository_imports.take_back_problems(tx, [signal.id for signal in signals if signal.import_id is not None])
    await events.append(
        tx, [Event("signal.run_again", subject_id=source_id, actor=caller.actor, data={"signals": added})]
    )
    await wake(tx, QUEUE)
    return added
