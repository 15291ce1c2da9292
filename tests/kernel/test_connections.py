"""Connections that the event loop goes on watching: answers, interruptions, lost servers and ends."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from switchboard.kernel.connections import WatchedConnection
from tests.conftest import Urls


@pytest.fixture
async def connection(urls: Urls) -> AsyncIterator[WatchedConnection]:
    opened = await WatchedConnection.connect(urls.application, autocommit=True)
    yield opened
    await opened.close()


async def _ask(connection: WatchedConnection, sql: bytes, *params: object) -> object:
    row = await (await connection.execute(sql, params or None)).fetchone()
    return None if row is None else row[0]


async def test_answers_of_any_length_are_read(connection: WatchedConnection) -> None:
    for length in (1, 10_000_000, 1, 0):
        assert await _ask(connection, b"SELECT repeat('x', %s)", length) == "x" * length


async def test_a_statement_that_no_socket_takes_at_once_is_sent(connection: WatchedConnection) -> None:
    assert await _ask(connection, b"SELECT length(%s)", "x" * 20_000_000) == 20_000_000
    assert await _ask(connection, b"SELECT 1") == 1


async def test_a_failed_statement_leaves_the_connection_as_it_was(connection: WatchedConnection) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _ask(connection, b"SELECT 1 / 0")
        assert await _ask(connection, b"SELECT 1") == 1


async def test_whoever_is_cancelled_ends_his_statement_at_the_server(connection: WatchedConnection) -> None:
    asking = asyncio.create_task(_ask(connection, b"SELECT pg_sleep(60)"))
    await asyncio.wait([asking], timeout=0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asking, 20)
    assert await asyncio.wait_for(_ask(connection, b"SELECT 1"), 20) == 1


async def test_statements_sent_ahead_and_those_answered_one_by_one_take_turns(connection: WatchedConnection) -> None:
    for number in range(3):
        async with connection.pipeline():
            first = await connection.execute("SELECT %s::int", (number,))
            second = await connection.execute("SELECT %s::int", (number + 1,))
        assert [await first.fetchone(), await second.fetchone()] == [(number,), (number + 1,)]
        assert await _ask(connection, b"SELECT 1") == 1


async def test_notices_are_waited_for_as_long_as_is_said(connection: WatchedConnection) -> None:
    await connection.execute("LISTEN somebody")
    assert [notice async for notice in connection.notifies(timeout=0.05)] == []
    await connection.execute("NOTIFY somebody, 'knocks'")
    assert [notice.payload async for notice in connection.notifies(timeout=5, stop_after=1)] == ["knocks"]


async def test_a_server_that_ends_it_meanwhile_is_noticed_and_not_watched(
    connection: WatchedConnection, urls: Urls
) -> None:
    pid, socket = await _ask(connection, b"SELECT pg_backend_pid()"), connection.pgconn.socket
    async with await psycopg.AsyncConnection.connect(urls.superuser, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    with pytest.raises(psycopg.OperationalError):
        await _ask(connection, b"SELECT 1")
    assert connection.closed
    assert not asyncio.get_running_loop().remove_reader(socket)


async def test_a_server_that_ends_it_under_way_is_noticed_and_not_watched(
    connection: WatchedConnection, urls: Urls
) -> None:
    pid, socket = await _ask(connection, b"SELECT pg_backend_pid()"), connection.pgconn.socket
    asking = asyncio.create_task(_ask(connection, b"SELECT pg_sleep(60)"))
    await asyncio.wait([asking], timeout=0.1)
    async with await psycopg.AsyncConnection.connect(urls.superuser, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(asking, 20)
    assert not asyncio.get_running_loop().remove_reader(socket)


async def test_what_is_closed_is_watched_no_more(connection: WatchedConnection) -> None:
    await _ask(connection, b"SELECT 1")
    socket = connection.pgconn.socket
    await connection.close()
    assert not asyncio.get_running_loop().remove_reader(socket)
