"""A search answers in time however many have the word: the newest of everybody, all of a few."""

from uuid import UUID

import psycopg
import pytest

from switchboard.kernel.db import Database
from switchboard.people import repository_search, service
from tests.conftest import Urls

PEOPLE = 4_000
CROWD = b"""
WITH person AS MATERIALIZED (
    SELECT n, app.uuid7(now() - interval '1 second' * (10000 - n)) AS id,
        concat_ws(' ', 'Everybody', 'No' || n, CASE WHEN n %% 150 = 0 THEN 'Some' END,
            CASE WHEN n %% 1900 = 0 THEN 'Few' END) AS name
    FROM generate_series(1, %(people)s) AS n
), words AS (
    INSERT INTO app.contact_search (contact_id, workspace_id, words) SELECT id, %(workspace)s, lower(name) FROM person
)
INSERT INTO app.contact (id, workspace_id, name, merged_into)
SELECT id, %(workspace)s, name, CASE WHEN n = 3900 THEN id END FROM person
"""
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name"


@pytest.fixture
def crowd(urls: Urls, workspace_id: UUID) -> None:
    """4,000 people, of whom some have a word that others lack; number 3900 is merged away."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(CROWD, {"workspace": workspace_id, "people": PEOPLE})
        connection.execute("VACUUM ANALYZE app.contact, app.contact_search")


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("every", [number for number in range(PEOPLE, PEOPLE - 52, -1) if number != 3900]),
        ("some", [number for number in range(PEOPLE, 0, -1) if number % 150 == 0 and number != 3900]),
        ("few every", [3800, 1900]),
        ("no17", [*range(1799, 1748, -1)]),
        ("nowhere", []),
    ],
)
async def test_a_search_finds_the_newest_of_many_and_all_of_few(
    text: str, numbers: list[int], database: Database, workspace_id: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        found = await service.search_contacts(tx, text, 51)
        older = await service.search_contacts(tx, text, 51, before=found[10].id) if len(found) > 11 else found[11:]
    shown = [int(contact.name.split()[1][2:]) for contact in found]
    assert shown == numbers[:51]
    assert [contact.id for contact in older][:10] == [contact.id for contact in found[11:21]]


@pytest.mark.usefixtures("crowd")
async def test_a_search_leaves_the_transaction_as_it_was(database: Database, workspace_id: UUID) -> None:
    names = ["enable_bitmapscan", "enable_seqscan", "plan_cache_mode", "statement_timeout"]
    async with database.transaction(workspace_id) as tx:
        before = await tx.fetch_tuples(SETTINGS, (names,))
        for text in ("everybody", "few", "evrybody", "nowhere"):
            await service.search_contacts(tx, text)
            assert await tx.fetch_tuples(SETTINGS, (names,)) == before


async def test_likeness_that_takes_too_long_is_no_error(database: Database, workspace_id: UUID, urls: Urls) -> None:
    with psycopg.connect(urls.superuser) as other:
        other.execute("LOCK TABLE app.contact_search IN ACCESS EXCLUSIVE MODE")
        async with database.transaction(workspace_id) as tx:
            assert await repository_search.find_by_likeness(tx, "nobody", 5) == []
            assert await tx.fetch_value("SELECT 1") == 1
