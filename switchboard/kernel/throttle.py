"""Rate limits that all processes share: GCRA, one row a key."""

from datetime import timedelta

from switchboard.kernel.db import Tx
from switchboard.kernel.errors import ThrottledError


async def spend(tx: Tx, key: str, *, every: timedelta, burst: int) -> None:
    """Spend one of `burst` tries, which come back one `every`; raises ThrottledError when none is left.

    The caller commits it before the thing it limits is tried, so that a failure of that thing keeps the try spent.
    """
    # One row by primary key; nothing is written when the allowance is used up.
    spent = await tx.fetch_value(
        """
        INSERT INTO app.throttle AS t (key, full_again_at) VALUES (%(key)s, app.now() + %(every)s)
        ON CONFLICT (key) DO UPDATE SET full_again_at = greatest(t.full_again_at, app.now()) + %(every)s
        WHERE greatest(t.full_again_at, app.now()) + %(every)s <= app.now() + %(every)s * %(burst)s
        RETURNING true
        """,
        {"key": key, "every": every, "burst": burst},
    )
    if spent is None:
        seconds = max(1, round(every.total_seconds()))
        raise ThrottledError(f"Too many tries. Wait {seconds} seconds, then try again.", retry_after_seconds=seconds)


async def forget_stale(tx: Tx) -> int:
    """Drop the keys that have their full allowance again; walks the index throttle_stale."""
    return await tx.execute("DELETE FROM app.throttle WHERE full_again_at < app.now()")
