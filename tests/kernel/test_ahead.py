"""Statements sent ahead: all of them are done in their order, and none that fails goes unnoticed."""

import psycopg
import pytest

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import UnavailableError
from tests.conftest import Urls
from tests.kernel.test_db import end_connection_of

# More than a socket takes at once.
LARGE = "x" * 1_000_000


async def _make_table(tx: Tx) -> None:
    await tx.execute("CREATE TEMPORARY TABLE told (number integer PRIMARY KEY, words text) ON COMMIT DROP")


async def _tell(tx: Tx, number: int, words: str = "") -> None:
    await tx.write("INSERT INTO told VALUES (%s, %s)", (number, words))


async def test_what_is_sent_ahead_is_there_for_whoever_reads_next(database: Database) -> None:
    async with database.directory() as tx:
        await _make_table(tx)
        async with tx.ahead():
            for number in range(20):
                await _tell(tx, number, LARGE)
            assert await tx.fetch_value("SELECT sum(length(words)) FROM told") == 20_000_000
            assert await tx.execute("DELETE FROM told WHERE number < 5") == 5
            await _tell(tx, 30)
        assert await tx.fetch_value("SELECT count(*) FROM told") == 16


async def test_statements_are_under_way_while_others_are_thought_of(database: Database) -> None:
    async with database.directory() as tx:
        await _make_table(tx)
        async with tx.ahead():
            await tx.write("SELECT pg_sleep(0.2)")
            await _tell(tx, 1)
            assert tx.connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE
            await tx.catch_up()
            assert await tx.fetch_value("SELECT count(*) FROM told") == 1


@pytest.mark.parametrize("then", ["read", "write", "count", "nothing"])
async def test_what_goes_wrong_ahead_is_raised_by_whatever_comes_next(database: Database, then: str) -> None:
    async def fail() -> None:
        async with database.directory() as tx, tx.ahead():
            await _make_table(tx)
            await _tell(tx, 1)
            await _tell(tx, 1)
            if then == "read":
                await tx.fetch_value("SELECT count(*) FROM told")
            if then == "write":
                await _tell(tx, 2)
            if then == "count":
                await tx.execute("DELETE FROM told")

    with pytest.raises(psycopg.errors.UniqueViolation):
        await fail()
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT 1") == 1


async def test_a_connection_lost_while_something_is_sent_ahead_is_an_unavailable_database(
    database: Database, urls: Urls
) -> None:
    async def lose() -> None:
        async with database.directory() as tx, tx.ahead():
            await end_connection_of(tx, urls)
            await tx.write("SELECT length(%s)", (LARGE,))

    with pytest.raises(UnavailableError):
        await lose()
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT 1") == 1
