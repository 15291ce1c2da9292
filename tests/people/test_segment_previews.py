"""How large a segment would be, before it is saved."""

import psycopg
import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import STATEMENT_TIMEOUT_MILLISECONDS, Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.people import repository_previews, segment_previews
from switchboard.people.models import Sighting
from switchboard.people.repository_conditions import Predicate, write_predicate
from switchboard.people.repository_vocabulary import OWN_WORDS
from switchboard.people.segment_conditions import check_condition
from switchboard.people.segment_previews import preview
from tests.conftest import Urls
from tests.people.segment_world import meet

GERMANS = 'contact.country == "DE"'
# Looks into the history of each of them, which takes longer than a millisecond.
SLOW = f"{GERMANS} && !events.exists(e, e.kind == 'contact.created' && e.data.none.contains('x'))"


async def add_many(database: Database, caller: Caller) -> None:
    """A thousand people, the newest hundred and every tenth of the others of Germany."""
    async with database.transaction(caller.workspace_id) as tx:
        await tx.execute(
            """
            INSERT INTO app.contact (id, workspace_id, name, country)
            SELECT app.uuid7(), %s, 'Person', CASE WHEN n > 900 OR n %% 10 = 0 THEN 'DE' ELSE 'FR' END
            FROM generate_series(1, 1000) AS n
            """,
            (caller.workspace_id,),
        )


async def test_what_cannot_be_counted_in_time_is_estimated_by_the_newest(
    database: Database, agent: Caller, urls: Urls
) -> None:
    await add_many(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        predicate = write_predicate(check_condition(GERMANS, OWN_WORDS).tree)
        assert await repository_previews.find_count(tx, predicate, 10_000) == 190
        # Fewer people than are looked at: it is no estimate at all.
        assert await repository_previews.estimate(tx, predicate, 5_000) == 190
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("ANALYZE app.contact")
    async with database.transaction(agent.workspace_id) as tx:
        # All of the newest hundred are of Germany, and every tenth of the hundred before them. What Postgres knows of
        # the size of a table is never exact.
        assert await repository_previews.estimate(tx, predicate, 100) == pytest.approx(1_000, rel=0.4)
        assert await repository_previews.estimate(tx, predicate, 200) == pytest.approx(550, rel=0.4)


async def test_a_preview_that_ran_out_of_time_says_that_it_is_an_estimate(database: Database, agent: Caller) -> None:
    await add_many(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        found = await preview(tx, agent, SLOW, milliseconds=1)
        assert (found.count, found.is_exact, len(found.sample)) == (190, False, 8)
        found = await preview(tx, agent, GERMANS, milliseconds=10_000)
        assert (found.count, found.is_exact, len(found.sample)) == (190, True, 8)


async def test_the_limit_of_a_count_holds_for_nothing_else(database: Database, agent: Caller) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await preview(tx, agent, GERMANS)
        limit = await tx.fetch_value("SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'")
    assert limit == STATEMENT_TIMEOUT_MILLISECONDS


@pytest.mark.parametrize(
    "condition",
    [
        'contact.name.matches("a*+")',
        'contact.name.matches("(ab)++")',
        'contact.name.matches("[a]?+")',
        'contact.created_at > timestamp("0001-01-01T00:00:00+14:00")',
        'contact.created_at > timestamp("9999-12-31T23:59:59-14:00")',
    ],
)
async def test_what_postgres_or_the_calendar_lacks_is_refused_with_its_place(
    database: Database, agent: Caller, condition: str
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        with pytest.raises(InvalidError) as refused:
            await preview(tx, agent, condition)
    assert [(problem.line, problem.column) for problem in refused.value.problems] == [
        (1, 22 if "matches" in condition else 32)
    ]


@pytest.mark.parametrize(
    ("pattern", "matches"), [(r"^A\\++$", "A++"), ("^[=+]+$", "=+="), ("^a+?b$", "aab"), (r"^\\*+$", "**")]
)
async def test_signs_that_stand_for_themselves_may_be_counted(
    database: Database, agent: Caller, pattern: str, matches: str
) -> None:
    await meet(database, agent, Sighting(name="Ada", email="a@x.example", company=matches), "Bob")
    async with database.transaction(agent.workspace_id) as tx:
        assert (await preview(tx, agent, f'contact.company.matches("{pattern}")')).count == 1


async def test_everybody_is_counted_while_that_takes_no_time_and_estimated_otherwise(
    database: Database, agent: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_many(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        monkeypatch.setattr(segment_previews, "FEW_MILLISECONDS", 10_000)
        assert await segment_previews.count_everybody(tx, agent) == (1_000, True)
        monkeypatch.setattr(repository_previews, "find_count", nothing_in_time)
        count, is_exact = await segment_previews.count_everybody(tx, agent)
    assert (count > 0, is_exact) == (True, False)


async def nothing_in_time(_tx: Tx, _predicate: Predicate, _milliseconds: int) -> None:
    """As when counting takes longer than there is time for."""
