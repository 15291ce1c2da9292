"""The logs that are partitioned by month: what makes room for the months to come, and lets those past their time go."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, cast

from switchboard.kernel.db import Tx

PARTITIONED: Mapping[str, str] = {
    "event": "at",
    "signal_outcome": "received_at",
    "signal": "received_at",
    "attempt": "ended_at",
    "run_step": "at",
}
"""Each with the column that says when. What came of a signal goes before the signal itself."""

Dropping = Literal["dropped", "nothing", "in_use", "busy"]


def first_of_month(instant: datetime, months_back: int) -> datetime:
    """Midnight UTC of the first day of the month that lies so many months before an instant's own."""
    month = instant.astimezone(UTC)
    year, index = divmod(month.year * 12 + month.month - 1 - months_back, 12)
    return datetime(year, index + 1, 1, tzinfo=UTC)


async def ensure_partition(tx: Tx, parent: str, months_ahead: int) -> None:
    """Make a month's partition unless it is there."""
    # Touches catalogs only.
    await tx.execute(
        "SELECT app.ensure_partition(%s, (app.now() + make_interval(months => %s))::date)", (parent, months_ahead)
    )


async def drop_oldest_month(tx: Tx, parent: str, before: datetime) -> Dropping:
    """Drop the oldest month of a log that was over by `before`, with its partition.

    `in_use` while work under way needs its rows, `busy` when the log was in use throughout a fifth of a second. The
    log is locked until the transaction ends: nothing that takes long may follow.
    """
    # Catalogs, and a look at the primary key of a queue.
    return cast(
        Dropping, await tx.fetch_value("SELECT app.drop_oldest_month(%s, %s)", (parent, before.astimezone(UTC).date()))
    )


async def delete_strays(tx: Tx, parent: str, before: datetime, most: int) -> int:
    """Delete rows of the workspace from before an instant that lie in no month's partition; says how many they were.

    Rows come there when nobody had made room for their month, as after long standstill.
    """
    column = PARTITIONED[parent]
    # Reads the default partition, which is empty as a rule, and held back months, which are one or two.
    return await tx.execute(
        f"""
        DELETE FROM app.{parent} WHERE workspace_id = %(workspace)s AND {column} < %(before)s
          AND tableoid = 'app.{parent}_default'::regclass AND ctid = ANY (ARRAY(
            SELECT ctid FROM app.{parent} WHERE workspace_id = %(workspace)s AND {column} < %(before)s
              AND tableoid = 'app.{parent}_default'::regclass AND NOT app.is_log_in_use(%(log)s, %(day)s)
            LIMIT %(most)s
        ))
        """,
        {"workspace": tx.workspace_id, "before": before, "day": before.date(), "log": parent, "most": most},
    )


async def note_kept_since(tx: Tx, log: str, since: datetime | None) -> None:
    """Say since when a log is kept by the settings, None for always; what is gone already does not come back."""
    # One row by primary key, written when it changes.
    await tx.execute(
        """
        INSERT INTO app.log_keeping AS l (log, kept_since) VALUES (%(log)s, %(since)s)
        ON CONFLICT (log) DO UPDATE SET kept_since = greatest(excluded.kept_since, l.dropped_before)
        WHERE l.kept_since IS DISTINCT FROM greatest(excluded.kept_since, l.dropped_before)
        """,
        {"log": log, "since": since},
    )
