"""The pages of rotas and rules, as members' browsers see and change them."""

from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.entrypoints.filters import FILTERS
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.http import Renderer
from switchboard.routing import rotas, rules, service, views
from switchboard.routing.models import RuleTarget
from tests.pages import anonymous, signed_in
from tests.routing.conftest import make_rota, make_subjects, route_some, user_of

ROTA = {"name": "Support", "time_zone": "Asia/Tokyo", "strategy": "weighted", "holiday_country": "jp"}
PAGES = ["/rotas", "/rotas/new", "/rotas/{rota}", "/rules", "/rules/new", "/rules/{rule}", "/rules/check?condition=x"]
FORMS = [
    "/rotas",
    "/rotas/{rota}",
    "/rotas/{rota}/archive",
    "/rotas/{rota}/members",
    "/rotas/{rota}/members/remove",
    "/rotas/{rota}/members/move",
    "/rotas/{rota}/shifts",
    "/rotas/{rota}/overrides",
    "/rotas/{rota}/overrides/remove",
    "/rotas/{rota}/holidays",
    "/rotas/{rota}/holidays/remove",
    "/rules",
    "/rules/{rule}",
    "/rules/{rule}/move",
    "/rules/{rule}/switch",
    "/rules/{rule}/delete",
]


@pytest.fixture
async def rule_id(database: Database, rota_id: UUID, owner: Caller) -> UUID:
    async with database.transaction(owner.workspace_id) as tx:
        return await rules.create_rule(
            tx, owner, name="Big deals", condition="lead.value > 100", target=RuleTarget(rota_id=rota_id)
        )


def every_field(user_id: UUID) -> dict[str, str]:
    """A value for each field of each form, so that a refusal is about who asks."""
    return {
        **ROTA,
        "user_id": str(user_id),
        "away_id": str(user_id),
        "holiday_name": "Closed",
        "override_id": str(user_id),
        "places": "1",
        "day": "2027-01-04",
        "starts": "2027-01-04T09:00",
        "ends": "2027-01-04T17:00",
        "condition": "true",
        "target": f"user:{user_id}",
        "is_enabled": "",
    }


async def test_every_page_is_shown_to_the_owner_and_read_by_a_viewer(
    app: Starlette, database: Database, rule_id: UUID, owner: Caller, viewer: Caller
) -> None:
    paths = await paths_of(database, owner, rule_id)
    async with signed_in(app, database, owner) as browser:
        assert [(await browser.get(path)).status_code for path in paths] == [200] * 7
    async with signed_in(app, database, viewer) as browser:
        answers = [await browser.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 403, 200, 200, 403, 200, 200]
    assert "Save week" not in answers[2].text


async def paths_of(database: Database, caller: Caller, rule_id: UUID, paths: list[str] = PAGES) -> list[str]:
    async with database.transaction(caller.workspace_id) as tx:
        [rota] = await service.list_rotas(tx)
    return [path.format(rota=rota.id, rule=rule_id) for path in paths]


async def test_agents_viewers_and_strangers_post_nothing(
    app: Starlette, database: Database, rule_id: UUID, agent: Caller, stranger: Caller
) -> None:
    paths = await paths_of(database, agent, rule_id, FORMS)
    async with database.transaction(agent.workspace_id) as tx:
        before = (await service.list_rotas(tx), await rules.list_rules(tx))
        [summary] = await views.list_rota_summaries(tx, agent)
    fields = every_field(user_of(agent))
    async with signed_in(app, database, agent) as browser:
        # An agent may put themselves away, and this one is not in the rota.
        expected = [422 if path.endswith("/overrides") else 403 for path in paths]
        assert [(await browser.post(path, fields)).status_code for path in paths] == expected
    async with signed_in(app, database, stranger) as browser:
        assert [(await browser.post(path, fields)).status_code for path in paths[1:11]] == [404] * 10
        assert [(await browser.post(path, fields)).status_code for path in paths[12:]] == [404] * 4
        shown = [await browser.get(path) for path in await paths_of(database, agent, rule_id)]
        assert [answer.status_code for answer in shown] == [200, 200, 404, 200, 200, 404, 200]
        assert "Big deals" not in shown[3].text
    async with anonymous(app) as nobody:
        assert (await nobody.get("/rotas")).headers["location"] == "/sign-in?next=/rotas"
    async with database.transaction(agent.workspace_id) as tx:
        assert (await service.list_rotas(tx), await rules.list_rules(tx)) == before
        assert await views.list_rota_summaries(tx, agent) == [summary]


async def test_an_owner_sets_up_a_rota_from_nothing(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        assert "Nobody is on yet" in (await browser.get("/rotas")).text
        here = (await browser.post("/rotas", ROTA)).headers["location"]
        me = str(owner.user_id)
        for path, fields in (
            ("members", {"user_id": me, "capacity": "5", "weight": "2"}),
            ("shifts", {f"hours-{me}-{weekday}": "9-12, 13:30-18" for weekday in range(1, 6)}),
            ("holidays", {"day": "2027-01-04", "holiday_name": "Stocktaking"}),
            ("overrides", {"away_id": me, "is_on": "off", "starts": "2027-01-05T09:00", "ends": "2027-01-05T10:00"}),
        ):
            answer = await browser.post(f"{here}/{path}", fields)
            assert (answer.status_code, answer.headers["location"]) == (303, here)
        shown = (await browser.get(here)).text
    assert 'value="09:00-12:00, 13:30-18:00"' in shown
    assert "Stocktaking" in shown
    assert "Tue 5 Jan 09:00 to Tue 5 Jan 10:00" in shown
    async with database.transaction(owner.workspace_id) as tx:
        [rota] = await service.list_rotas(tx)
        [member] = await rotas.list_rota_members(tx, owner, rota.id)
        [default] = await rules.list_rules(tx)
    assert (rota.name, rota.holiday_country, rota.time_zone) == ("Support", "JP", "Asia/Tokyo")
    assert (member.weight, member.capacity) == (2, 5)
    assert default.rota_id == rota.id


async def test_what_is_wrong_stands_beside_its_field_with_what_was_typed(
    app: Starlette, database: Database, rota_id: UUID, team: list[Caller], owner: Caller
) -> None:
    cell = f"hours-{team[0].user_id}-3"
    async with signed_in(app, database, owner) as browser:
        week = await browser.post(f"/rotas/{rota_id}/shifts", {cell: "nine to five"})
        new = await browser.post("/rotas", {**ROTA, "time_zone": "Mars/Base", "name": "Kept"})
        taken = await browser.post("/rotas", {**ROTA, "name": "sales"})
        override = await browser.post(f"/rotas/{rota_id}/overrides", {"away_id": str(team[0].user_id), "starts": "x"})
        archived = await browser.post(f"/rotas/{rota_id}/archive")
    assert {answer.status_code for answer in (week, new, taken, override, archived)} == {422}
    assert f'id="{cell}-error"' in week.text
    assert 'value="nine to five"' in week.text
    assert "expected an IANA zone" in new.text
    assert 'value="Kept"' in new.text
    assert "Another rota has that name" in taken.text
    assert "choose a day and a time" in override.text
    assert "Rules send to this rota: Everything else" in archived.text


async def test_a_rule_is_written_checked_moved_and_deleted(
    app: Starlette, database: Database, rota_id: UUID, rule_id: UUID, owner: Caller
) -> None:
    wrong = {"name": "VIP", "condition": "lead.valu > 3", "target": f"rota:{rota_id}"}
    async with signed_in(app, database, owner) as browser:
        refused = await browser.post("/rules", wrong)
        checked = await browser.get("/rules/check?condition=lead.valu > 3", **{"HX-Request": "true"})
        fine = await browser.get("/rules/check?condition=lead.value > 3", **{"HX-Request": "true"})
        assert (await browser.post("/rules", {**wrong, "condition": "lead.value > 3"})).status_code == 303
        async with database.transaction(owner.workspace_id) as tx:
            vip = next(rule for rule in await rules.list_rules(tx) if rule.name == "VIP")
        assert (await browser.post(f"/rules/{vip.id}/move", {"places": "-1"})).status_code == 303
        assert (await browser.post(f"/rules/{rule_id}/switch", {"is_enabled": ""})).status_code == 303
        assert (await browser.post(f"/rules/{vip.id}", {**wrong, "condition": "true"})).status_code == 303
        shown = (await browser.get("/rules")).text
        assert (await browser.post(f"/rules/{rule_id}/delete")).status_code == 303
    assert refused.status_code == 422
    assert '<span class="place">1:1</span> There is no field lead.valu; did you mean lead.value?' in refused.text
    assert "did you mean lead.value?" in checked.text
    assert "<html" not in checked.text
    assert fine.text.strip() == ""
    assert f'draggable="true" data-place="/rules/{vip.id}/move"' in shown
    assert shown.index("VIP") < shown.index("Big deals") < shown.index("Everything else")
    async with database.transaction(owner.workspace_id) as tx:
        assert [(rule.name, rule.version) for rule in await rules.list_rules(tx)] == [
            ("VIP", 2),
            ("Everything else", 1),
        ]


async def test_lists_ask_as_many_queries_for_ten_rotas_as_for_one(
    app: Starlette, database: Database, team: list[Caller], owner: Caller
) -> None:
    counts = []
    for number in range(10):
        await make_rota(database, owner.workspace_id, f"Rota {number}", team)
        if number in (0, 9):
            async with signed_in(app, database, owner) as browser:
                for path in ("/rotas", "/rules"):
                    with recorded_queries() as statements:
                        await browser.get(path)
                    counts.append(len(statements))
    assert counts[:2] == counts[2:]
    assert max(counts) <= 20


async def test_the_explanation_names_everybody_and_why(
    database: Database, workspace_id: UUID, rota_id: UUID, team: list[Caller]
) -> None:
    [outcome] = await route_some(database, workspace_id, 1)
    async with database.transaction(workspace_id) as tx:
        await service.hand_on(tx, [outcome.subject_id], trigger="not accepted in 5 minutes")
        decisions = await service.list_decisions(tx, outcome.subject_id)
        unknown = await service.list_decisions(tx, make_subjects(1)[0].id)
        now = await tx.now()
    renderer = Renderer(["routing"], FILTERS)
    text = " ".join(renderer.render("routing/why.html", {"decisions": decisions, "now": now}).split())
    assert text.index("not accepted in 5 minutes") < text.index("arrived")
    for words in ("Everything else", "version 1", "round robin", "passed over: did not accept", "chosen: next in turn"):
        assert words in text
    assert "Not routed yet" in renderer.render("routing/why.html", {"decisions": unknown, "now": now})
