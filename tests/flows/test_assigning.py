"""Steps that change a lead: offering it to one person after the other, and writing to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.flows import service
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import SYSTEM
from switchboard.routing import rotas
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject
from switchboard.routing.waiting import WaitingLoop
from tests.conftest import Urls, make_member, move_clock
from tests.flows.world import (
    KINDS,
    add_contact,
    add_lead,
    add_letters,
    endings,
    running,
    save_active,
    sent_letters,
    settle,
)
from tests.routing.conftest import make_rota, user_of

OFFER = """
flow: offer
title: Offer
subject: lead
starts: [lead.created]
steps:
  - assign: {rota: sales, accept_within: 5m}
    then: [send: welcome]
    else: [send: second]
"""


@pytest.fixture
async def boss(database: Database, workspace_id: UUID) -> Caller:
    """The workspace's supervisor."""
    boss = await make_member(database, workspace_id, "boss@acme.example", "Bea Boss", "admin")
    async with database.transaction(workspace_id) as tx:
        workspace = replace(await accounts.get_workspace(tx), supervisor_id=boss.user_id)
        await accounts.update_workspace(tx, system_caller(workspace_id), workspace)
    return boss


@pytest.fixture
async def team(database: Database, workspace_id: UUID, boss: Caller) -> list[Caller]:
    """Anna and Ben, in this order in the rota Sales, to which all leads go."""
    team = [await make_member(database, workspace_id, f"{n.lower()}@acme.example", n, "agent") for n in ("Anna", "Ben")]
    await make_rota(database, workspace_id, "Sales", team)
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
    return team


async def arrive(tx: Tx, email: str = "ann@x.example") -> UUID:
    """A lead as intake opens and routes it."""
    contact_id = await add_contact(tx, email)
    lead_id = await add_lead(tx, contact_id, title="Roof")
    await routing.route(tx, [RoutingSubject(lead_id, "lead", contact_id, {})], trigger="arrived")
    return lead_id


async def begin(database: Database, workspace_id: UUID, source: str = OFFER) -> UUID:
    """The flow is active, and one lead has come and been offered."""
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, source)
        lead_id = await arrive(tx)
    await settle(database)
    return lead_id


async def owner_of(database: Database, workspace_id: UUID, lead_id: UUID, people: Sequence[Caller]) -> str:
    async with database.transaction(workspace_id) as tx:
        assignment = (await routing.find_assignments(tx, [lead_id]))[lead_id]
    return next((person.name for person in people if person.user_id == assignment.owner_id), "nobody")


async def notices(tx: Tx) -> list[str]:
    """Whom the flow told, in order."""
    rows = await tx.fetch_tuples("SELECT address FROM app.message WHERE user_id IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


async def test_the_lead_stays_with_whom_the_rules_chose_and_the_clock_starts(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    lead_id = await begin(database, workspace_id)
    assert await owner_of(database, workspace_id, lead_id, team) == "Anna"
    async with database.transaction(workspace_id) as tx:
        assignment = (await routing.find_assignments(tx, [lead_id]))[lead_id]
        assert assignment.accept_by == await tx.fetch_value("SELECT due_at FROM app.run")
        assert len(await routing.list_decisions(tx, lead_id)) == 1
        assert await notices(tx) == ["anna@acme.example"]


async def test_not_accepted_goes_to_the_next_and_at_last_to_the_supervisor(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller], boss: Caller
) -> None:
    lead_id = await begin(database, workspace_id)
    owners = []
    for minutes in (4, 6, 10, 12, 30):
        await move_clock(urls, f"{minutes} minutes")
        await settle(database)
        owners.append(await owner_of(database, workspace_id, lead_id, [*team, boss]))
    assert owners == ["Anna", "Ben", "Ben", "Bea Boss", "Bea Boss"]
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("second", "queued")]
        assert await notices(tx) == ["anna@acme.example", "ben@acme.example", "boss@acme.example"]
        assert await endings(tx) == [("finished", "all steps done")]


async def test_accepted_in_time_goes_on_at_once(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller]
) -> None:
    lead_id = await begin(database, workspace_id)
    await move_clock(urls, "6 minutes")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await routing.accept(tx, team[1], lead_id)
    assert await settle(database) > 0
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        assert await endings(tx) == [("finished", "all steps done")]


async def test_a_lead_that_is_accepted_before_the_step_is_not_offered_again(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, OFFER)
        lead_id = await arrive(tx)
        await routing.accept(tx, team[0], lead_id)
    await settle(database)
    assert await owner_of(database, workspace_id, lead_id, team) == "Anna"
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        assert await notices(tx) == []


async def test_two_rounds_offer_it_to_everybody_twice(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller], boss: Caller
) -> None:
    lead_id = await begin(database, workspace_id, OFFER.replace("accept_within: 5m", "accept_within: 5m, rounds: 2"))
    owners = []
    for minutes in (1, 6, 12, 18, 24):
        await move_clock(urls, f"{minutes} minutes")
        await settle(database)
        owners.append(await owner_of(database, workspace_id, lead_id, [*team, boss]))
    assert owners[:2] == ["Anna", "Ben"]
    assert sorted(owners[2:4]) == ["Anna", "Ben"]
    assert owners[4] == "Bea Boss"


async def test_a_lead_that_waits_for_somebody_gets_its_clock_when_they_come(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller]
) -> None:
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        rota = await routing.find_rota_by_name(tx, "sales")
        assert rota is not None
        for member in team:
            await rotas.set_member(tx, caller, rota.id, user_of(member), capacity=0)
    lead_id = await begin(database, workspace_id)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT step, due_at FROM app.run") == [(0, None)]
        await rotas.set_member(tx, caller, rota.id, user_of(team[1]), capacity=1)
    await move_clock(urls, "2 hours")
    await WaitingLoop(database).tick()
    await settle(database)
    assert await owner_of(database, workspace_id, lead_id, team) == "Ben"
    async with database.transaction(workspace_id) as tx:
        left = await tx.fetch_value("SELECT extract(epoch FROM due_at - app.now())::int FROM app.run")
        assert 290 <= left <= 300
        assert await notices(tx) == ["ben@acme.example"]


async def test_whoever_gets_it_by_hand_has_as_long_to_accept(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller], boss: Caller
) -> None:
    lead_id = await begin(database, workspace_id)
    await move_clock(urls, "4 minutes")
    async with database.transaction(workspace_id) as tx:
        await routing.assign(tx, [lead_id], user_id=boss.user_id, accept_within=None, trigger=routing.by_hand(boss))
    await settle(database)
    await move_clock(urls, "8 minutes")
    await settle(database)
    assert await owner_of(database, workspace_id, lead_id, [*team, boss]) == "Bea Boss"
    async with database.transaction(workspace_id) as tx:
        assert await running(tx) == [(0, "waiting")]
        assert await notices(tx) == ["anna@acme.example", "boss@acme.example"]


async def test_accepting_and_handing_on_at_one_moment_leaves_one_owner(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller]
) -> None:
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, OFFER)
        lead_ids = [await arrive(tx, f"p{number}@x.example") for number in range(20)]
    await settle(database)
    await move_clock(urls, "6 minutes")

    async def accept_all() -> None:
        for lead_id in lead_ids:
            async with database.transaction(workspace_id) as tx:
                await routing.accept(tx, team[0], lead_id)

    await asyncio.gather(accept_all(), settle(database), settle(database))
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assignments = await routing.find_assignments(tx, lead_ids)
        assert {assignment.state for assignment in assignments.values()} == {"accepted"}
        assert await sent_letters(tx) == [("welcome", "queued")] * 20


async def test_a_rota_that_is_gone_is_named_and_the_run_fails_after_ten_tries(
    database: Database, workspace_id: UUID, urls: Urls, team: list[Caller], owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, OFFER)
        lead_id = await add_lead(tx, await add_contact(tx, "ann@x.example"))
        await tx.execute("UPDATE app.rota SET archived_at = app.now()")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        (retried,) = await service.list_failed_runs(tx, owner)
        assert (retried.lead_id, retried.reason[:17]) == (lead_id, "There is no rota ")
    for hours in range(1, 20):
        await move_clock(urls, f"{hours * 2} hours")
        await settle(database)
    async with database.transaction(workspace_id) as tx:
        (failed,) = await service.list_failed_runs(tx, owner)
        assert failed.reason == "There is no rota sales any more. Make it again, or change the flow."
        assert (failed.lead_id, failed.flow_title) == (lead_id, "Offer")
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'run.failed'") == 1
        assert await running(tx) == []


async def test_set_writes_to_the_lead_and_to_nothing_else(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    flow = """
flow: mark
title: Mark
subject: lead
starts: [lead.created]
steps:
  - set: {stage: qualified, value: 5000, fields: {plan: gold}}
  - if: lead.stage == 'qualified' && lead.value == 5000 && lead.fields.plan == 'gold'
    then: [send: welcome]
"""
    lead_id = await begin(database, workspace_id, flow)
    async with database.transaction(workspace_id) as tx:
        row = await tx.fetch_tuples(
            "SELECT stage, value_minor, fields, title, is_junk FROM app.lead WHERE id = %s", (lead_id,)
        )
        assert row == [("qualified", 5000, {"plan": "gold"}, "Roof", False)]
        assert await sent_letters(tx) == [("welcome", "queued")]


async def test_set_writes_a_contacts_own_field(database: Database, workspace_id: UUID, team: list[Caller]) -> None:
    flow = """
flow: tag
title: Tag
subject: contact
starts: [lead.created]
steps:
  - set: {fields: {segment: warm}}
"""
    await begin(database, workspace_id, flow)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT fields FROM app.contact") == {"segment": "warm"}
        assert await endings(tx) == [("finished", "all steps done")]


async def test_one_run_that_cannot_go_on_holds_no_other_up(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    flow = """
flow: odd
title: Odd
subject: lead
starts: [lead.created]
steps:
  - if: int(lead.fields.size) > 3
    then: [send: welcome]
"""
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, flow)
        for number, size in enumerate(["5", "many", "7"]):
            await add_lead(tx, await add_contact(tx, f"p{number}@x.example"), fields={"size": size})
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")] * 2
        ((attempts, error),) = await tx.fetch_tuples("SELECT attempts, last_error FROM app.run")
        assert attempts == 1
        assert error.startswith("The condition 'int(lead.fields.size) > 3' cannot be decided")


async def test_notify_tells_the_owner_with_the_way_to_the_lead(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    flow = """
flow: nudge
title: Nudge
subject: lead
starts: [lead.created]
steps:
  - wait: 1s
  - notify: owner
    text: Call them.
"""
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, flow)
        lead_id = await arrive(tx)
        await tx.execute("UPDATE app.run SET step = 1")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        ((address, subject, text, purpose),) = await tx.fetch_tuples(
            "SELECT address, subject, body_text, purpose FROM app.message"
        )
        assert (address, purpose) == ("anna@acme.example", "transactional")
        assert subject == "ann@x.example: Nudge"
        assert text == f"Call them.\n\nhttps://switchboard.example/leads/{lead_id}\n"


async def test_a_change_by_hand_after_the_run_was_stopped_is_not_undone(
    database: Database, workspace_id: UUID, team: list[Caller], urls: Urls
) -> None:
    lead_id = await begin(database, workspace_id, OFFER.replace("steps:", "stops: [lead.junked]\nsteps:"))
    async with database.transaction(workspace_id) as tx:
        await KINDS["lead"].change(tx, [lead_id], "junk", True, SYSTEM)
    await move_clock(urls, "10 minutes")
    assert await settle(database) == 0
    async with database.transaction(workspace_id) as tx:
        assert await endings(tx) == [("stopped", "lead.junked")]
