"""The statements on the path of a lead use their indexes, whatever the tables grow to."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.routing import repository, repository_rotas
from tests.conftest import Urls
from tests.plans import ExplainingTx

Query = Callable[[Tx, UUID], Awaitable[object]]

# What each statement must find its rows by; a person, a rota, a contact or a subject stands in for the id.
QUERIES: dict[str, tuple[Query, str]] = {
    "lock_assignments": (lambda tx, id_: repository.lock_assignments(tx, [id_]), "assignment_pkey"),
    "list_decisions": (lambda tx, id_: repository.list_decisions(tx, id_, 50), "decision_by_subject"),
    "find_rule_matches": (lambda tx, id_: repository.find_rule_matches(tx, [id_]), "decision_by_subject"),
    "count_open": (lambda tx, id_: repository.count_open(tx, [id_]), "assignment_load"),
    "find_former_owners": (lambda tx, id_: repository.find_former_owners(tx, [id_], []), "assignment_by_contact"),
    "find_waiting_rotas": (lambda tx, id_: repository.find_waiting_rotas(tx, [id_], []), "assignment_waiting"),
    "count_waiting": (lambda tx, id_: repository.count_waiting(tx, [id_], 100), "assignment_waiting"),
    "find_oldest_waiting": (lambda tx, id_: repository.find_oldest_waiting(tx, id_, 200), "assignment_waiting"),
    "lock_oldest_waiting": (lambda tx, id_: repository.lock_oldest_waiting(tx, id_, 200), "assignment_waiting"),
    "list_waiting_rotas": (lambda tx, _: repository.list_waiting_rotas(tx), "assignment_waiting"),
    "adopt_unrouted": (repository.adopt_unrouted, "assignment_waiting"),
    "move_contact": (lambda tx, id_: repository.move_contact(tx, id_, id_), "assignment_by_contact"),
    "lock_members": (lambda tx, id_: repository_rotas.lock_members(tx, [id_]), "rota_member_by_user"),
}


@pytest.fixture
def many_assignments(urls: Urls, workspace_id: UUID) -> None:
    """20,000 assignments of many people and contacts, a few of which wait, with a decision each."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO app.assignment (subject_id, workspace_id, subject_kind, contact_id, state, owner_id, rota_id,
                waiting_since)
            SELECT gen_random_uuid(), %s, 'lead', md5((n %% 7000)::text)::uuid,
                CASE WHEN n %% 50 = 0 THEN 'waiting' WHEN n %% 3 = 0 THEN 'offered' ELSE 'released' END,
                CASE WHEN n %% 50 > 0 THEN md5((n %% 300)::text)::uuid END, md5((n %% 40)::text)::uuid, now()
            FROM generate_series(1, 20000) AS n
            """,
            (workspace_id,),
        )
        connection.execute(
            """
            INSERT INTO app.decision (id, workspace_id, subject_id, trigger, state, candidates)
            SELECT gen_random_uuid(), workspace_id, subject_id, 'arrived', state, '[]' FROM app.assignment
            """
        )
        connection.execute(
            """
            INSERT INTO app.rota (id, workspace_id, name, time_zone, strategy)
            SELECT md5(n::text)::uuid, %s, 'Rota ' || n, 'UTC', 'sticky' FROM generate_series(1, 2000) AS n
            """,
            (workspace_id,),
        )
        connection.execute(
            """
            INSERT INTO app.rota_member (rota_id, workspace_id, user_id, position)
            SELECT id, workspace_id, md5((n * 7)::text || id::text)::uuid, n
            FROM app.rota, generate_series(1, 5) AS n
            """
        )
        connection.execute("ANALYZE app.assignment, app.decision, app.rota, app.rota_member")


async def test_every_statement_of_the_path_finds_its_rows_by_index(
    database: Database, workspace_id: UUID, many_assignments: None
) -> None:
    for name, (query, index) in QUERIES.items():
        async with database.transaction(workspace_id) as tx:
            explaining = ExplainingTx(tx, workspace_id)
            await query(explaining, new_id())
            [plan] = explaining.plans
        assert index in plan, f"{name}:\n{plan}"
        assert "Seq Scan" not in plan, f"{name}:\n{plan}"


async def test_the_loop_across_workspaces_skips_along_the_index(
    database: Database, workspace_id: UUID, many_assignments: None
) -> None:
    async with database.queue_loop() as tx:
        explaining = ExplainingTx(tx, workspace_id)
        found = await repository.list_waiting_rotas(explaining)
        [plan] = explaining.plans
    assert len(found) == 4
    assert plan.count("assignment_waiting") == 2
    assert "Seq Scan" not in plan
