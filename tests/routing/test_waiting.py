"""Those who wait get the next free place, the oldest of their rota first."""

import asyncio
from datetime import time, timedelta
from uuid import UUID

from switchboard.accounts.models import Caller, system_caller
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.localtime import next_local, to_local
from switchboard.routing import repository, rotas, service
from switchboard.routing.models import Shift
from switchboard.routing.waiting import WaitingLoop, serve_waiting
from tests.conftest import Urls, move_clock
from tests.routing.conftest import events_about, make_rota, make_subjects, names_of, route_some, user_of


async def states_of(database: Database, workspace_id: UUID, ids: list[UUID]) -> list[str]:
    async with database.transaction(workspace_id) as tx:
        found = await service.find_assignments(tx, ids)
    return [found[subject_id].state for subject_id in ids]


async def test_who_waits_is_served_when_capacity_is_free_the_oldest_first(
    database: Database, workspace_id: UUID, team: list[Caller], urls: Urls
) -> None:
    await make_rota(database, workspace_id, "Solo", team[:1], capacity=1)
    [first] = await route_some(database, workspace_id, 1)
    ids = []
    for minute in (1, 2, 3):
        await move_clock(urls, f"{minute} minutes")
        ids += [(await route_some(database, workspace_id, 1))[0].subject_id]
    loop = WaitingLoop(database)
    assert (await loop.tick()).handled == 0
    for done, expected in (
        (first.subject_id, ["offered", "waiting", "waiting"]),
        (ids[0], ["released", "offered", "waiting"]),
        (ids[1], ["released", "released", "offered"]),
    ):
        async with database.transaction(workspace_id) as tx:
            await service.release(tx, [done])
        tick = await loop.tick()
        assert (tick.handled, tick.has_more) == (1, False)
        assert await states_of(database, workspace_id, ids) == expected


async def test_a_newcomer_does_not_overtake_those_who_wait(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Solo", team[:1], capacity=1)
    first, waits = await route_some(database, workspace_id, 2)
    async with database.transaction(workspace_id) as tx:
        await service.release(tx, [first.subject_id])
    [newcomer] = await route_some(database, workspace_id, 1)
    assert newcomer.state == "waiting"
    assert newcomer.note == "Others wait for this rota already: it waits behind them."
    async with database.transaction(workspace_id) as tx:
        [decision] = await service.list_decisions(tx, newcomer.subject_id)
    assert [candidate.text for candidate in decision.candidates] == ["free, but others have waited longer"]
    await WaitingLoop(database).tick()
    assert await states_of(database, workspace_id, [waits.subject_id, newcomer.subject_id]) == ["offered", "waiting"]


async def test_a_shift_that_begins_serves_the_night(
    database: Database, workspace_id: UUID, team: list[Caller], urls: Urls
) -> None:
    rota_id = await make_rota(database, workspace_id, "Day", team[:2])
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        now = await tx.now()
        tomorrow = to_local(now, "Europe/Berlin").date() + timedelta(days=1)
        shift = Shift(rota_id, user_of(team[1]), tomorrow.isoweekday(), time(9), time(17))
        await rotas.set_shifts(tx, caller, rota_id, [shift])
    [waits] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        [decision] = await service.list_decisions(tx, waits.subject_id)
    opens = next_local(now, "Europe/Berlin", time(9), frozenset({tomorrow.isoweekday()}))
    assert [c.text for c in decision.candidates] == ["has no shifts", f"off shift until {tomorrow:%a} 09:00"]
    loop = WaitingLoop(database)
    await move_clock(urls, f"{(opens - now).total_seconds() - 60} seconds")
    assert (await loop.tick()).handled == 0
    await move_clock(urls, f"{(opens - now).total_seconds() + 60} seconds")
    assert (await loop.tick()).handled == 1
    async with database.transaction(workspace_id) as tx:
        newest = (await service.list_decisions(tx, waits.subject_id))[0]
        kinds = await events_about(tx, waits.subject_id)
    assert (newest.trigger, newest.chosen_id) == ("waited its turn", team[1].user_id)
    assert newest.rule is not None
    assert newest.rule.name == "Everything else"
    assert kinds == ["lead.waiting", "lead.assigned"]


async def test_the_clock_of_who_waits_starts_when_they_are_offered(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    rota_id = await make_rota(database, workspace_id, "Solo", team[:1], capacity=0)
    within = timedelta(minutes=5)
    [waits] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        [still] = await service.assign(tx, [waits.subject_id], accept_within=within, trigger="speed to lead")
        [handed] = await service.hand_on(tx, [waits.subject_id], trigger="late")
    assert (still.state, still.accept_by, handed.state) == ("waiting", None, "waiting")
    async with database.transaction(workspace_id) as tx:
        await rotas.set_member(tx, system_caller(workspace_id), rota_id, user_of(team[0]), capacity=1)
        await serve_waiting(tx, rota_id)
        now = await tx.now()
        [assignment] = (await service.find_assignments(tx, [waits.subject_id])).values()
    assert (assignment.state, assignment.accept_by) == ("offered", now + within)


async def test_two_loops_at_once_serve_each_waiting_lead_once_and_in_order(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    rota_id = await make_rota(database, workspace_id, "Pair", team[:2], capacity=0)
    outcomes = await route_some(database, workspace_id, 50)
    async with database.transaction(workspace_id) as tx:
        for member in team[:2]:
            await rotas.set_member(tx, system_caller(workspace_id), rota_id, user_of(member), capacity=20)
    ticks = await asyncio.gather(*(WaitingLoop(database).tick() for _ in range(4)))
    assert sum(tick.handled for tick in ticks) == 40
    ids = [outcome.subject_id for outcome in outcomes]
    assert await states_of(database, workspace_id, ids) == ["offered"] * 40 + ["waiting"] * 10


async def test_who_waits_and_is_held_by_one_loop_is_passed_by_by_another(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    rota_id = await make_rota(database, workspace_id, "Pair", team[:2], capacity=0)
    await route_some(database, workspace_id, 3)
    async with database.transaction(workspace_id) as first, database.transaction(workspace_id) as second:
        held = await repository.lock_oldest_waiting(first, rota_id, 2)
        others = await repository.lock_oldest_waiting(second, rota_id, 3)
    assert (len(held), len(others)) == (2, 1)


async def test_the_loop_serves_every_workspace_and_leaps_over_long_queues(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID, team: list[Caller], stranger: Caller
) -> None:
    ours = await make_rota(database, workspace_id, "Ours", team[:1], capacity=0)
    theirs = await make_rota(database, strangers_workspace_id, "Theirs", [stranger], capacity=0)
    await route_some(database, workspace_id, 30)
    [other] = await route_some(database, strangers_workspace_id, 1)
    async with database.queue_loop() as tx:
        assert await repository.list_waiting_rotas(tx) == sorted(
            [(workspace_id, ours), (strangers_workspace_id, theirs)]
        )
    async with database.transaction(strangers_workspace_id) as tx:
        await rotas.set_member(tx, stranger, theirs, user_of(stranger), capacity=1)
    assert (await WaitingLoop(database).tick()).handled == 1
    assert await states_of(database, strangers_workspace_id, [other.subject_id]) == ["offered"]


async def test_nobody_locks_anything_while_nobody_is_available(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    rota_id = await make_rota(database, workspace_id, "Solo", team[:1], capacity=0)
    async with database.transaction(workspace_id) as tx:
        outcomes = await service.route(tx, make_subjects(3), trigger="arrived")
    async with database.transaction(workspace_id) as tx:
        with recorded_queries() as statements:
            assert await serve_waiting(tx, rota_id) == 0
    assert names_of(team, outcomes) == ["-", "-", "-"]
    assert [statement for statement in statements if "FOR UPDATE" in statement] == []
