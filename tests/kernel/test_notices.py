"""Notices of a transaction: told once, on commit, and not at all when nothing was changed."""

from contextlib import suppress
from uuid import UUID

import psycopg
import pytest

from switchboard.kernel.db import Database
from tests.conftest import Urls

CHANNEL = "switchboard_test_notices"


class GivenUpError(Exception):
    """Ends a transaction without its changes."""


def heard(listener: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """What has been told so far, up to a notice of our own, which comes after it."""
    listener.execute(f"NOTIFY {CHANNEL}, 'end'".encode())
    found: list[str] = []
    for notice in listener.notifies(timeout=5):
        if notice.payload == "end":
            return found
        found.append(notice.payload)
    raise AssertionError("the last notice did not come within 5 s")


@pytest.fixture
def listener(urls: Urls) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(urls.application, autocommit=True)
    connection.execute(f"LISTEN {CHANNEL}".encode())
    return connection


async def test_a_notice_is_told_once_however_often_it_was_asked_for(
    database: Database, workspace_id: UUID, listener: psycopg.Connection[tuple[object, ...]]
) -> None:
    async with database.transaction(workspace_id) as tx:
        tx.notify(CHANNEL, "it's")
        tx.notify(CHANNEL, 'a "quoted" \\ one')
        tx.notify(CHANNEL, "it's")
    with listener:
        assert heard(listener) == ["it's", 'a "quoted" \\ one']


async def test_nothing_is_told_of_what_did_not_happen(
    database: Database, workspace_id: UUID, listener: psycopg.Connection[tuple[object, ...]]
) -> None:
    async def change() -> None:
        async with database.transaction(workspace_id) as tx:
            tx.notify(CHANNEL, "never")
            raise GivenUpError

    with pytest.raises(GivenUpError):
        await change()
    with listener:
        assert heard(listener) == []


async def test_arrays_keep_what_they_hold(database: Database, workspace_id: UUID) -> None:
    texts = ["", "null", None, 'a "b" \\ {c}', "ü,\n"]
    numbers = [1, None, -3_000_000_000, 70_000]
    async with database.transaction(workspace_id) as tx:
        found = await tx.fetch_tuples(
            "SELECT %s::text[], %s::bigint[], %s::uuid[], %s::text[]", (texts, numbers, [None, workspace_id], [])
        )
    assert found == [(texts, numbers, [None, workspace_id], [])]


async def test_what_was_not_kept_is_not_taken_for_kept(database: Database, workspace_id: UUID) -> None:
    async def change() -> None:
        async with database.transaction(workspace_id) as tx:
            tx.notify(CHANNEL, "never mind")
            with suppress(psycopg.DataError):
                await tx.execute("SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="nothing of it was kept"):
        await change()
