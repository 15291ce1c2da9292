"""The one clock: the database's `app.now()`, which tests can move.

Domain code asks the transaction (`await tx.now()`); Python's own clock serves only to measure how long things take.
"""

import time


def monotonic_seconds() -> float:
    """Seconds on a clock that never goes back, for measuring durations and time limits."""
    return time.monotonic()
