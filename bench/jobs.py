"""The jobs queue by itself: jobs added, jobs that do nothing run to their end, and the wait of one that comes alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg

from bench import limits
from bench.fresh import add_workspace, fresh_server, open_database, run_as_worker
from bench.probes import Work, measured
from bench.results import Figure
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.embedded import Endpoint
from switchboard.kernel.jobs import JobLoop, enqueue
from switchboard.kernel.queues import Worker

KIND = "bench.nothing"
# More than can be done in a second, so that the queue does not run dry.
LAID_READY_A_SECOND = 100_000
ADDED_AT_ONCE = 500
ALONE_A_SECOND = 20
PATIENCE_SECONDS = 10.0


def run(seconds: float) -> list[Figure]:
    """Each for `seconds`, on a fresh database."""
    with fresh_server() as endpoint:
        figures = run_as_worker(_measure(endpoint, seconds))
        known = {
            **limits.measure_commits(endpoint.superuser_url, seconds / 4),
            **limits.measure_notice(endpoint.superuser_url),
        }
    shown = {name: round(value, 3) for name, value in known.items()}
    return [Figure(**figure, limits=shown) for figure in figures]


async def _measure(endpoint: Endpoint, seconds: float) -> list[dict[str, Any]]:
    async with open_database(endpoint) as database:
        workspace_id = await add_workspace(database)
        with measured(endpoint.superuser_url) as adding:
            added = await _add(database, workspace_id, seconds)
        _lay_ready(endpoint, workspace_id, round(LAID_READY_A_SECOND * seconds))
        with measured(endpoint.superuser_url) as working:
            done = await _work(database, seconds)
        _empty(endpoint)
        waits = await _wait_for_lone_ones(database, workspace_id, max(round(ALONE_A_SECOND * seconds), 5))
    return [
        _per_second("jobs.added", added, adding, None),
        _per_second("jobs.no_op", done, working, 10_000),
        _milliseconds("jobs.pickup.p50", waits, 0.5, 2),
        _milliseconds("jobs.pickup.p99", waits, 0.99, 20),
    ]


async def _add(database: Database, workspace_id: UUID, seconds: float) -> int:
    """In transactions of as many jobs as a slice of real work adds."""
    until, added = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        async with database.transaction(workspace_id) as tx:
            for _ in range(ADDED_AT_ONCE):
                await enqueue(tx, KIND, {"number": added})
                added += 1
    return added


def _lay_ready(endpoint: Endpoint, workspace_id: UUID, count: int) -> None:
    with psycopg.connect(endpoint.superuser_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO app.job (workspace_id, kind, payload)"
            " SELECT %s, %s, jsonb_build_object('number', number) FROM generate_series(1, %s) AS number",
            (workspace_id, KIND, count),
        )
        connection.execute("VACUUM ANALYZE app.job")


def _empty(endpoint: Endpoint) -> None:
    with psycopg.connect(endpoint.superuser_url, autocommit=True) as connection:
        connection.execute("TRUNCATE app.job")


async def _work(database: Database, seconds: float) -> int:
    """Jobs done; the time is over before the queue is empty, or the figure would be of waiting."""
    done = 0

    async def count(_tx: Tx, _payload: Mapping[str, object]) -> None:
        nonlocal done
        done += 1

    async with _working(database, count):
        await asyncio.sleep(seconds)
    assert done < LAID_READY_A_SECOND * seconds, "the queue ran dry: lay more ready"
    return done


async def _wait_for_lone_ones(database: Database, workspace_id: UUID, count: int) -> Sequence[float]:
    """Milliseconds from before a job is added until its handler begins, one job after the other; sorted."""
    began = asyncio.Queue[float]()

    async def note(_tx: Tx, _payload: Mapping[str, object]) -> None:
        began.put_nowait(time.perf_counter())

    waits = []
    async with _working(database, note):
        for _ in range(count):
            asked = time.perf_counter()
            async with database.transaction(workspace_id) as tx:
                await enqueue(tx, KIND, {})
            waits.append((await asyncio.wait_for(began.get(), PATIENCE_SECONDS) - asked) * 1000)
    return sorted(waits)


@asynccontextmanager
async def _working(database: Database, handle: Any) -> AsyncIterator[None]:  # noqa: ANN401
    """The product's own worker with this one loop."""
    worker = Worker([JobLoop(database, {KIND: handle})], database)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


def _per_second(metric: str, count: int, work: Work, target: float | None) -> dict[str, Any]:
    value = round(count / work.seconds)
    return {
        "metric": metric,
        "value": value,
        "unit": "1/s",
        "better": "higher",
        "target": target,
        "cost": work.per(count),
    }


def _milliseconds(metric: str, ordered: Sequence[float], share: float, target: float) -> dict[str, Any]:
    value = round(ordered[int(len(ordered) * share)], 2)
    return {"metric": metric, "value": value, "unit": "ms", "better": "lower", "target": target}
