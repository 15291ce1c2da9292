"""The watch: one look for all loops that wait, and what happens when it cannot be kept."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest

from switchboard.entrypoints import assembly
from switchboard.kernel import jobs, queues, watch
from switchboard.kernel.db import Database
from switchboard.kernel.events import Hub
from switchboard.kernel.queues import WAKE_CHANNEL, Tick, Worker
from switchboard.kernel.settings import Settings
from switchboard.kernel.watch import Watch, Watched
from tests.conftest import Urls, move_clock

COUNT_IS_DUE = "EXISTS (SELECT FROM app.job WHERE kind = 'count' AND due_at <= app.now())"
NEVER = "false"


class Listening:
    """Two queues that wait: who was woken, and how often the watch has asked who waits."""

    def __init__(self, database: Database) -> None:
        self.woken = asyncio.Queue[str]()
        self.waiting: Collection[str] = {"jobs", "others"}
        self._has_looked = asyncio.Event()
        self.watch = Watch(
            database,
            WAKE_CHANNEL,
            {"jobs": COUNT_IS_DUE, "others": NEVER},
            waken=self.woken.put_nowait,
            idle=self._tell_waiting,
        )

    def _tell_waiting(self) -> Collection[str]:
        self._has_looked.set()
        return self.waiting

    async def look_on(self, times: int) -> None:
        """Let so many looks begin, each after the one before it has ended."""
        for _ in range(times):
            self._has_looked.clear()
            await asyncio.wait_for(self._has_looked.wait(), 10)

    async def next_woken(self) -> str:
        return await asyncio.wait_for(self.woken.get(), 10)

    def woken_so_far(self) -> list[str]:
        return [self.woken.get_nowait() for _ in range(self.woken.qsize())]


@asynccontextmanager
async def kept(database: Database) -> AsyncIterator[Listening]:
    """A watch that has looked already."""
    listening = Listening(database)
    running = asyncio.create_task(listening.watch.run())
    await listening.look_on(2)
    yield listening
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(watch, "LONGEST_LOOK_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(watch, "AWAY_PAUSE_SECONDS", 0.02)


@pytest.mark.usefixtures("quick")
async def test_what_no_notice_told_of_is_found_by_a_look_and_nobody_else_woken(
    database: Database, workspace_id: UUID
) -> None:
    async with kept(database) as listening:
        assert listening.watch.keeps("jobs")
        assert listening.woken_so_far() == []
        async with database.transaction(workspace_id) as tx:
            await jobs.enqueue(tx, "count", {}, wakes=False)
        await listening.look_on(3)
        assert set(listening.woken_so_far()) == {"jobs"}
        listening.waiting = {"others"}
        await listening.look_on(2)
        listening.woken_so_far()
        # Whoever is at work looks by themselves.
        await listening.look_on(3)
        assert listening.woken_so_far() == []


@pytest.mark.usefixtures("quick")
async def test_what_becomes_due_by_itself_is_found_by_a_look(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.job (id, workspace_id, kind, payload, due_at)"
            " VALUES (gen_random_uuid(), %s, 'count', '{}', app.now() + interval '1 day')",
            (workspace_id,),
        )
    async with kept(database) as listening:
        await listening.look_on(3)
        assert listening.woken_so_far() == []
        await move_clock(urls, "2 days")
        assert await listening.next_woken() == "jobs"


async def test_a_notice_of_another_process_wakes_the_queue_it_names(
    database: Database, workspace_id: UUID, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_PAUSE_SECONDS", 0.02)
    other = Database(urls.application, Hub(), max_connections=1)
    await other.open()
    async with kept(database) as listening:
        for queue in ("jobs", "others"):
            async with other.transaction(workspace_id) as tx:
                await queues.wake(tx, queue)
            assert await listening.next_woken() == queue
    await other.close()


def _end_watches(urls: Urls) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%app.scope%CASE WHEN%' AND pid <> pg_backend_pid()"
        )


@pytest.mark.usefixtures("quick")
async def test_a_lost_connection_wakes_everybody_and_the_watch_is_kept_again(database: Database, urls: Urls) -> None:
    async with kept(database) as listening:
        await asyncio.to_thread(_end_watches, urls)
        assert [await listening.next_woken() for _ in range(2)] == ["jobs", "others"]
        await listening.look_on(2)
        assert listening.watch.keeps("jobs")


class Counting:
    """A loop that has nothing to do unless jobs are due, and counts how often it was asked."""

    name = "jobs"
    due = COUNT_IS_DUE

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)

    async def tick(self) -> Tick:
        self.asked.release()
        return Tick(0, has_more=False)


async def test_without_the_watch_a_loop_looks_by_itself(
    database: Database, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "WATCHED_IDLE_SECONDS", 600.0)
    monkeypatch.setattr(queues, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(watch, "AWAY_PAUSE_SECONDS", 600.0)
    monkeypatch.setattr(watch, "connect_to_listen", _refuse)
    loop = Counting()
    worker = Worker([loop], database)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        for _ in range(4):
            await loop.asked.acquire()
    worker.stop()
    await asyncio.wait_for(running, 10)


async def _refuse(_url: str) -> psycopg.AsyncConnection[object]:
    raise psycopg.OperationalError("connection refused")


async def test_the_look_at_all_queues_is_by_indexes_alone(database: Database) -> None:
    loops = assembly.build_loops(Settings(), database)
    due = {loop.name: loop.due for loop in loops if isinstance(loop, Watched)}
    assert sorted(due) == [
        "campaign-steps", "jobs", "outbox", "outbox-reaper", "outbox-urgent", "segments", "signals", "steps", "waiting",
    ]  # fmt: skip
    async with database.directory() as tx:
        await tx.execute(watch.PLANNING)
        rows = await tx.fetch_tuples(f"EXPLAIN {watch.look_statement(due)}", {"idle": list(due)})
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert set(re.findall(r"using (\w+)", plan)) == {
        "assignment_waiting", "job_due", "outbox_due", "outbox_leased", "run_due_campaign", "run_due_single",
        "segment_dirty_due", "signal_due_order",
    }  # fmt: skip
