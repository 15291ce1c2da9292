"""Once a day: forget keys whose time is over, and make room for the months to come."""

from collections.abc import Mapping
from datetime import timedelta

import psycopg
import structlog

from switchboard.intake import repository_signals
from switchboard.kernel.db import Tx
from switchboard.kernel.jobs import Again

KIND = "intake.housekeeping"
MOST_KEYS = 5_000
PARENTS = ("signal", "signal_outcome", "event")
MONTHS_AHEAD = 2
NEXT_DAY = timedelta(days=1)

log = structlog.get_logger()


async def clean_up(tx: Tx, payload: Mapping[str, object]) -> Again:
    """The handler: a batch of keys at a time, then the partitions, then tomorrow again."""
    deleted = await repository_signals.delete_expired_keys(tx, MOST_KEYS)
    if deleted == MOST_KEYS:
        return Again(payload)
    for parent in PARENTS:
        for months in range(MONTHS_AHEAD + 1):
            await _ensure_partition(tx, parent, months)
    return Again(payload, after=NEXT_DAY)


async def _ensure_partition(tx: Tx, parent: str, months_ahead: int) -> None:
    try:
        async with tx.savepoint():
            await repository_signals.ensure_partition(tx, parent, months_ahead)
    except psycopg.errors.CheckViolation:
        # Rows of that month lie in the default partition already; they stay there, which is only less tidy.
        log.info("intake.partition_skipped", parent=parent, months_ahead=months_ahead)
