"""The pool gives what was used last, and lets go of what has rested longest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from switchboard.kernel.warm_pool import WarmPool
from tests.conftest import Urls


@asynccontextmanager
async def _opened(urls: Urls, max_idle: float = 60.0) -> AsyncIterator[WarmPool]:
    pool = WarmPool(
        urls.application,
        min_size=1,
        max_size=3,
        max_idle=max_idle,
        open=False,
        kwargs={"autocommit": True},
    )
    async with pool:
        yield pool


async def _wait_until_one_is_left(pool: WarmPool) -> None:
    for _ in range(2_000):
        if pool.get_stats()["pool_size"] == 1:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("others were left after twenty seconds")


async def test_what_was_given_back_last_is_given_next(urls: Urls) -> None:
    async with _opened(urls) as pool:
        first, second, third = [await pool.getconn() for _ in range(3)]
        for connection in (second, third, first):
            await pool.putconn(connection)
        given = [await pool.getconn() for _ in range(3)]
        assert given == [first, third, second]
        for connection in given:
            await pool.putconn(connection)
        for _ in range(3):
            async with pool.connection() as connection:
                assert connection is second


async def test_whoever_waits_gets_what_comes_back_first(urls: Urls) -> None:
    async with _opened(urls) as pool:
        first, second, third = [await pool.getconn() for _ in range(3)]
        waiting = asyncio.create_task(pool.getconn())
        await asyncio.wait([waiting], timeout=0.05)
        await pool.putconn(third)
        assert await waiting is third
        for connection in (first, second, third):
            await pool.putconn(connection)


async def test_what_nobody_needs_is_let_go_and_what_was_used_last_stays(urls: Urls) -> None:
    async with _opened(urls, max_idle=0.1) as pool:
        resting, used = await pool.getconn(), await pool.getconn()
        await pool.putconn(resting)
        await pool.putconn(used)
        await _wait_until_one_is_left(pool)
        assert resting.closed
        async with pool.connection() as connection:
            assert connection is used
