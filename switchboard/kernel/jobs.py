"""The `jobs` queue: whatever runs later and has no table of its own (imports, clean-up, reading mail).

A job's handler works inside the claiming transaction and touches no network, so its effect happens once. A long job
does one slice and asks to be called `Again`: progress survives any crash, and others get their turn.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import Tick, backoff, wake

QUEUE = "jobs"
MOST_ATTEMPTS = 10
LONGEST_ERROR = 2_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Again:
    """Call the handler again after `after`, with this payload: the next slice of a long job."""

    payload: Mapping[str, object]
    after: timedelta = timedelta(0)


JobHandler = Callable[[Tx, Mapping[str, object]], Awaitable[Again | None]]


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed row of `app.job`."""

    id: UUID
    workspace_id: UUID
    kind: str
    payload: dict[str, object]
    attempts: int


async def enqueue(
    tx: Tx,
    kind: str,
    payload: Mapping[str, object],
    *,
    key: str | None = None,
    after: timedelta = timedelta(0),
    priority: int = 5,
    hasten: bool = False,
) -> None:
    """Add a job in the caller's transaction; with a `key`, a second one of that kind and key is not added.

    A smaller `priority` goes first. A job whose earlier twin has failed for good takes its place; with `hasten` one
    that is due later than this one would be is done as early. A twin that is just being done is waited for.
    """
    # Adds the job once a key; uses the unique index job_key.
    await tx.execute(
        """
        INSERT INTO app.job (id, workspace_id, kind, key, payload, priority, due_at)
        VALUES (%s, %s, %s, %s, %s, %s, app.now() + %s)
        ON CONFLICT (workspace_id, kind, key) WHERE key IS NOT NULL DO UPDATE
        SET payload = excluded.payload, due_at = excluded.due_at, failed_at = NULL, attempts = 0
        WHERE job.failed_at IS NOT NULL OR %s AND job.due_at > excluded.due_at
        """,
        (new_id(), tx.workspace_id, kind, key, json.dumps(payload, default=str), priority, after, hasten),
    )
    await wake(tx, QUEUE)


class JobLoop:
    """The loop of the jobs queue: one job a transaction, because jobs differ in length."""

    name = QUEUE

    def __init__(self, database: Database, handlers: Mapping[str, JobHandler]) -> None:
        self._database = database
        self._handlers = dict(handlers)

    async def tick(self) -> Tick:
        """Run the most urgent job that is due."""
        async with self._database.queue_loop() as tx:
            job = await self._claim(tx)
            if job is None:
                return Tick(0, has_more=False)
            await tx.enter_workspace(job.workspace_id)
            await self._run(tx, job)
        return Tick(1, has_more=True)

    async def _claim(self, tx: Tx) -> Job | None:
        # The first due job of a kind this process knows; walks the partial index job_due.
        return await tx.find_one(
            Job,
            """
            SELECT id, workspace_id, kind, payload, attempts FROM app.job
            WHERE failed_at IS NULL AND due_at <= app.now() AND kind = ANY(%s)
            ORDER BY priority, due_at LIMIT 1 FOR UPDATE SKIP LOCKED
            """,
            (list(self._handlers),),
        )

    async def _run(self, tx: Tx, job: Job) -> None:
        try:
            async with tx.savepoint():
                again = await self._handlers[job.kind](tx, job.payload)
        except Exception as error:  # noqa: BLE001 whatever a handler raises is kept on the job and tried again
            await self._fail(tx, job, error)
            return
        if again is None:
            # Finished work leaves the hot table; by primary key.
            await tx.execute("DELETE FROM app.job WHERE id = %s", (job.id,))
        else:
            # The next slice; by primary key.
            await tx.execute(
                "UPDATE app.job SET payload = %s, due_at = app.now() + %s, attempts = 0 WHERE id = %s",
                (json.dumps(again.payload, default=str), again.after, job.id),
            )

    async def _fail(self, tx: Tx, job: Job, error: Exception) -> None:
        attempts = job.attempts + 1
        log.error("job.failed", job_id=str(job.id), kind=job.kind, attempts=attempts, exc_info=error)
        # Tried again later, or set aside for a person after the last attempt; by primary key.
        await tx.execute(
            """
            UPDATE app.job SET attempts = %(attempts)s, last_error = %(error)s, due_at = app.now() + %(pause)s,
                failed_at = CASE WHEN %(attempts)s >= %(most)s THEN app.now() END
            WHERE id = %(id)s
            """,
            {
                "id": job.id,
                "attempts": attempts,
                "most": MOST_ATTEMPTS,
                "pause": backoff(attempts),
                "error": f"{type(error).__name__}: {error}"[:LONGEST_ERROR],
            },
        )
