"""Bringing kept signals into Postgres: once, however often it is tried."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

import psycopg
import structlog

from switchboard.intake import repository_kept
from switchboard.intake.batcher import QUEUE
from switchboard.intake.models import NewSignal, RefusedSignal
from switchboard.kernel.db import Database
from switchboard.kernel.queues import wake
from switchboard.kernel.telemetry import BROUGHT_IN_SIGNALS

# What concerns what a signal holds and not the server: too much or too deep is among the errors of its operation.
_REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)

log = structlog.get_logger()


async def bring_in(database: Database, signals: Sequence[NewSignal]) -> list[RefusedSignal]:
    """Commit kept signals in the order in which they came; returns those that Postgres refuses for what they hold.

    Raises UnavailableError when it is away again; whatever was committed by then is recognised the next time.
    """
    try:
        await _commit(database, signals)
    except _REFUSALS as error:
        if len(signals) == 1:
            return [_refuse(signals[0], error)]
        # One holds what cannot be stored: the others must not suffer for it.
        half = len(signals) // 2
        return [*await bring_in(database, signals[:half]), *await bring_in(database, signals[half:])]
    BROUGHT_IN_SIGNALS.inc(len(signals))
    return []


def _refuse(signal: NewSignal, error: psycopg.Error) -> RefusedSignal:
    # The details of the error may quote what the signal holds.
    reason = f"{type(error).__name__}: {error.diag.message_primary}"
    log.error("intake.kept_signal_refused", signal_id=str(signal.id), source_id=str(signal.source_id), reason=reason)
    return RefusedSignal(signal, reason)


async def _commit(database: Database, signals: Sequence[NewSignal]) -> None:
    first_of_key: dict[tuple[UUID, UUID], NewSignal] = {}
    for signal in signals:
        first_of_key.setdefault((signal.source_id, signal.key), signal)
    distinct = sorted(first_of_key.values(), key=lambda signal: signal.workspace_id)
    async with database.directory() as tx:
        for workspace_id, group in groupby(distinct, key=lambda signal: signal.workspace_id):
            await tx.enter_workspace(workspace_id)
            await repository_kept.insert_kept_signals(tx, list(group))
        await wake(tx, QUEUE)
