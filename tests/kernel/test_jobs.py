"""Jobs run many a transaction, and yet none harms another, holds it up or overtakes it."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from switchboard.kernel import jobs
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import JobHandler, JobLoop
from switchboard.kernel.queues import WAKE_CHANNEL
from tests.conftest import Urls
from tests.plans import ExplainingTx

Payload = Mapping[str, object]


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jobs, "monotonic_seconds", clock)
    return clock


async def mark(tx: Tx, payload: Payload) -> None:
    """Leaves a trace that can be left only once."""
    await tx.execute("INSERT INTO app.throttle VALUES (%s, app.now())", (str(payload["name"]),))


async def fail(tx: Tx, payload: Payload) -> None:
    await mark(tx, payload)
    raise ValueError("no luck")


async def add(
    database: Database, workspace_id: UUID, names: Sequence[str], kind: str = "mark", priority: int = 5
) -> None:
    """One job a name, each due a second before the next, the last of them now."""
    async with database.transaction(workspace_id) as tx:
        for early, name in enumerate(reversed(names)):
            await jobs.enqueue(tx, kind, {"name": name}, priority=priority, after=timedelta(seconds=-early))


async def test_a_job_for_which_nobody_waits_wakes_nobody(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await jobs.enqueue(tx, "mark", {"name": "later"}, wakes=False)
        assert tx.notices == []
        await jobs.enqueue(tx, "mark", {"name": "now"})
        assert tx.notices == [(WAKE_CHANNEL, jobs.QUEUE)]


async def marks(database: Database) -> list[str]:
    async with database.directory() as tx:
        return [row[0] for row in await tx.fetch_tuples("SELECT key FROM app.throttle ORDER BY key")]


async def left(database: Database, workspace_id: UUID) -> list[tuple[str, int]]:
    """The jobs that are still there, by name, each with its failures."""
    async with database.transaction(workspace_id) as tx:
        found = await tx.fetch_tuples(
            "SELECT payload->>'name', attempts FROM app.job WHERE payload ? 'name' ORDER BY 1"
        )
        return [(row[0], row[1]) for row in found]


async def drain(loop: JobLoop) -> list[int]:
    """How many jobs each batch handled, until there are none."""
    handled = []
    while (tick := await loop.tick()).has_more or tick.handled:
        handled.append(tick.handled)
    return handled


async def test_batches_grow_while_all_goes_well(database: Database, workspace_id: UUID, clock: Clock) -> None:
    names = [f"job {number:03}" for number in range(300)]
    await add(database, workspace_id, names)
    assert await drain(JobLoop(database, {"mark": mark})) == [1, 2, 4, 8, 16, 32, 64, 100, 73]
    assert await marks(database) == names
    assert clock.seconds == 0


async def test_two_loops_do_each_job_once(database: Database, workspace_id: UUID) -> None:
    names = [f"job {number:03}" for number in range(200)]
    await add(database, workspace_id, names)
    done = await asyncio.gather(*(drain(JobLoop(database, {"mark": mark})) for _ in range(2)))
    assert sum(map(sum, done)) == 200
    assert await marks(database) == names
    assert await left(database, workspace_id) == []


async def test_a_failing_job_harms_no_other_of_its_batch(database: Database, workspace_id: UUID, clock: Clock) -> None:
    await add(database, workspace_id, ["a", "b", "c"])
    await add(database, workspace_id, ["broken"], kind="fail")
    await add(database, workspace_id, ["d", "e"], priority=6)
    loop = JobLoop(database, {"mark": mark, "fail": fail})
    # One, two, then the broken one alone of four, and the others again.
    assert await drain(loop) == [1, 2, 1, 1, 1]
    assert await marks(database) == ["a", "b", "c", "d", "e"]
    assert await left(database, workspace_id) == [("broken", 1)]
    assert clock.seconds == 0


async def test_a_full_disk_counts_against_no_job(database: Database, workspace_id: UUID) -> None:
    async def find_no_room(_tx: Tx, _payload: Payload) -> None:
        raise psycopg.errors.DiskFull("no space left")

    await add(database, workspace_id, ["a", "b"])
    with pytest.raises(psycopg.errors.DiskFull):
        await JobLoop(database, {"mark": find_no_room}).tick()
    assert await left(database, workspace_id) == [("a", 0), ("b", 0)]
    assert await drain(JobLoop(database, {"mark": mark})) == [1, 1]


async def test_urgent_jobs_go_first_and_then_the_oldest(database: Database, workspace_id: UUID) -> None:
    ran: list[str] = []

    async def note(_tx: Tx, payload: Payload) -> None:
        ran.append(str(payload["name"]))

    await add(database, workspace_id, ["late 1", "late 2"], "note", priority=9)
    await add(database, workspace_id, ["some 1", "some 2", "some 3"], "note")
    await add(database, workspace_id, ["soon 1", "soon 2"], "note", priority=0)
    await drain(JobLoop(database, {"note": note}))
    assert ran == ["soon 1", "soon 2", "some 1", "some 2", "some 3", "late 1", "late 2"]


async def test_a_batch_ends_when_its_time_is_over(database: Database, workspace_id: UUID, clock: Clock) -> None:
    async def take_time(tx: Tx, payload: Payload) -> None:
        clock.seconds += 0.95 * jobs.LONG_SECONDS
        await mark(tx, payload)

    names = [f"job {number:02}" for number in range(20)]
    await add(database, workspace_id, names)
    # With the sixth the time of a batch is over.
    assert await drain(JobLoop(database, {"mark": take_time})) == [1, 2, 4, 6, 1, 2, 4]
    assert await marks(database) == names


async def test_what_waits_behind_a_long_job_is_free_for_others(
    database: Database, workspace_id: UUID, clock: Clock
) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def be_long(tx: Tx, payload: Payload) -> None:
        clock.seconds += 2 * jobs.LONG_SECONDS
        if payload["name"] == "long 2":
            began.set()
            await may_end.wait()
        await mark(tx, payload)

    handlers: dict[str, JobHandler] = {"long": be_long, "mark": mark}
    await add(database, workspace_id, ["long 1", "long 2"], "long", priority=3)
    await add(database, workspace_id, ["short 1", "short 2", "short 3"])
    loop = JobLoop(database, handlers)
    assert (await loop.tick()).handled == 1
    long = asyncio.create_task(loop.tick())
    await asyncio.wait_for(began.wait(), 5)
    assert sum(await drain(JobLoop(database, handlers))) == 3
    assert await marks(database) == ["long 1", "short 1", "short 2", "short 3"]
    may_end.set()
    assert (await long).handled == 1
    assert await left(database, workspace_id) == []


async def test_a_batch_gives_way_to_whoever_holds_a_lock(database: Database, workspace_id: UUID) -> None:
    async def touch(tx: Tx, payload: Payload) -> None:
        await tx.execute("UPDATE app.throttle SET full_again_at = app.now() WHERE key = %s", (payload["name"],))

    async with database.directory() as tx:
        await tx.execute("INSERT INTO app.throttle VALUES ('free', app.now()), ('held', app.now())")
    await add(database, workspace_id, ["free", "free", "held", "free"], "touch")
    loop = JobLoop(database, {"touch": touch})
    assert (await loop.tick()).handled == 1
    async with database.directory() as tx:
        await touch(tx, {"name": "held"})
        # Two would fit; the one that is free is done all the same, and the other has not failed.
        assert (await loop.tick()).handled == 1
        assert await left(database, workspace_id) == [("free", 0), ("held", 0)]
        # Alone a job waits, as long as it takes.
        async with database.transaction(workspace_id) as other:
            await other.execute("DELETE FROM app.job WHERE payload->>'name' = 'free'")
        waiting = asyncio.create_task(loop.tick())
        done, _ = await asyncio.wait([waiting], timeout=3 * jobs.LOCK_MILLISECONDS / 1000)
        assert not done
    assert (await asyncio.wait_for(waiting, 5)).handled == 1
    assert await left(database, workspace_id) == []


async def _work_until_killed(urls: Urls) -> None:
    async def kill(_tx: Tx, _payload: Payload) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    database = Database(urls.application, Hub(), max_connections=2)
    await database.open()
    await drain(JobLoop(database, {"mark": mark, "kill": kill}))


def _in_child(urls: Urls) -> bool:
    """Whether the loop came to its end in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_work_until_killed(urls))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


async def test_a_job_that_kills_its_process_loses_nothing_and_does_nothing_twice(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    before, after = [f"a{number}" for number in range(5)], [f"b{number}" for number in range(9)]
    await add(database, workspace_id, before)
    await add(database, workspace_id, ["killer"], "kill", priority=6)
    await add(database, workspace_id, after, priority=7)
    # One and two are done, and two with the killer are not; the next process begins with one again.
    assert not await asyncio.to_thread(_in_child, urls)
    assert await marks(database) == before[:3]
    assert not await asyncio.to_thread(_in_child, urls)
    assert await marks(database) == before[:4]
    assert not await asyncio.to_thread(_in_child, urls)
    assert await marks(database) == before
    async with database.transaction(workspace_id) as tx:
        await tx.execute("DELETE FROM app.job WHERE kind = 'kill'")
    assert await asyncio.to_thread(_in_child, urls)
    assert await marks(database) == [*before, *after]
    assert await left(database, workspace_id) == []


async def test_a_claim_walks_the_index_of_due_jobs(database: Database, workspace_id: UUID, urls: Urls) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO app.job (workspace_id, kind, priority, due_at)"
            " SELECT %s, 'mark', 3 + number %% 5, app.now() - make_interval(secs => number)"
            " FROM generate_series(1, 5000) AS number",
            (workspace_id,),
        )
        connection.execute("ANALYZE app.job")
    async with database.queue_loop() as tx:
        explaining = ExplainingTx(tx, workspace_id)
        assert len(await JobLoop(database, {"mark": mark})._claims.claim(explaining, 100)) == 100
    [plan] = explaining.plans
    assert "job_due" in plan
    assert "Sort" not in plan


async def test_a_priority_that_nobody_looks_at_is_refused(database: Database, workspace_id: UUID) -> None:
    with pytest.raises(ValueError, match="priority 10 is none of 0 to 9"):
        await add(database, workspace_id, ["never"], priority=10)
    assert await left(database, workspace_id) == []


async def test_a_kind_that_goes_alone_shares_its_transaction_with_no_other(
    database: Database, workspace_id: UUID, clock: Clock
) -> None:
    await add(database, workspace_id, ["a0", "a1", "a2"])
    await add(database, workspace_id, ["b0", "b1"], kind="lone", priority=6)
    await add(database, workspace_id, ["c0", "c1", "c2"], priority=7)
    loop = JobLoop(database, {"mark": mark, "lone": mark}, alone=["lone"])
    assert await drain(loop) == [1, 2, 1, 1, 2, 1]
    assert clock.seconds == 0


class Together:
    """Marks the names of up to three jobs at once, and fails at the name `bad`; notes each call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def __call__(self, tx: Tx, payloads: Sequence[Payload]) -> int:
        some = payloads[:3]
        self.calls.append([str(payload["name"]) for payload in some])
        for payload in some:
            await mark(tx, payload)
            if payload["name"] == "bad":
                raise ValueError("no luck")
        return len(some)


@pytest.mark.usefixtures("clock")
async def test_jobs_of_one_kind_and_workspace_are_done_together_as_many_as_their_handler_takes(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID
) -> None:
    together = Together()
    loop = JobLoop(database, {"mark": mark}, together={"many": together})
    # Batches grow up to eight while all goes well, also when there is nothing.
    assert [(await loop.tick()).handled for _ in range(3)] == [0, 0, 0]
    for name in "abxcdy":
        await add(database, strangers_workspace_id if name in "xy" else workspace_id, [name], "many", 8)
    await add(database, workspace_id, ["first"])
    assert (await loop.tick()).handled == 7
    assert together.calls == [["a", "b", "c"], ["d"], ["x", "y"]]
    assert (await marks(database), await left(database, workspace_id)) == (["a", "b", "c", "d", "first", "x", "y"], [])


@pytest.mark.usefixtures("clock")
async def test_of_jobs_done_together_only_the_bad_one_is_put_off(database: Database, workspace_id: UUID) -> None:
    together = Together()
    loop = JobLoop(database, {"mark": mark}, together={"many": together})
    # Batches grow up to eight while all goes well, also when there is nothing.
    assert [(await loop.tick()).handled for _ in range(3)] == [0, 0, 0]
    for name in ("a", "bad", "c", "d"):
        await add(database, workspace_id, [name], "many")
    while (await loop.tick()).handled:
        pass
    assert (await marks(database), await left(database, workspace_id)) == (["a", "c", "d"], [("bad", 1)])
