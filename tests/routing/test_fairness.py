"""Many processes hand out at once: turns stay fair, capacity holds, and nobody waits for each other in a circle."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Tx, recorded_queries
from switchboard.routing import repository_rotas, service
from switchboard.routing.errors import AcceptedAlreadyError
from switchboard.routing.models import Outcome, RoutingSubject, RuleTarget, Strategy
from switchboard.routing.rules import create_rule
from switchboard.routing.waiting import WaitingLoop, serve_waiting
from tests.routing.conftest import make_rota, make_subjects, names_of

CONNECTIONS = 4
BATCH = 100


async def route_at_once(
    database: Database, workspace_id: UUID, batches: Sequence[Sequence[RoutingSubject]]
) -> list[Outcome]:
    """Route the batches through four connections, each taking the next batch when it is done with one."""
    left = list(batches)
    outcomes: list[Outcome] = []

    async def work() -> None:
        while left:
            batch = left.pop()
            async with database.transaction(workspace_id) as tx:
                outcomes.extend(await service.route(tx, batch, trigger="arrived"))

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return outcomes


@pytest.mark.parametrize("strategy", ["round_robin", "weighted", "least_loaded", "sticky"])
async def test_ten_batches_through_four_connections_differ_by_at_most_one(
    database: Database, workspace_id: UUID, team: list[Caller], strategy: Strategy
) -> None:
    rota_id = await make_rota(database, workspace_id, "Sales", team, strategy=strategy)
    sizes = [BATCH - 1 if i % 2 else BATCH - 50 for i in range(10)]
    outcomes = await route_at_once(database, workspace_id, [make_subjects(size) for size in sizes])
    counts = Counter(names_of(team, outcomes))
    assert sum(counts.values()) == sum(sizes)
    assert max(counts.values()) - min(counts.values()) <= 1
    async with database.transaction(workspace_id) as tx:
        members = await repository_rotas.list_members(tx, [rota_id])
    assert {member.user_id: member.assigned for member in members} == Counter(o.owner_id for o in outcomes)


async def test_weights_are_exact_through_four_connections(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Sales", team, strategy="weighted", weights=[4, 3, 2, 1])
    outcomes = await route_at_once(database, workspace_id, [make_subjects(25) for _ in range(20)])
    assert Counter(names_of(team, outcomes)) == {"Anna": 200, "Ben": 150, "Cleo": 100, "Dan": 50}


async def test_capacity_holds_in_two_rotas_that_share_their_people(
    database: Database, workspace_id: UUID, team: list[Caller], owner: Caller
) -> None:
    await make_rota(database, workspace_id, "Sales", team[:3], capacity=20)
    second = await make_rota(database, workspace_id, "Upsell", [team[2], team[1], team[3]], capacity=20)
    async with database.transaction(workspace_id) as tx:
        await create_rule(tx, owner, name="Upsell", condition="lead.value > 0", target=RuleTarget(rota_id=second))
    mixed = [make_subjects(10) + make_subjects(10, {"lead": {"value": 1}}) for _ in range(10)]
    outcomes = await route_at_once(database, workspace_id, mixed)
    assert Counter(names_of(team, outcomes)) == {"Anna": 20, "Ben": 20, "Cleo": 20, "Dan": 20, "-": 120}


async def test_leads_are_routed_while_others_are_accepted_handed_on_and_closed(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Sales", team, capacity=30, supervisor=team[0])
    subjects = make_subjects(200)
    ids = [subject.id for subject in subjects]
    await route_at_once(database, workspace_id, [subjects[i : i + 20] for i in range(0, 200, 20)])
    loop = WaitingLoop(database)

    async def close(part: list[UUID]) -> None:
        async with database.transaction(workspace_id) as tx:
            await service.hand_on(tx, part, trigger="late")
        async with database.transaction(workspace_id) as tx:
            await service.release(tx, part)
        await loop.tick()

    parts = [ids[i : i + 10] for i in range(0, 200, 10)]
    await asyncio.gather(*(close(part) for part in parts))
    await loop.tick()
    async with database.transaction(workspace_id) as tx:
        states = Counter(a.state for a in (await service.find_assignments(tx, ids)).values())
    assert states == {"released": 200}


async def test_of_those_who_accept_at_once_one_wins(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [subject] = make_subjects(1)
    await route_at_once(database, workspace_id, [[subject]])

    async def accept(caller: Caller) -> str:
        try:
            async with database.transaction(workspace_id) as tx:
                await service.accept(tx, caller, subject.id)
        except AcceptedAlreadyError:
            return "late"
        return caller.name

    answers = await asyncio.gather(*(accept(caller) for caller in team))
    async with database.transaction(workspace_id) as tx:
        [assignment] = (await service.find_assignments(tx, [subject.id])).values()
        accepted = await tx.fetch_value(
            "SELECT count(*) FROM app.event WHERE subject_id = %s AND kind = 'lead.accepted'", (subject.id,)
        )
    [winner] = [answer for answer in answers if answer != "late"]
    assert next(caller.name for caller in team if caller.user_id == assignment.owner_id) == winner
    assert accepted == 1


async def test_every_change_locks_lead_then_assignment_then_rota(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    """Signals that join a lead hold it while they wait for the rota: nobody may hold the rota and wait for a lead."""
    rota_id = await make_rota(database, workspace_id, "Solo", team[:1], capacity=1)
    first, waits = await route_at_once(database, workspace_id, [make_subjects(2)])
    ids = [first.subject_id]
    changes: list[Callable[[Tx], Awaitable[object]]] = [
        lambda tx: service.hand_on(tx, ids, trigger="late"),
        lambda tx: service.assign(tx, ids, rota_id=rota_id, accept_within=None, trigger="again"),
        lambda tx: service.release(tx, ids),
        lambda tx: serve_waiting(tx, rota_id),
        lambda tx: service.accept(tx, team[0], waits.subject_id),
    ]
    expected = ["app.lead", "app.assignment", "app.rota_member"]
    for change in changes:
        async with database.transaction(workspace_id) as tx:
            with recorded_queries() as statements:
                await change(tx)
        locked = [
            table for text in statements if "FOR UPDATE" in text for table in expected if f"FROM {table} " in text
        ]
        assert list(dict.fromkeys(locked))[:2] == expected[:2]
        assert list(dict.fromkeys(locked)) == expected[: len(set(locked))]
