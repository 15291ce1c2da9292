"""Telling the story with faults in it, and then without, until nothing is left to do."""

import asyncio
import time
from collections.abc import Sequence

import psycopg

from switchboard.kernel.clock import monotonic_seconds
from tests.crash_points.faults import Fault, Faults, ImpatientConnection, failing_connections, stand_still_until
from tests.crash_points.story import BEYOND_LEASES, NEXT_DAY, Scene, process

# Leases and pauses run out, the second letter falls due, and what was put off meanwhile comes again.
HEALING = ("0", BEYOND_LEASES, "15 minutes", NEXT_DAY, "26 hours", "27 hours")
STORY_SECONDS = 30
LOOK_AGAIN_SECONDS = 0.01
# Of a process that is gone, Postgres has yet to notice it: until then its locks hide what is due.
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'switchboard' AND xact_start IS NOT NULL"


def begin(scene: Scene) -> None:
    """Set the clock to the present."""
    scene.move_clock("0")


def suffer(scene: Scene, planned: Sequence[Fault] = ()) -> Faults:
    """One process lives the story with these faults in it; returns what was called and what struck."""
    _wait_for_backends(scene)
    return asyncio.run(_suffer(scene, Faults(planned)))


async def _suffer(scene: Scene, faults: Faults) -> Faults:
    async with asyncio.timeout(STORY_SECONDS), process(scene, faults, failing_connections(faults)) as victim:
        living = asyncio.create_task(victim.live())
        async for _ in stand_still_until(faults, living):
            await _work_beside(scene)
    return faults


async def _work_beside(scene: Scene) -> None:
    """Another process, while the first stands still: beyond its leases, and past what it holds locked."""
    async with process(scene, Faults(), ImpatientConnection) as rival:
        for shift in ("0", BEYOND_LEASES):
            await asyncio.to_thread(scene.move_clock, shift)
            await rival.settle()


def heal(scene: Scene) -> None:
    """A fresh process does what is left, as the hours pass."""
    _wait_for_backends(scene)
    asyncio.run(_heal(scene))


async def _heal(scene: Scene) -> None:
    async with asyncio.timeout(STORY_SECONDS), process(scene, Faults(), psycopg.AsyncConnection) as healthy:
        for shift in HEALING:
            await asyncio.to_thread(scene.move_clock, shift)
            await healthy.settle()


def _wait_for_backends(scene: Scene) -> None:
    deadline = monotonic_seconds() + STORY_SECONDS
    with psycopg.connect(scene.superuser_url, autocommit=True) as connection:
        while (connection.execute(BUSY).fetchone() or (0,))[0]:
            assert monotonic_seconds() < deadline, "a lost process still holds a transaction open"
            time.sleep(LOOK_AGAIN_SECONDS)
