"""Setting rotas and rules up, by those who may."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import date, time, timedelta
from uuid import UUID

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas, rules, service, views
from switchboard.routing.errors import (
    DefaultRuleError,
    RotaInUseError,
    RotaNameTakenError,
    RotaNotFoundError,
    RuleNotFoundError,
)
from switchboard.routing.hours import parse_hours
from switchboard.routing.models import Rota, RuleTarget, Shift
from tests.routing.conftest import make_rota, route_some, user_of

Change = Callable[[Tx, Caller, UUID, UUID], Awaitable[object]]
DAY = date(2027, 1, 4)

# Each takes the caller, a rota and a member of it.
ROTA_CHANGES: dict[str, Change] = {
    "change": lambda tx, caller, rota, _: rotas.change_rota(
        tx, caller, Rota(rota, "Renamed", "UTC", "sticky", None, None, 1)
    ),
    "archive": lambda tx, caller, rota, _: rotas.archive_rota(tx, caller, rota),
    "member": lambda tx, caller, rota, user: rotas.set_member(tx, caller, rota, user, weight=5),
    "remove": rotas.remove_member,
    "move": lambda tx, caller, rota, user: rotas.move_member(tx, caller, rota, user, places=1),
    "shifts": lambda tx, caller, rota, user: rotas.set_shifts(
        tx, caller, rota, [Shift(rota, user, 1, time(9), time(17))]
    ),
    "holiday": lambda tx, caller, rota, _: rotas.add_holiday(tx, caller, rota, DAY, "Closed"),
    "opened": lambda tx, caller, rota, _: rotas.remove_holiday(tx, caller, rota, DAY),
}


async def add_hour_off(tx: Tx, caller: Caller, rota_id: UUID, user_id: UUID) -> UUID:
    now = await tx.now()
    ends_at = now + timedelta(hours=1)
    return await rotas.add_override(tx, caller, rota_id, user_id, is_on=False, starts_at=now, ends_at=ends_at)


ROTA_CHANGES["override"] = add_hour_off


async def rows_of_routing(tx: Tx) -> list[object]:
    """Everything set up in the workspace."""
    tables = ["rota", "rota_member", "rota_shift", "rota_override", "rota_holiday", "routing_rule"]
    return [await tx.fetch_tuples(f"SELECT * FROM app.{table} ORDER BY 1, 2, 3") for table in tables]


@pytest.fixture
def others(team: list[Caller], viewer: Caller) -> list[Caller]:
    """A viewer, and two agents in the rota."""
    return [viewer, *team[:2]]


@pytest.mark.parametrize("change", ROTA_CHANGES)
async def test_agents_viewers_and_strangers_change_no_rota(
    change: str, database: Database, rota_id: UUID, others: list[Caller], stranger: Caller
) -> None:
    viewer, agent, colleague = others
    user_id = user_of(colleague)
    async with database.transaction(viewer.workspace_id) as tx:
        before = await rows_of_routing(tx)
        for caller in (viewer, agent):
            with pytest.raises(RoleForbidsError):
                await ROTA_CHANGES[change](tx, caller, rota_id, user_id)
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(RotaNotFoundError):
            await ROTA_CHANGES[change](tx, stranger, rota_id, user_id)
    async with database.transaction(viewer.workspace_id) as tx:
        assert await rows_of_routing(tx) == before


@pytest.mark.parametrize("change", [name for name in ROTA_CHANGES if name != "archive"])
async def test_an_admin_changes_a_rota_and_its_version_counts(
    change: str, database: Database, rota_id: UUID, team: list[Caller], owner: Caller
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        before = (await rotas.access_rota(tx, owner, rota_id)).version
        await ROTA_CHANGES[change](tx, owner, rota_id, user_of(team[1]))
        assert (await rotas.access_rota(tx, owner, rota_id)).version == before + 1


async def test_members_put_themselves_away_and_take_it_back(
    database: Database, rota_id: UUID, team: list[Caller]
) -> None:
    async with database.transaction(team[0].workspace_id) as tx:
        override_id = await add_hour_off(tx, team[0], rota_id, user_of(team[0]))
        view = await views.view_rota(tx, team[0], rota_id)
        assert [member.is_on for member in view.members] == [False, True, True, True]
        with pytest.raises(RoleForbidsError):
            await rotas.remove_override(tx, team[1], rota_id, override_id)
        await rotas.remove_override(tx, team[0], rota_id, override_id)
        view = await views.view_rota(tx, team[0], rota_id)
        assert [member.is_on for member in view.members] == [True, True, True, True]


async def test_every_wrong_setting_of_a_rota_is_named(database: Database, owner: Caller) -> None:
    wrong = Rota(new_id(), " ", "Mars/Base", "loudest", "XX", new_id(), 1)  # type: ignore[arg-type]
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError) as caught:
            await rotas.create_rota(tx, owner, wrong)
        assert await service.list_rotas(tx) == []
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["name", "time_zone", "strategy", "holiday_country", "supervisor_id"]


async def test_a_name_is_one_rota_until_it_is_archived(database: Database, owner: Caller, team: list[Caller]) -> None:
    first = await make_rota(database, owner.workspace_id, "Sales", team[:1])
    async with database.transaction(owner.workspace_id) as tx:
        second = await rotas.create_rota(tx, owner, Rota(new_id(), "Support", "UTC", "sticky", "de", None, 1))
        with pytest.raises(RotaNameTakenError):
            await rotas.create_rota(tx, owner, Rota(new_id(), "SALES", "UTC", "sticky", None, None, 1))
        with pytest.raises(RotaNameTakenError):
            await rotas.change_rota(tx, owner, Rota(second, "sales", "UTC", "sticky", None, None, 1))
        with pytest.raises(RotaInUseError, match="Everything else"):
            await rotas.archive_rota(tx, owner, first)
        await rotas.archive_rota(tx, owner, second)
        await rotas.create_rota(tx, owner, Rota(new_id(), "Support", "UTC", "sticky", None, None, 1))
        found = await service.find_rota_by_name(tx, " support ")
    assert found is not None
    assert found.id != second


async def test_a_rota_somebody_waits_for_is_not_archived(database: Database, owner: Caller, team: list[Caller]) -> None:
    empty = await make_rota(database, owner.workspace_id, "Empty", [])
    await route_some(database, owner.workspace_id, 1)
    other = await make_rota(database, owner.workspace_id, "Other", team)
    async with database.transaction(owner.workspace_id) as tx:
        [default] = await rules.list_rules(tx)
        await rules.change_rule(tx, owner, default.id, name="", condition="", target=RuleTarget(rota_id=other))
        with pytest.raises(RotaInUseError, match="Somebody still waits"):
            await rotas.archive_rota(tx, owner, empty)


async def test_a_viewer_is_not_put_on_a_rota(database: Database, rota_id: UUID, owner: Caller, viewer: Caller) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError) as caught:
            await rotas.set_member(tx, owner, rota_id, user_of(viewer), weight=0, capacity=-1)
    assert [problem.field for problem in caught.value.problems] == ["weight", "capacity", "user_id"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("lead.valu > 3", "1:1 There is no field lead.valu; did you mean lead.value?"),
        ("lead.stage == 'new'\n&& contact.nam == ''", "2:4 There is no field contact.nam; did you mean contact.name?"),
        ("", "1:1 The condition is empty; write one, such as lead.value > 1000."),
    ],
)
async def test_a_wrong_condition_is_refused_with_its_place_and_nothing_is_saved(
    database: Database, rota_id: UUID, owner: Caller, condition: str, said: str
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError) as caught:
            await rules.create_rule(tx, owner, name="Wrong", condition=condition, target=RuleTarget(rota_id=rota_id))
        assert [rule.name for rule in await rules.list_rules(tx)] == ["Everything else"]
    [problem] = caught.value.problems
    assert (problem.field, f"{problem.line}:{problem.column} {problem.message}") == ("condition", said)


async def test_rules_are_moved_switched_changed_and_deleted(database: Database, rota_id: UUID, owner: Caller) -> None:
    target = RuleTarget(rota_id=rota_id)
    async with database.transaction(owner.workspace_id) as tx:
        made = {name: await rules.create_rule(tx, owner, name=name, condition="true", target=target) for name in "ABC"}
        await rules.move_rule(tx, owner, made["C"], places=-2)
        await rules.move_rule(tx, owner, made["A"], places=-9)
        await rules.move_rule(tx, owner, made["A"], places=1)
        await rules.set_rule_enabled(tx, owner, made["B"], is_enabled=False)
        await rules.change_rule(tx, owner, made["C"], name="D", condition="lead.value > 1", target=target)
        shown = [(rule.name, rule.is_enabled, rule.version) for rule in await rules.list_rules(tx)]
        await rules.delete_rule(tx, owner, made["A"])
        left = [rule.name for rule in await rules.list_rules(tx)]
    assert shown == [("D", True, 2), ("A", True, 1), ("B", False, 1), ("Everything else", True, 1)]
    assert left == ["D", "B", "Everything else"]


async def test_the_default_sends_elsewhere_but_stays_last_and_on(
    database: Database, rota_id: UUID, owner: Caller
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        [default] = await rules.list_rules(tx)
        for refused in (
            rules.delete_rule(tx, owner, default.id),
            rules.move_rule(tx, owner, default.id, places=-1),
            rules.set_rule_enabled(tx, owner, default.id, is_enabled=False),
        ):
            with pytest.raises(DefaultRuleError):
                await refused
        await rules.change_rule(
            tx, owner, default.id, name="x", condition="false", target=RuleTarget(user_id=owner.user_id)
        )
        [after] = await rules.list_rules(tx)
    assert (after.name, after.condition, after.user_id, after.version) == ("Everything else", "true", owner.user_id, 2)


async def test_agents_and_strangers_change_no_rule(
    database: Database, rota_id: UUID, owner: Caller, agent: Caller, stranger: Caller
) -> None:
    target = RuleTarget(rota_id=rota_id)

    def changes(tx: Tx, caller: Caller, rule_id: UUID) -> list[Awaitable[object]]:
        return [
            rules.change_rule(tx, caller, rule_id, name="x", condition="true", target=target),
            rules.move_rule(tx, caller, rule_id, places=1),
            rules.set_rule_enabled(tx, caller, rule_id, is_enabled=False),
            rules.delete_rule(tx, caller, rule_id),
        ]

    async with database.transaction(owner.workspace_id) as tx:
        rule_id = await rules.create_rule(tx, owner, name="A", condition="true", target=target)
        before = await rules.list_rules(tx)
        for refused in changes(tx, agent, rule_id):
            with pytest.raises(RoleForbidsError):
                await refused
        with pytest.raises(RoleForbidsError):
            await rules.create_rule(tx, agent, name="B", condition="true", target=target)
    async with database.transaction(stranger.workspace_id) as tx:
        for missing in changes(tx, stranger, rule_id):
            assert inspect.isawaitable(missing)
            with pytest.raises(RuleNotFoundError):
                await missing
        with pytest.raises(InvalidError):
            await rules.create_rule(tx, stranger, name="B", condition="true", target=target)
    async with database.transaction(owner.workspace_id) as tx:
        assert await rules.list_rules(tx) == before


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", []),
        ("9-17", [(time(9), time(17))]),
        ("09:00-12:30, 14.00 – 18:00", [(time(9), time(12, 30)), (time(14), time(18))]),
        ("22:00-06:00; 8 to 24", [(time(22), time(6)), (time(8), time(0))]),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, spans: list[tuple[time, time]]) -> None:
    assert parse_hours(text) == spans


@pytest.mark.parametrize("text", ["9", "9-25", "09:60-10:00", "nine to five", "1-2,3-4,5-6,7-8,9-10,11-12,13-14"])
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time span|no time of day|at most 6"):
        parse_hours(text)
