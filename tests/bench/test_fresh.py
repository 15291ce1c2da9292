"""Benchmarks that run loops in their own process run them as a worker does, and leave no trace of that."""

import asyncio
import gc

import uvloop

from bench.fresh import run_as_worker
from switchboard.entrypoints.work import OBJECTS_BETWEEN_COLLECTIONS


def test_loops_run_as_in_a_worker_and_afterwards_rings_are_looked_for_as_before() -> None:
    before = gc.get_threshold()
    kind, between = run_as_worker(_look())
    assert (kind, between) == (uvloop.Loop, OBJECTS_BETWEEN_COLLECTIONS)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


async def _look() -> tuple[type, int]:
    return type(asyncio.get_running_loop()), gc.get_threshold()[0]
