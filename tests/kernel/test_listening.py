"""Connections that hear notices."""

import psycopg
import pytest
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.waiting import WAIT_R

from switchboard.kernel.listening import connect_to_listen
from tests.conftest import Urls


async def test_a_connection_that_waits_does_not_wake_before_it_hears_something(urls: Urls) -> None:
    woken = 0

    def wait_for_the_server() -> PQGen[None]:
        nonlocal woken
        while not (yield WAIT_R):
            woken += 1

    async with await connect_to_listen(urls.application) as connection:
        with pytest.raises(_WaitTimeout):
            await connection.wait(wait_for_the_server(), timeout=0.5)
    # Once, because the time was over.
    assert woken == 1


async def test_a_notice_is_heard_at_once(urls: Urls) -> None:
    async with await connect_to_listen(urls.application) as connection:
        await connection.execute("LISTEN switchboard_test_listening")
        async with await psycopg.AsyncConnection.connect(urls.application, autocommit=True) as other:
            await other.execute("NOTIFY switchboard_test_listening, 'now'")
        heard = [notice.payload async for notice in connection.notifies(timeout=10, stop_after=1)]
    assert heard == ["now"]
