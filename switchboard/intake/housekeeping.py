"""Once a day: forget keys whose time is over, and make room for the months to come."""

from collections.abc import Mapping
from datetime import timedelta

from switchboard.intake import repository_signals
from switchboard.kernel.db import Tx
from switchboard.kernel.jobs import Again
from switchboard.kernel.partitions import PARTITIONED, ensure_partition

KIND = "intake.housekeeping"
MOST_KEYS = 5_000
MONTHS_AHEAD = 2
NEXT_DAY = timedelta(days=1)


async def clean_up(tx: Tx, payload: Mapping[str, object]) -> Again:
    """The handler: a batch of keys at a time, then the partitions, then tomorrow again."""
    deleted = await repository_signals.delete_expired_keys(tx, MOST_KEYS)
    if deleted == MOST_KEYS:
        return Again(payload)
    for parent in PARTITIONED:
        for months in range(MONTHS_AHEAD + 1):
            await ensure_partition(tx, parent, months)
    return Again(payload, after=NEXT_DAY)
