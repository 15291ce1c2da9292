"""The loops' promises: failures are survived, notices wake, stopping finishes the batch in hand."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from switchboard.kernel import jobs, queues
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, UnavailableError
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import Again, JobLoop
from switchboard.kernel.queues import Tick, Worker, backoff, concerns_batch, one_by_one
from tests.conftest import Urls, move_clock
from tests.processes import eventually


class FailingOnce:
    """A loop whose first batch fails."""

    name = "failing-once"

    def __init__(self) -> None:
        self.calls = 0
        self.recovered = asyncio.Event()
        self.closed = False

    async def tick(self) -> Tick:
        self.calls += 1
        if self.calls == 1:
            raise psycopg.OperationalError("the server closed the connection")
        self.recovered.set()
        return Tick(0, has_more=False)

    async def close(self) -> None:
        self.closed = True


async def test_a_loop_outlives_a_failed_batch_and_is_closed_at_the_end(database: Database) -> None:
    loop = FailingOnce()
    worker = Worker([loop], database)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(loop.recovered.wait(), 5)
    worker.stop()
    await asyncio.wait_for(running, 5)
    assert worker.states[loop.name].failures == 1
    assert loop.closed


class Slow:
    """A loop whose claim takes longer than a statement may; then the server is gone, and then a row is too large."""

    name = "slow"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._errors = [
            psycopg.OperationalError("the server closed the connection"),
            psycopg.errors.ProgramLimitExceeded("index row size exceeds maximum"),
        ]
        self.done = asyncio.Event()
        self.has_timed_out = False

    async def tick(self) -> Tick:
        if not self.has_timed_out:
            self.has_timed_out = True
            async with self._database.queue_loop() as tx:
                await tx.execute("SET LOCAL statement_timeout = '10ms'")
                await tx.execute("SELECT pg_sleep(60)")
        if self._errors:
            raise self._errors.pop(0)
        self.done.set()
        return Tick(0, has_more=False)


async def test_a_statement_that_takes_too_long_is_not_logged_as_a_database_that_is_away(database: Database) -> None:
    loop = Slow(database)
    worker = Worker([loop], database)
    with capture_logs() as logs:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(loop.done.wait(), 10)
        worker.stop()
        await asyncio.wait_for(running, 5)
    assert [(entry["event"], entry["queue"], entry["log_level"]) for entry in logs] == [
        ("queue.statement_timed_out", "slow", "error"),
        ("queue.waiting_for_database", "slow", "warning"),
        ("queue.batch_failed", "slow", "error"),
    ]
    assert isinstance(logs[0]["exc_info"], psycopg.errors.QueryCanceled)


@pytest.mark.parametrize(
    ("error", "is_about_all"),
    [
        (psycopg.OperationalError("the server closed the connection"), True),
        (psycopg.errors.DeadlockDetected("deadlock detected"), True),
        (UnavailableError("These people are being changed.", retry_after_seconds=1), True),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), False),
        (psycopg.errors.ProgramLimitExceeded("index row size exceeds maximum"), False),
        (psycopg.errors.StatementTooComplex("stack depth limit exceeded"), False),
        (psycopg.errors.CheckViolation("violates a constraint"), False),
        (InvalidError("The condition cannot be decided."), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_says_nothing_of_any_row_concerns_the_batch(error: Exception, is_about_all: bool) -> None:
    assert concerns_batch(error) is is_about_all


def test_one_by_one_begins_no_further_row_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(one_by_one([1, 2, 3])) == [1, 2, 3]
    monkeypatch.setattr(queues, "ONE_BY_ONE_SECONDS", 0.0)
    assert list(one_by_one([1, 2, 3])) == [1]


class Noting:
    """A loop that notes when it has its turn."""

    def __init__(self, name: str, seen: asyncio.Queue[str]) -> None:
        self.name = name
        self._seen = seen

    async def tick(self) -> Tick:
        self._seen.put_nowait(self.name)
        return Tick(0, has_more=False)


class PatientlyNoting(Noting):
    """One whose work nobody waits for."""

    patience_seconds = 0.1


async def test_of_those_woken_together_a_patient_loop_comes_last(database: Database) -> None:
    seen = asyncio.Queue[str]()
    worker = Worker([PatientlyNoting("patient", seen), Noting("prompt", seen)], database)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        assert [await seen.get() for _ in range(2)] == ["patient", "prompt"]
        async with database.directory() as tx:
            await queues.wake(tx, "patient")
            await queues.wake(tx, "prompt")
        assert [await seen.get() for _ in range(2)] == ["prompt", "patient"]
    worker.stop()
    await asyncio.wait_for(running, 5)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 5), (2, 10), (5, 80), (30, 3600), (10_000, 3600)])
def test_backoff_doubles_up_to_an_hour_with_a_quarter_of_jitter(attempts: int, seconds: int) -> None:
    for _ in range(50):
        assert 0.75 * seconds <= backoff(attempts).total_seconds() <= 1.25 * seconds


Payload = Mapping[str, object]


async def _enqueue(database: Database, workspace_id: UUID, payload: Payload, key: str | None = None) -> None:
    async with database.transaction(workspace_id) as tx:
        await jobs.enqueue(tx, "count", payload, key=key)


async def test_a_job_runs_once_and_leaves_the_table(database: Database, workspace_id: UUID) -> None:
    seen: list[Payload] = []

    async def count(_tx: Tx, payload: Payload) -> None:
        seen.append(payload)

    await _enqueue(database, workspace_id, {"n": 1})
    loops = [JobLoop(database, {"count": count}) for _ in range(4)]
    ticks = await asyncio.gather(*(loop.tick() for loop in loops))
    assert sum(tick.handled for tick in ticks) == 1
    assert seen == [{"n": 1}]
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.job WHERE kind = 'count'") == 0


async def test_a_long_job_goes_on_slice_by_slice(database: Database, workspace_id: UUID) -> None:
    async def count(_tx: Tx, payload: Payload) -> Again | None:
        left = int(str(payload["left"]))
        return Again({"left": left - 1}) if left else None

    await _enqueue(database, workspace_id, {"left": 3})
    loop = JobLoop(database, {"count": count})
    handled = 0
    while (tick := await loop.tick()).handled:
        handled += tick.handled
    assert handled == 4


async def test_a_failing_job_writes_nothing_is_tried_again_and_is_set_aside_at_last(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async def fail(tx: Tx, _payload: Payload) -> None:
        await tx.execute("INSERT INTO app.throttle VALUES ('half done', app.now())")
        raise ValueError("no luck")

    await _enqueue(database, workspace_id, {})
    loop = JobLoop(database, {"count": fail})
    for attempt in range(jobs.MOST_ATTEMPTS):
        await move_clock(urls, f"{attempt * 2} hours")
        assert (await loop.tick()).handled == 1
        assert (await loop.tick()).handled == 0
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT attempts, last_error, failed_at IS NOT NULL FROM app.job WHERE kind = 'count'"
        )
        assert rows == [(jobs.MOST_ATTEMPTS, "ValueError: no luck", True)]
        assert await tx.fetch_value("SELECT count(*) FROM app.throttle") == 0


async def test_a_key_is_one_job(database: Database, workspace_id: UUID) -> None:
    await asyncio.gather(*(_enqueue(database, workspace_id, {"n": n}, key="nightly") for n in range(5)))
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.job WHERE kind = 'count'") == 1


async def test_a_strangers_jobs_are_invisible(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID
) -> None:
    await _enqueue(database, workspace_id, {})
    async with database.transaction(strangers_workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.job WHERE kind = 'count'") == 0


async def test_a_notice_wakes_a_loop_at_once(database: Database, workspace_id: UUID, urls: Urls) -> None:
    woken = asyncio.Event()

    async def count(_tx: Tx, _payload: Payload) -> None:
        woken.set()

    worker = Worker([JobLoop(database, {"count": count})], database)
    running = asyncio.create_task(worker.run())
    async with database.transaction(workspace_id) as tx:
        await jobs.enqueue(tx, "count", {}, after=timedelta(0))
    await asyncio.wait_for(woken.wait(), 5)
    worker.stop()
    await asyncio.wait_for(running, 5)


class Counting:
    """A loop that has nothing to do, and counts how often it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.ticks = 0
        self.asked = asyncio.Event()

    async def tick(self) -> Tick:
        self.ticks += 1
        self.asked.set()
        return Tick(0, has_more=False)

    async def next_tick(self) -> None:
        await asyncio.wait_for(self.asked.wait(), 5)
        self.asked.clear()


def _is_listening(urls: Urls) -> bool:
    with psycopg.connect(urls.superuser) as connection:
        look = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()"
        return connection.execute(look.encode()).fetchone() is not None


async def test_a_wake_of_the_own_process_is_heard_at_the_commit_and_once(
    database: Database, workspace_id: UUID, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "IDLE_SECONDS", 60.0)
    loop, other = Counting(), Database(urls.application, Hub(), max_connections=1)
    worker = Worker([loop], database)
    running = asyncio.create_task(worker.run())
    await other.open()
    await loop.next_tick()
    await asyncio.to_thread(eventually, lambda: _is_listening(urls), what="the listener")
    async with database.transaction(workspace_id) as tx:
        await queues.wake(tx, loop.name)
    assert worker.states[loop.name].wakened.is_set()
    await loop.next_tick()
    # What another process tells comes over Postgres, behind our own notice, which has woken nobody a second time.
    async with other.transaction(workspace_id) as tx:
        await queues.wake(tx, loop.name)
    await loop.next_tick()
    assert loop.ticks == 3
    worker.stop()
    await asyncio.wait_for(running, 5)
    await other.close()
