"""The one clock: the database's `app.now()`, which tests can move.

Domain code asks the transaction (`await tx.now()`); Python's own clock serves only to measure how long things take.
"""

import time
from datetime import UTC, datetime


def monotonic_seconds() -> float:
    """Seconds on a clock that never goes back, for measuring durations and time limits."""
    return time.monotonic()


def wall_time() -> datetime:
    """The hour as other machines have it, for what they check against their own clocks, such as signatures.

    Nothing of ours is decided by it: tests cannot move it.
    """
    return datetime.now(UTC)
