"""The hot statements of flows walk their indexes, with many runs in the table."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.flows import repository, repository_cohorts, repository_runs
from switchboard.flows.models import Ending, RunPosition, Tally
from switchboard.kernel.db import Database, Tx, recorded_queries
from switchboard.kernel.ids import new_id
from switchboard.kernel.low_water import EVERYTHING
from tests.conftest import Urls
from tests.flows.world import save_active
from tests.plans import ExplainingTx, explain

FLOW = """
flow: bulk
title: Bulk
subject: lead
starts: [lead.created]
steps: [wait: 1d, wait: 1d, wait: 1d]
"""


async def fill(tx: Tx) -> UUID:
    """A flow with 20,000 sleeping runs, of whom ten are due."""
    flow = await save_active(tx, FLOW)
    await tx.execute(
        """
        INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, step, due_at)
        SELECT app.uuid7(), %s, %s, 1, 'lead', gen_random_uuid(), gen_random_uuid(), n %% 3,
               app.now() + CASE WHEN n <= 10 THEN interval '-1 minute' ELSE interval '1 day' END
        FROM generate_series(1, 20000) AS n
        """,
        (tx.workspace_id, flow.id),
    )
    await tx.execute("ANALYZE app.run")
    return flow.id


async def test_claiming_walks_the_due_index_and_nothing_else(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await fill(tx)
        with recorded_queries() as statements:
            _, cohorts = await repository_cohorts.claim(tx, EVERYTHING, 500)
        explained = await explain(tx, statements[0], (EVERYTHING, 500))
    assert sum(cohort.runs for cohort in cohorts) == 10
    assert "Index Scan using run_due_single on run" in explained
    assert "Seq Scan" not in explained


async def test_claiming_walks_the_due_index_also_while_everything_is_due(
    database: Database, workspace_id: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await fill(tx)
        await tx.execute("UPDATE app.run SET due_at = app.now() - interval '1 minute' * random()")
        await tx.execute("ANALYZE app.run")
    async with database.queue_loop() as tx:
        explaining = ExplainingTx(tx, workspace_id)
        await repository_cohorts.claim(explaining, EVERYTHING, 1_000)
        await repository_cohorts.claim(explaining, EVERYTHING, 1_000, of_campaigns=True)
    assert "Index Scan using run_due_single on run" in explaining.plans[0]
    assert "Index Scan using run_due_campaign on run" in explaining.plans[1]


async def test_a_cohort_is_found_again_by_where_its_rows_lie(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await fill(tx)
        _, cohorts = await repository_cohorts.claim(tx, EVERYTHING, 500)
        explaining = ExplainingTx(tx, workspace_id)
        position = RunPosition(new_id(), 1, 2, "ready", None, None, 0)
        moved = [await repository_cohorts.move(explaining, cohort, position, [], []) for cohort in cohorts]
        assert sorted(moved) == [3, 3, 4]
        ending = Ending(new_id(), "finished", "all steps done", 1)
        (again,) = (await repository_cohorts.claim(tx, EVERYTHING, 500))[1]
        assert await repository_cohorts.end(explaining, again, ending, [], []) == 10
        await repository_cohorts.load_runs(explaining, [again.places], 10)
        await repository_cohorts.park(explaining, [again.places])
    assert len(explaining.plans) == 6
    for plan in explaining.plans:
        assert "Tid Scan on run" in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize("ids", [1, 200])
async def test_an_event_finds_its_runs_by_subject_and_contact(database: Database, workspace_id: UUID, ids: int) -> None:
    async with database.transaction(workspace_id) as tx:
        await fill(tx)
        leads, contacts = [uuid4() for _ in range(ids)], [uuid4() for _ in range(ids)]
        with recorded_queries() as statements:
            assert await repository_runs.find_about(tx, leads, contacts) == []
        explained = await explain(tx, statements[0], {"workspace": workspace_id, "leads": leads, "contacts": contacts})
    assert "run_by_subject" in explained
    assert "run_by_contact" in explained
    assert "Seq Scan" not in explained


async def test_a_steps_people_are_counted_and_listed_by_the_step_index(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        flow_id = await fill(tx)
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        # What autovacuum noted of the table before would be believed otherwise.
        connection.execute("ANALYZE app.run")
    async with database.transaction(workspace_id) as tx:
        assert await repository_runs.count_at_steps(tx, (flow_id, 1), 1_000) == {0: 1_000, 1: 1_000, 2: 1_000}
        with recorded_queries() as statements:
            first = await repository_runs.list_standing(tx, (flow_id, 1), 1, None, 50)
            second = await repository_runs.list_standing(tx, (flow_id, 1), 1, first[-1].id, 50)
        given = {
            "workspace": workspace_id,
            "flow": flow_id,
            "version": 1,
            "step": 1,
            "after": first[-1].id,
            "limit": 50,
        }
        explained = await explain(tx, statements[1], given)
    assert len({run.id for run in (*first, *second)}) == 100
    assert "run_by_step" in explained
    assert "Sort" not in explained


async def test_folding_keeps_the_sums_and_leaves_one_row_of_each(database: Database, workspace_id: UUID) -> None:
    flow_id = new_id()
    async with database.transaction(workspace_id) as tx:
        for _ in range(20):
            await repository.insert_tallies(tx, (flow_id, 1), [Tally(-1, "started", 2), Tally(0, "passed", 1)])
        before = await repository.list_step_tallies(tx, (flow_id, 1))
        await repository.fold_tallies(tx, flow_id, timedelta(days=40))
        assert await repository.list_step_tallies(tx, (flow_id, 1)) == before
        assert before == [Tally(-1, "started", 40), Tally(0, "passed", 20)]
        assert await tx.fetch_value("SELECT count(*) FROM app.flow_tally") == 2
