"""The `jobs` queue: whatever runs later and has no table of its own (imports, clean-up, reading mail).

A job's handler works inside the claiming transaction and touches no network, so its effect happens once. A long job
does one slice and asks to be called `Again`: progress survives any crash, and others get their turn.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import takewhile
from types import MappingProxyType

import psycopg
import structlog

from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.job_claims import IS_DUE, PRIORITIES, Job, JobClaims
from switchboard.kernel.queues import WAKE_CHANNEL, Tick, backoff, concerns_batch, wake

QUEUE = "jobs"
MOST_ATTEMPTS = 10
LONGEST_ERROR = 2_000
MOST_JOBS = 100
BATCH_SECONDS = 0.1
# A kind whose last job took longer goes alone.
LONG_SECONDS = 0.02
# Less than the second after which Postgres looks for a deadlock: it is the batch that gives way, never another.
LOCK_MILLISECONDS = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Again:
    """Call the handler again after `after`, with this payload: the next slice of a long job."""

    payload: Mapping[str, object]
    after: timedelta = timedelta(0)


JobHandler = Callable[[Tx, Mapping[str, object]], Awaitable[Again | None]]
JobsHandler = Callable[[Tx, Sequence[Mapping[str, object]]], Awaitable[int]]
"""Does the first of these jobs of one workspace together, one at least, and says how many."""


async def enqueue(
    tx: Tx,
    kind: str,
    payload: Mapping[str, object],
    *,
    key: str | None = None,
    after: timedelta = timedelta(0),
    priority: int = 5,
    hasten: bool = False,
    wakes: bool = True,
) -> None:
    """Add a job in the caller's transaction; with a `key`, a second one of that kind and key is not added.

    A smaller `priority` goes first. A job whose earlier twin has failed for good takes its place; with `hasten` one
    that is due later than this one would be is done as early. A twin that is just being done is waited for. One that
    does not wake the queue is found at the next look, within a second: whatever was woken by the same commit has the
    machine to itself. Raises ValueError for a priority that is none of `PRIORITIES`.
    """
    if priority not in PRIORITIES:
        raise ValueError(f"priority {priority} is none of {PRIORITIES.start} to {PRIORITIES.stop - 1}")
    # Adds the job once a key; uses the unique index job_key.
    await tx.write(
        """
        INSERT INTO app.job (id, workspace_id, kind, key, payload, priority, due_at)
        VALUES (%s, %s, %s, %s, %s, %s, app.now() + %s)
        ON CONFLICT (workspace_id, kind, key) WHERE key IS NOT NULL DO UPDATE
        SET payload = excluded.payload, due_at = excluded.due_at, failed_at = NULL, attempts = 0
        WHERE job.failed_at IS NOT NULL OR %s AND job.due_at > excluded.due_at
        """,
        (new_id(), tx.workspace_id, kind, key, json.dumps(payload, default=str), priority, after, hasten),
    )
    if wakes:
        await wake(tx, QUEUE)


@dataclass(slots=True)
class _Batch:
    """The jobs of one transaction that have run, each with what it asked for."""

    ran: list[tuple[Job, Again | None]] = field(default_factory=list)


class JobLoop:
    """The loop of the jobs queue: a batch of short jobs a transaction, a long one by itself.

    A commit for each would cost more than most jobs. No job harms another: a batch in which one fails, or has to wait
    for a lock, or ends the process, is undone as a whole, and its jobs are taken one by one, then by two, by four.
    Jobs of the kinds in `alone` never share a transaction; those of the kinds in `together` share a handler's call.
    """

    name = QUEUE
    due = IS_DUE

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, JobHandler],
        *,
        together: Mapping[str, JobsHandler] = MappingProxyType({}),
        alone: Collection[str] = (),
    ) -> None:
        self._alone = frozenset(alone)
        self._database = database
        self._handlers = dict(handlers)
        self._together = dict(together)
        self._claims = JobClaims([*handlers, *together])
        self._most = 1
        self._seconds: dict[str, float] = {}

    async def tick(self) -> Tick:
        """Run the most urgent jobs that are due."""
        tick = await self._take_batch(self._most)
        if tick.has_more and not tick.handled:
            # None of them could run beside the others.
            tick = await self._take_batch(1)
        return tick

    async def _take_batch(self, most: int) -> Tick:
        self._most = 1
        try:
            async with self._database.queue_loop() as tx:
                jobs = await self._claims.claim(tx, most)
                tick = await self._work(tx, jobs)
        except BaseException:
            self._claims.reset()
            raise
        if tick.handled == len(jobs):
            self._most = min(most * 2, MOST_JOBS)
        has_new = (WAKE_CHANNEL, QUEUE) in tx.notices
        return replace(tick, has_more=tick.has_more or has_new or len(jobs) == most)

    async def _work(self, tx: Tx, jobs: Sequence[Job]) -> Tick:
        if not jobs:
            return Tick(0, has_more=False)
        jobs, batch = self._grouped(jobs), _Batch()
        try:
            async with tx.savepoint():
                if len(jobs) > 1:
                    # Counts in this transaction only.
                    await tx.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
                await self._run(tx, jobs, batch)
        except Exception as error:
            self._claims.reset()
            if len(jobs) > 1 and isinstance(error, psycopg.errors.LockNotAvailable):
                return Tick(0, has_more=True)
            if concerns_batch(error):
                raise
            failed = jobs[len(batch.ran)]
            if len(jobs) > 1 and failed.kind in self._together:
                # Which of those that were done together it was, nobody knows before each is done by itself.
                return Tick(0, has_more=True)
            await _fail(tx, failed, error)
            return Tick(1, has_more=len(jobs) > 1)
        await _conclude(tx, batch)
        left = jobs[len(batch.ran) :]
        self._claims.give_back(left)
        return Tick(len(batch.ran), has_more=bool(left) or any(again for _, again in batch.ran))

    async def _run(self, tx: Tx, jobs: Sequence[Job], batch: _Batch) -> None:
        """Run them one after the other until the time is over, or the next is a long one: all are held meanwhile."""
        until = monotonic_seconds() + BATCH_SECONDS
        while len(batch.ran) < len(jobs):
            job = jobs[len(batch.ran)]
            goes_alone = job.kind in self._alone or self._seconds.get(job.kind, 0.0) > LONG_SECONDS
            if (goes_alone and len(jobs) > 1) or (batch.ran and monotonic_seconds() >= until):
                return
            await tx.enter_workspace(job.workspace_id)
            tx.newcomers.clear()
            do_together = self._together.get(job.kind)
            if do_together is None:
                batch.ran.append((job, await self._run_one(tx, job)))
            else:
                batch.ran += await _run_together(tx, jobs[len(batch.ran) :], do_together)

    def _grouped(self, jobs: Sequence[Job]) -> list[Job]:
        """In their order, but those that are done together stand where the first of them stood."""
        groups: dict[object, list[Job]] = {}
        for job in jobs:
            key = (job.kind, job.workspace_id) if job.kind in self._together else job.id
            groups.setdefault(key, []).append(job)
        return [job for group in groups.values() for job in group]

    async def _run_one(self, tx: Tx, job: Job) -> Again | None:
        began = monotonic_seconds()
        try:
            return await self._handlers[job.kind](tx, job.payload)
        finally:
            self._seconds[job.kind] = monotonic_seconds() - began


async def _run_together(tx: Tx, jobs: Sequence[Job], do_together: JobsHandler) -> list[tuple[Job, None]]:
    """The first of these, and as many of its kind and workspace behind it as are done with it."""
    first = jobs[0]
    alike = list(takewhile(lambda job: (job.kind, job.workspace_id) == (first.kind, first.workspace_id), jobs))
    done = await do_together(tx, [job.payload for job in alike])
    return [(job, None) for job in alike[:done]]


async def _conclude(tx: Tx, batch: _Batch) -> None:
    finished = [job.id for job, again in batch.ran if again is None]
    slices = [(job.id, again) for job, again in batch.ran if again is not None]
    if finished:
        # Finished work leaves the hot table; by primary key.
        await tx.execute("DELETE FROM app.job WHERE id = ANY(%s)", (finished,))
    for job_id, again in slices:
        # The next slice; by primary key.
        await tx.execute(
            "UPDATE app.job SET payload = %s, due_at = app.now() + %s, attempts = 0 WHERE id = %s",
            (json.dumps(again.payload, default=str), again.after, job_id),
        )


async def _fail(tx: Tx, job: Job, error: Exception) -> None:
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
