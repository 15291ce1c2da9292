"""Routing a lead, handing it on, accepting it, and the explanation that stays."""

from datetime import timedelta
from uuid import UUID

import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas, rules, service
from switchboard.routing.errors import AcceptedAlreadyError, AssignmentNotFoundError, ReleasedError
from switchboard.routing.holder import AssignmentHolder
from switchboard.routing.models import RuleTarget
from tests.routing.conftest import events_about, make_rota, make_subjects, names_of, route_some, user_of


async def test_leads_go_round_in_the_rotas_order_over_batches(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    first = await route_some(database, workspace_id, 3)
    second = await route_some(database, workspace_id, 3)
    assert names_of(team, [*first, *second]) == ["Anna", "Ben", "Cleo", "Dan", "Anna", "Ben"]
    assert {outcome.state for outcome in first} == {"offered"}


async def test_an_assignment_appends_an_event_with_the_owner(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        [(kind, lead_id, data)] = await tx.fetch_tuples(
            "SELECT kind, lead_id, data FROM app.event WHERE subject_id = %s", (outcome.subject_id,)
        )
    assert (kind, lead_id) == ("lead.assigned", outcome.subject_id)
    assert data == {
        "owner_id": str(team[0].user_id),
        "previous_owner_id": None,
        "rota_id": str(rota_id),
        "rule": "Everything else",
        "trigger": "arrived",
        "accept_by": None,
    }


async def test_the_first_rule_that_holds_decides_and_the_rest_goes_to_the_default(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller], owner: Caller
) -> None:
    vip = await make_rota(database, workspace_id, "VIP", team[3:])
    async with database.transaction(workspace_id) as tx:
        await rules.create_rule(tx, owner, name="Big", condition="lead.value > 1000", target=RuleTarget(rota_id=vip))
        await rules.create_rule(
            tx, owner, name="Any", condition="lead.value > 10", target=RuleTarget(user_id=owner.user_id)
        )
    got = [(await route_some(database, workspace_id, 1, {"lead": {"value": v}}))[0] for v in (5000, 500, 5)]
    assert names_of([*team, owner], got) == ["Dan", "Olga Owner", "Anna"]
    async with database.transaction(workspace_id) as tx:
        [big] = await service.list_decisions(tx, got[0].subject_id)
        [named] = await service.list_decisions(tx, got[1].subject_id)
        [rest] = await service.list_decisions(tx, got[2].subject_id)
    assert big.rule is not None
    assert (big.rule.name, big.rule.version, big.rule.text) == ("Big", 1, "lead.value > 1000")
    assert [candidate.text for candidate in named.candidates] == ["chosen: named by the rule"]
    assert rest.rule is not None
    assert rest.rule.name == "Everything else"


async def test_the_explanation_keeps_what_was_true_then(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller], owner: Caller
) -> None:
    now_on = timedelta(hours=1)
    async with database.transaction(workspace_id) as tx:
        await rotas.set_member(tx, owner, rota_id, user_of(team[1]), capacity=0)
        now = await tx.now()
        await rotas.add_override(
            tx, owner, rota_id, user_of(team[2]), is_on=False, starts_at=now, ends_at=now + now_on, reason="dentist"
        )
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        await rotas.set_member(tx, owner, rota_id, user_of(team[1]), capacity=9)
        [decision] = await service.list_decisions(tx, outcome.subject_id)
    assert (decision.rota_name, decision.strategy, decision.trigger) == ("Sales", "round_robin", "arrived")
    found = [(candidate.name, candidate.code) for candidate in decision.candidates]
    assert found == [("Anna", "chosen"), ("Ben", "at_capacity"), ("Cleo", "away"), ("Dan", "not_next")]
    assert decision.candidates[1].text == "at capacity: 0 of 0"
    assert decision.candidates[2].text.endswith(": dentist")
    assert decision.chosen is decision.candidates[0]


async def test_handing_on_goes_through_the_rota_then_to_the_supervisor_and_then_stays(
    database: Database, workspace_id: UUID, team: list[Caller], owner: Caller
) -> None:
    rota_id = await make_rota(database, workspace_id, "Pair", team[:2], supervisor=owner)
    subject = make_subjects(1)
    ids = [subject[0].id]
    async with database.transaction(workspace_id) as tx:
        trail = await service.route(tx, subject, trigger="arrived")
        for _ in range(3):
            trail += await service.hand_on(tx, ids, trigger="not accepted in 5 minutes")
        newest = (await service.list_decisions(tx, ids[0]))[0]
        [assignment] = (await service.find_assignments(tx, ids)).values()
        kinds = await events_about(tx, ids[0])
    assert names_of([*team, owner], trail) == ["Anna", "Ben", "Olga Owner", "Olga Owner"]
    assert trail[-1].note == "Nobody is left to try, and no supervisor is named: it stays where it is."
    assert [(c.name, c.text) for c in newest.candidates] == [
        ("Anna", "passed over: did not accept"),
        ("Ben", "passed over: did not accept"),
        ("Olga Owner", "chosen: stays, nobody else is left to try"),
    ]
    assert (assignment.hand_ons, assignment.state, assignment.rota_id) == (3, "offered", rota_id)
    assert kinds == ["lead.assigned", *["lead.handed_on", "lead.assigned"] * 2]


async def test_without_a_supervisor_of_the_rota_the_workspaces_gets_it(
    database: Database, workspace_id: UUID, team: list[Caller], owner: Caller
) -> None:
    await make_rota(database, workspace_id, "Solo", team[:1])
    subject = make_subjects(1)
    async with database.transaction(workspace_id) as tx:
        workspace = await accounts.get_workspace(tx)
        await tx.execute("UPDATE app.workspace SET supervisor_id = %s", (owner.user_id,))
        await service.route(tx, subject, trigger="arrived")
        outcomes = await service.hand_on(tx, [subject[0].id], trigger="late")
    assert workspace.supervisor_id is None
    assert names_of([owner], outcomes) == ["Olga Owner"]


async def test_what_is_accepted_is_not_handed_on(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        await service.accept(tx, team[0], outcome.subject_id)
        [after] = await service.hand_on(tx, [outcome.subject_id], trigger="late")
        kinds = await events_about(tx, outcome.subject_id)
    assert (after.state, after.owner_id) == ("accepted", team[0].user_id)
    assert kinds == ["lead.assigned", "lead.accepted"]


async def test_the_clock_starts_with_an_assignment_and_again_for_the_next(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    within = timedelta(minutes=5)
    [outcome] = await route_some(database, workspace_id, 1)
    ids = [outcome.subject_id]
    async with database.transaction(workspace_id) as tx:
        now = await tx.now()
        [kept] = await service.assign(tx, ids, accept_within=within, trigger="speed to lead")
        [handed] = await service.hand_on(tx, ids, trigger="late")
        [given] = await service.assign(tx, ids, user_id=team[3].user_id, accept_within=within, trigger="speed to lead")
    assert names_of(team, [kept, handed, given]) == ["Anna", "Ben", "Dan"]
    assert [o.accept_by for o in (outcome, kept, handed, given)] == [None, now + within, now + within, now + within]


async def test_accepting_belongs_to_the_quicker_one(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        await service.accept(tx, team[1], outcome.subject_id)
        await service.accept(tx, team[1], outcome.subject_id)
        kinds = await events_about(tx, outcome.subject_id)
    assert kinds == ["lead.assigned", "lead.assigned", "lead.accepted"]
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(AcceptedAlreadyError, match="Ben has accepted this already"):
            await service.accept(tx, team[0], outcome.subject_id)
        [assignment] = (await service.find_assignments(tx, [outcome.subject_id])).values()
    assert (assignment.owner_id, assignment.state) == (team[1].user_id, "accepted")


@pytest.mark.usefixtures("rota_id")
async def test_a_viewer_and_a_stranger_cannot_accept(
    database: Database, team: list[Caller], viewer: Caller, stranger: Caller
) -> None:
    [outcome] = await route_some(database, viewer.workspace_id, 1)
    async with database.transaction(viewer.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await service.accept(tx, viewer, outcome.subject_id)
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(AssignmentNotFoundError):
            await service.accept(tx, stranger, outcome.subject_id)
        assert await service.find_assignments(tx, [outcome.subject_id]) == {}
        assert await service.list_decisions(tx, outcome.subject_id) == []
    async with database.transaction(viewer.workspace_id) as tx:
        [assignment] = (await service.find_assignments(tx, [outcome.subject_id])).values()
    assert (assignment.owner_id, assignment.state) == (team[0].user_id, "offered")


async def test_a_colleague_assigns_it_anew_by_hand(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        after = await service.assign(
            tx,
            [outcome.subject_id],
            user_id=user_of(team[2]),
            accept_within=None,
            trigger=service.by_hand(team[1]),
            actor=team[1].actor,
        )
        newest = (await service.list_decisions(tx, outcome.subject_id))[0]
    assert names_of(team, after) == ["Cleo"]
    assert newest.trigger == "by hand, by Ben"


async def test_a_target_is_a_member_or_a_rota_that_is_there(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    async with database.transaction(workspace_id) as tx:
        await service.check_target(tx, user_id=user_of(team[0]), rota_id=None)
        await service.check_target(tx, user_id=None, rota_id=rota_id)
        for user, rota in ((None, None), (user_of(team[0]), rota_id), (new_id(), None), (None, new_id())):
            with pytest.raises(InvalidError, match="cannot be assigned like this"):
                await service.check_target(tx, user_id=user, rota_id=rota)


async def test_what_is_released_frees_its_place_and_cannot_be_accepted(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Small", team[:1], capacity=1)
    first, second = await route_some(database, workspace_id, 2)
    async with database.transaction(workspace_id) as tx:
        await service.release(tx, [first.subject_id])
        await service.release(tx, [first.subject_id])
        kinds = await events_about(tx, first.subject_id)
        with pytest.raises(ReleasedError):
            await service.accept(tx, team[0], first.subject_id)
    assert (first.state, second.state) == ("offered", "waiting")
    assert kinds == ["lead.assigned", "lead.released"]


async def test_sticky_goes_back_to_whoever_had_the_contact(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Sticky", team, strategy="sticky")
    contact_id, other_id = new_id(), new_id()
    owners = []
    for contact in (other_id, contact_id, other_id, contact_id):
        async with database.transaction(workspace_id) as tx:
            owners += await service.route(tx, make_subjects(1, contact_id=contact), trigger="arrived")
            await service.release(tx, [owners[-1].subject_id])
    assert names_of(team, owners) == ["Anna", "Ben", "Anna", "Ben"]


async def test_a_merged_contact_keeps_its_owner_and_gives_it_back(
    database: Database, workspace_id: UUID, team: list[Caller]
) -> None:
    await make_rota(database, workspace_id, "Sticky", team, strategy="sticky")
    kept, lost = new_id(), new_id()
    holder = AssignmentHolder()
    async with database.transaction(workspace_id) as tx:
        await service.route(tx, make_subjects(1, contact_id=kept), trigger="arrived")
        [of_lost] = await service.route(tx, make_subjects(1, contact_id=lost), trigger="arrived")
        moved = await holder.move(tx, lost, kept)
        assert moved == [of_lost.subject_id]
        assert (await service.find_assignments(tx, moved))[moved[0]].contact_id == kept
        await holder.move_back(tx, moved, lost)
        assert (await service.find_assignments(tx, moved))[moved[0]].contact_id == lost


async def test_without_any_rule_the_supervisor_gets_it_and_without_one_it_waits_for_the_first_rota(
    database: Database, workspace_id: UUID, team: list[Caller], owner: Caller
) -> None:
    [lost] = await route_some(database, workspace_id, 1)
    assert (lost.state, lost.note) == ("waiting", "No rule names anybody, and the workspace has no supervisor.")
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET supervisor_id = %s", (owner.user_id,))
    [found] = await route_some(database, workspace_id, 1)
    assert names_of([owner], [found]) == ["Olga Owner"]
    rota_id = await make_rota(database, workspace_id, "First", team)
    async with database.transaction(workspace_id) as tx:
        assignments = await service.find_assignments(tx, [lost.subject_id])
    assert assignments[lost.subject_id].rota_id == rota_id


async def test_a_rule_that_cannot_be_asked_is_passed_by_and_the_decision_says_so(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller], owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await rules.create_rule(
            tx, owner, name="Big", condition="lead.value > 1000", target=RuleTarget(user_id=owner.user_id)
        )
    [outcome] = await route_some(database, workspace_id, 1, {"lead": {"value": "a lot"}})
    assert names_of(team, [outcome]) == ["Anna"]
    assert outcome.note.startswith("The rule Big could not be asked: lead.value should be a whole number")


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    database: Database, workspace_id: UUID, rota_id: UUID
) -> None:
    counts = []
    for size in (1, 200):
        async with database.transaction(workspace_id) as tx:
            with recorded_queries() as statements:
                await service.route(tx, make_subjects(size), trigger="arrived")
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 30


async def test_an_empty_batch_does_nothing(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        assert await service.route(tx, [], trigger="arrived") == []
        assert await service.hand_on(tx, [], trigger="late") == []
        assert await service.assign(tx, [], accept_within=None, trigger="x") == []
        await service.release(tx, [])
