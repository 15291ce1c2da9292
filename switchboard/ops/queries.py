"""The statements of the ops room; they read queue tables and catalogs, no tenant's rows."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from switchboard.kernel.db import Tx

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class QueueLag:
    """A queue's due rows, counted up to `MOST_COUNTED`, and the age of the oldest in seconds."""

    name: str
    depth: int
    lag_seconds: float


# Depth and lag of each queue; every part walks its queue's due index from the oldest row and stops at the bound.
_LAGS = f"""
SELECT name, depth, coalesce(extract(epoch FROM app.now() - oldest), 0)::float8 AS lag_seconds FROM (
    SELECT 'signals' AS name, count(*) AS depth, min(due_at) AS oldest FROM (
        SELECT due_at FROM app.signal_due WHERE due_at <= app.now()
        ORDER BY (import_id IS NOT NULL), due_at LIMIT {MOST_COUNTED}) AS due
    UNION ALL
    SELECT 'steps', count(*), min(due_at) FROM (
        SELECT due_at FROM app.run WHERE due_at <= app.now() AND parked IS NULL AND campaign_id IS NULL
        ORDER BY due_at LIMIT {MOST_COUNTED}) AS due
    UNION ALL
    SELECT 'campaign-steps', count(*), min(due_at) FROM (
        SELECT due_at FROM app.run WHERE due_at <= app.now() AND parked IS NULL AND campaign_id IS NOT NULL
        ORDER BY due_at LIMIT {MOST_COUNTED}) AS due
    UNION ALL
    SELECT 'outbox', count(*), min(due_at) FROM (
        SELECT due_at FROM app.outbox WHERE lease_until IS NULL AND due_at <= app.now()
        LIMIT {MOST_COUNTED}) AS due
    UNION ALL
    SELECT 'jobs', count(*), min(due_at) FROM (
        SELECT due_at FROM app.job WHERE failed_at IS NULL AND due_at <= app.now() LIMIT {MOST_COUNTED}) AS due
) AS queue
"""


async def list_queue_lags(tx: Tx) -> list[QueueLag]:
    """Every queue's depth and lag, over all workspaces; the transaction must be a queue loop's."""
    # See the statement.
    return await tx.fetch_all(QueueLag, _LAGS)


async def list_worked_queues(tx: Tx, silence: timedelta) -> set[str]:
    """The queues some process has said it works within `silence`."""
    # A handful of rows.
    rows = await tx.fetch_tuples(
        "SELECT DISTINCT unnest(queues) FROM app.worker WHERE seen_at > app.now() - %s", (silence,)
    )
    return {row[0] for row in rows}


async def lock_first_run(tx: Tx) -> None:
    """Wait until no other process is making the first workspace."""
    # A lock by name, until the transaction ends.
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('app.first_run'))")


async def list_applied_versions(tx: Tx) -> set[int]:
    """The migrations this database has, the skipped optional ones included."""
    # The small ledger.
    return {int(row[0]) for row in await tx.fetch_tuples("SELECT version FROM app.schema_migration")}


async def report_worker(tx: Tx, worker_id: UUID, queues: list[str]) -> None:
    """Say that this process works these queues; it is said again before a lost commit would matter."""
    # By primary key; the commit does not wait for the disk.
    await tx.execute(
        """
        INSERT INTO app.worker (id, queues)
        SELECT %s, %s FROM set_config('synchronous_commit', 'off', true)
        ON CONFLICT (id) DO UPDATE SET seen_at = app.now()
        """,
        (worker_id, queues),
    )


async def forget_silent_workers(tx: Tx) -> None:
    """Forget processes that have been silent for an hour."""
    # A handful of rows.
    await tx.execute("DELETE FROM app.worker WHERE seen_at < app.now() - interval '1 hour'")


async def remove_worker(tx: Tx, worker_id: UUID) -> None:
    """This process stops."""
    # By primary key.
    await tx.execute("DELETE FROM app.worker WHERE id = %s", (worker_id,))
