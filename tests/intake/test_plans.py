"""The hot statements walk their indexes, whatever else is in the tables."""

import re
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from switchboard.accounts.models import system_caller
from switchboard.intake import repository, repository_signals, service
from switchboard.intake.models import Source
from switchboard.intake.repository_signals import Bounds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from tests.conftest import Urls
from tests.intake.conftest import make_source
from tests.plans import ExplainingTx

ROWS = 40_000
# A whole scan of a partition that holds anything; of an empty one it costs nothing.
# Not of the default partition, in which tests that move the clock far may have left a few rows.
FILLED_SCAN = re.compile(r"Seq Scan on signal\S*(?<!_default) \S+ +\(cost=0\.00\.\.(?!0\.00)")


def _fill(urls: Urls, source: Source, other: Source) -> None:
    """Many signals of many sources, one in two hundred of this one, one in a hundred failed, and all of them due."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        others = [other.id, *(new_id() for _ in range(49))]
        values = (source.workspace_id, source.id, others, ROWS)
        connection.execute(
            """
            INSERT INTO app.signal (id, workspace_id, source_id, received_at, payload)
            SELECT app.uuid7(), %s, CASE WHEN n %% 200 = 0 THEN %s ELSE (%s::uuid[])[1 + n %% 50] END, app.now(), '{}'
            FROM generate_series(1, %s) AS n
            """,
            values,
        )
        connection.execute(
            """
            INSERT INTO app.signal_outcome (signal_id, received_at, workspace_id, source_id, outcome)
            SELECT id, received_at, workspace_id, source_id,
                CASE WHEN mod(row_number() OVER (), 100) = 0 THEN 'failed' ELSE 'opened' END
            FROM app.signal
            """
        )
        connection.execute(
            """
            INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at, import_id)
            SELECT id, workspace_id, source_id, received_at, id FROM app.signal
            """
        )
        connection.execute("ANALYZE app.signal, app.signal_outcome, app.signal_due")


@pytest.fixture
async def two_sources(database: Database, source: Source, urls: Urls) -> Source:
    _fill(urls, source, await make_source(database, source.workspace_id, "Other"))
    return source


async def test_claiming_walks_the_due_rows_in_order(database: Database, two_sources: Source) -> None:
    async with database.queue_loop() as tx:
        explained = ExplainingTx(tx, two_sources.workspace_id)
        assert len(await repository.claim_due(explained, 300)) == 300
    assert "signal_due_order" in explained.plans[0]
    assert "Sort" not in explained.plans[0]


READS: list[Callable[[Tx, Source], Awaitable[object]]] = [
    lambda tx, source: repository_signals.list_signals(tx, source.id, Bounds(), 51),
    lambda tx, source: service.find_figures(tx, [source]),
    lambda tx, source: repository_signals.list_payloads(tx, source.id, 100),
]


@pytest.mark.parametrize("read", READS)
async def test_the_log_walks_the_signals_of_its_source(
    database: Database, two_sources: Source, read: Callable[[Tx, Source], Awaitable[object]]
) -> None:
    async with database.transaction(two_sources.workspace_id) as tx:
        explained = ExplainingTx(tx, two_sources.workspace_id)
        await read(explained, two_sources)
    plan = explained.plans[-1]
    assert "source_id_id" in plan
    assert not FILLED_SCAN.search(plan)


async def test_failures_are_found_by_their_own_index(database: Database, two_sources: Source) -> None:
    async with database.transaction(two_sources.workspace_id) as tx:
        explained = ExplainingTx(tx, two_sources.workspace_id)
        found = await repository_signals.list_failed_signals(explained, two_sources.id, two_sources.created_at, 50)
    # Whatever failed waits to run again already.
    assert found == []
    assert not FILLED_SCAN.search(explained.plans[-1])


async def test_sources_are_listed_with_the_same_number_of_queries_however_many(
    database: Database, two_sources: Source
) -> None:
    caller = system_caller(two_sources.workspace_id)
    async with database.transaction(two_sources.workspace_id) as tx:
        explained = ExplainingTx(tx, two_sources.workspace_id)
        await service.find_figures(explained, await service.list_sources(explained, caller))
    assert len(explained.plans) == 3
