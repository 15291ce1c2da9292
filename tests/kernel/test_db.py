"""The edge: what becomes of a transaction whose connection is lost, and what is handed on as it is."""

import asyncio
from dataclasses import dataclass

import psycopg
import pytest

from switchboard.kernel.db import ROWS_AT_ONCE, Database, Tx
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.plans import MARK_OF_MANY, MOST_ROWS_OF_KEPT_PLANS
from tests.conftest import Urls


async def end_connection_of(tx: Tx, urls: Urls) -> None:
    """An administrator, or a crash, ends the server's side of the connection."""
    pid = await tx.fetch_value("SELECT pg_backend_pid()")

    def end() -> None:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            assert connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)

    await asyncio.to_thread(end)


async def lose_connection(database: Database, urls: Urls, *, then_ask: bool) -> None:
    """A transaction whose connection is lost, before its last statement or before its commit."""
    async with database.directory() as tx:
        await end_connection_of(tx, urls)
        if then_ask:
            await tx.execute("SELECT 1")


async def wait_for_lock(database: Database) -> None:
    async with database.directory() as tx:
        await tx.execute("SET LOCAL lock_timeout = '10ms'")
        await tx.execute("SELECT pg_advisory_xact_lock(1)")


async def test_a_connection_lost_in_the_middle_is_an_unavailable_database(database: Database, urls: Urls) -> None:
    with pytest.raises(UnavailableError, match="Nothing was changed") as refusal:
        await lose_connection(database, urls, then_ask=True)
    assert refusal.value.retry_after_seconds == 2
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT 1") == 1


async def test_a_connection_lost_at_the_commit_promises_nothing(database: Database, urls: Urls) -> None:
    with pytest.raises(UnavailableError, match="nobody knows whether the change was kept"):
        await lose_connection(database, urls, then_ask=False)


async def test_a_refused_lock_is_handed_on_to_whoever_can_try_again(database: Database) -> None:
    async with database.directory() as holder:
        await holder.execute("SELECT pg_advisory_xact_lock(1)")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await wait_for_lock(database)


@dataclass(frozen=True)
class Number:
    """A row of one column."""

    n: int


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 1])
async def test_all_rows_come_in_their_order_however_many(database: Database, count: int) -> None:
    async with database.directory() as tx:
        found = await tx.fetch_all(Number, "SELECT n FROM generate_series(1, %s) AS n", (count,))
    assert [row.n for row in found] == list(range(1, count + 1))


async def plan_settings(tx: Tx) -> tuple[str, ...]:
    names = ("plan_cache_mode", "enable_seqscan", "enable_hashjoin", "enable_mergejoin")
    return tuple([await tx.fetch_value(f"SHOW {name}") for name in names])


async def test_plans_are_kept_until_many_rows_are_to_come(database: Database) -> None:
    async with database.queue_loop(keeps_plans=True) as tx:
        await tx.expect(MOST_ROWS_OF_KEPT_PLANS)
        assert await plan_settings(tx) == ("force_generic_plan", "off", "off", "off")
        assert await tx.fetch_value("SELECT current_query()") == "SELECT current_query()"
        await tx.expect(MOST_ROWS_OF_KEPT_PLANS + 1)
        assert await plan_settings(tx) == ("auto", "on", "on", "on")
        # By another text, so that neither uses the plan of the other.
        assert await tx.fetch_value("SELECT current_query()") == f"SELECT current_query(){MARK_OF_MANY}"
    async with database.queue_loop() as tx:
        assert await plan_settings(tx) == ("auto", "on", "on", "on")
        await tx.expect(MOST_ROWS_OF_KEPT_PLANS + 1)
        assert await plan_settings(tx) == ("auto", "on", "on", "on")
