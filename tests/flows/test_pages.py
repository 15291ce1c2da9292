"""The pages of flows, as members' browsers see and change them."""

from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.flows import service
from switchboard.flows.errors import FlowNotFoundError
from switchboard.flows.models import StoredFlow
from switchboard.kernel.db import Database, recorded_queries
from tests.flows.world import KINDS, add_contact, add_lead, add_letters, save_active, settle
from tests.pages import anonymous, signed_in

FLOW = """\
flow: letters
title: Two letters
subject: lead
starts: [lead.created]
stops: [message.replied]
steps:
  - send: welcome
  - wait: 2d
  - if: lead.value > 100
    then: [send: second]
"""
PAGES = ["/flows", "/flows/new", "/flows/{flow}", "/flows/{flow}?version=1&step=1"]
FORMS = ["/flows/library", "/flows/new", "/flows/{flow}", "/flows/{flow}/activate", "/flows/{flow}/pause"]


@pytest.fixture
async def flow(database: Database, workspace_id: UUID) -> StoredFlow:
    """An active flow with three people at its wait."""
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        flow = await save_active(tx, FLOW)
        for name in ("Ann", "Ben", "Cleo"):
            await add_lead(tx, await add_contact(tx, f"{name.lower()}@x.example", name=name))
    await settle(database)
    return flow


@pytest.fixture
def callers(agent: Caller, stranger: Caller) -> tuple[Caller, Caller]:
    """Somebody who may look but not change, and a stranger."""
    return agent, stranger


async def test_the_list_says_who_is_in_each_flow(
    app: Starlette, database: Database, viewer: Caller, flow: StoredFlow
) -> None:
    async with signed_in(app, database, viewer) as browser:
        with recorded_queries() as statements:
            answer = await browser.get("/flows")
    assert answer.status_code == 200
    assert f'href="/flows/{flow.id}"' in answer.text
    assert "Two letters" in answer.text
    assert '<td class="number">3</td>' in answer.text
    assert len(statements) <= 12


async def test_an_empty_list_offers_the_library_which_adds_three_paused_flows_once(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert "Start with three that work" in (await browser.get("/flows")).text
        assert (await browser.post("/flows/library")).status_code == 303
        assert (await browser.post("/flows/library")).status_code == 303
    async with database.transaction(owner.workspace_id) as tx:
        flows = await service.list_flows(tx, owner)
        assert [(flow.name, flow.is_active, flow.version) for flow in flows] == [
            ("speed_to_lead", False, 1), ("welcome", False, 1), ("win_back", False, 1),
        ]  # fmt: skip
        assert await tx.fetch_value("SELECT count(*) FROM app.template") == 8


async def test_a_flow_shows_its_picture_with_numbers_and_the_people_at_a_step(
    app: Starlette, database: Database, viewer: Caller, flow: StoredFlow
) -> None:
    async with signed_in(app, database, viewer) as browser:
        with recorded_queries() as statements:
            answer = await browser.get(f"/flows/{flow.id}?step=1")
    assert answer.status_code == 200
    assert "Send welcome to the contact: 0 here, 3 passed" in answer.text.replace(" by email", "")
    assert "Wait 2d: 3 here, Wait" in answer.text
    assert [name for name in ("Ann", "Ben", "Cleo", "Dan") if f">{name}</a>" in answer.text] == ["Ann", "Ben", "Cleo"]
    assert "readonly" in answer.text
    assert 'data-key="s"' not in answer.text
    assert len(statements) <= 20


async def test_pointing_at_a_step_names_the_people_there(
    app: Starlette,
    database: Database,
    agent: Caller,
    stranger: Caller,
    flow: StoredFlow,
) -> None:
    path = f"/flows/{flow.id}/people?version=1&step=1"
    async with signed_in(app, database, agent) as browser:
        picture = (await browser.get(f"/flows/{flow.id}")).text
        hint = (await browser.get(path)).text
        nobody = (await browser.get(f"/flows/{flow.id}/people?version=x&step=x")).text
    assert f'data-people="{path.replace("&", "&amp;")}"' in picture
    assert [name in hint for name in ("Ann", "Ben", "Cleo", "more")] == [True, True, True, False]
    assert "Nobody any more" in nobody
    async with signed_in(app, database, stranger) as browser:
        assert (await browser.get(path)).status_code == 404


async def test_while_typing_each_mistake_is_shown_with_its_place_and_line(
    app: Starlette, database: Database, owner: Caller, flow: StoredFlow
) -> None:
    source = FLOW.replace("send: second", "send: secnd").replace("lead.value > 100", "lead.valu > 100")
    async with signed_in(app, database, owner) as browser:
        answer = await browser.post("/flows/check", {"source": source, "name": "letters"}, **{"HX-Request": "true"})
        fine = await browser.post("/flows/check", {"source": FLOW, "name": "letters"}, **{"HX-Request": "true"})
    assert answer.status_code == 200
    assert '<span class="place">9:9</span>' in answer.text
    assert '<code class="muted">then: [send: secnd]</code>' in answer.text
    assert answer.text.count('class="editor-problem"') == 2
    assert "<html" not in answer.text
    assert fine.text.count('class="editor-problem"') == 0
    assert '<svg class="diagram"' in fine.text


async def test_saving_makes_a_version_and_a_mistake_changes_nothing(
    app: Starlette, database: Database, owner: Caller, flow: StoredFlow
) -> None:
    async with signed_in(app, database, owner) as browser:
        wrong = await browser.post(f"/flows/{flow.id}", {"source": FLOW.replace("2d", "2 moons")})
        other = await browser.post(f"/flows/{flow.id}", {"source": FLOW.replace("letters", "others")})
        saved = await browser.post(f"/flows/{flow.id}", {"source": FLOW.replace("2d", "3d").replace("\n", "\r\n")})
        shown = await browser.get(f"/flows/{flow.id}?version=1")
    assert (wrong.status_code, other.status_code, saved.status_code) == (422, 422, 303)
    assert "2 moons" in wrong.text
    assert "This is the flow letters." in other.text
    assert "Version 1 of 2" in shown.text
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.access_flow(tx, owner, flow.id)).version == 2
        assert await service.get_source(tx, owner, flow.id, 2) == FLOW.replace("2d", "3d")
        assert await service.count_by_version(tx, owner, flow.id, [1, 2]) == {1: 3, 2: 0}


async def test_what_a_colleague_has_saved_meanwhile_is_not_replaced_unseen(
    app: Starlette, database: Database, owner: Caller, flow: StoredFlow
) -> None:
    mine = {"source": FLOW.replace("2d", "5d"), "seen": "1"}
    async with signed_in(app, database, owner) as browser:
        await browser.post(f"/flows/{flow.id}", {"source": FLOW.replace("2d", "3d"), "seen": "1"})
        refused = await browser.post(f"/flows/{flow.id}", mine)
        async with database.transaction(owner.workspace_id) as tx:
            assert (await service.access_flow(tx, owner, flow.id)).version == 2
        assert (refused.status_code, "Somebody has saved version 2 meanwhile." in refused.text) == (422, True)
        assert 'name="seen" value="2"' in refused.text
        assert (await browser.post(f"/flows/{flow.id}", {**mine, "seen": "2"})).status_code == 303


async def test_a_new_flow_begins_from_the_library_and_never_replaces_another(
    app: Starlette, database: Database, owner: Caller, flow: StoredFlow
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert "flow: win_back" in (await browser.get("/flows/new?from=win_back")).text
        taken = await browser.post("/flows/new", {"source": FLOW})
        made = await browser.post("/flows/new", {"source": FLOW.replace("letters", "more_letters")})
    assert (taken.status_code, made.status_code) == (422, 303)
    assert "There is a flow letters already." in taken.text
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.get_flow_by_name(tx, owner, "more_letters")).is_active is False


async def test_pausing_and_activating_and_a_rota_that_is_missing(
    app: Starlette, database: Database, owner: Caller, flow: StoredFlow
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await service.install_library(tx, owner)
        speedy = await service.get_flow_by_name(tx, owner, "speed_to_lead")
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post(f"/flows/{flow.id}/pause")).status_code == 303
        refused = await browser.post(f"/flows/{speedy.id}/activate")
    assert refused.status_code == 422
    assert "sales" in refused.text
    async with database.transaction(owner.workspace_id) as tx:
        assert [(one.name, one.is_active) for one in await service.list_flows(tx, owner)] == [
            ("speed_to_lead", False), ("letters", False), ("welcome", False), ("win_back", False),
        ]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_for_members_of_the_workspace(
    app: Starlette, database: Database, flow: StoredFlow, callers: tuple[Caller, Caller], path: str
) -> None:
    (agent, stranger), path = callers, path.format(flow=flow.id)
    async with anonymous(app) as browser:
        assert (await browser.get(path)).status_code == 303
    async with signed_in(app, database, stranger) as browser:
        answer = await browser.get(path)
        missing = await browser.get(path.replace(str(flow.id), str(uuid4())))
    assert answer.status_code == missing.status_code == (404 if str(flow.id) in path else 200)
    assert "Two letters" not in answer.text
    async with signed_in(app, database, agent) as browser:
        assert (await browser.get(path)).status_code == (403 if path == "/flows/new" else 200)


@pytest.mark.parametrize("path", FORMS)
async def test_only_admins_change_flows_and_nothing_changes_for_others(
    app: Starlette, database: Database, flow: StoredFlow, callers: tuple[Caller, Caller], path: str
) -> None:
    agent, stranger = callers
    form = {"source": FLOW.replace("2d", "9d")}
    async with signed_in(app, database, agent) as browser:
        assert (await browser.post(path.format(flow=flow.id), form)).status_code == 403
    if "{flow}" in path:
        async with signed_in(app, database, stranger) as browser:
            assert (await browser.post(path.format(flow=flow.id), form)).status_code == 404
    async with database.transaction(agent.workspace_id) as tx:
        (row,) = await service.list_flows(tx, agent)
        assert (row.version, row.is_active) == (1, True)
    async with anonymous(app) as browser:
        assert (await browser.post(path.format(flow=flow.id), form, Accept="application/json")).status_code in {
            401,
            403,
        }


async def test_a_version_that_never_was_is_not_found(
    app: Starlette, database: Database, viewer: Caller, flow: StoredFlow
) -> None:
    async with signed_in(app, database, viewer) as browser:
        assert (await browser.get(f"/flows/{flow.id}?version=7")).status_code == 404
        assert (await browser.get(f"/flows/{flow.id}?version=x&step=y&after=z")).status_code == 200
        assert (await browser.get(f"/flows/{flow.id}?step=99")).status_code == 200


async def test_a_strangers_flow_is_out_of_reach_of_the_service_too(
    database: Database, flow: StoredFlow, stranger: Caller
) -> None:
    async with database.transaction(stranger.workspace_id) as tx:
        assert await service.list_flows(tx, stranger) == []
        assert await service.list_runs(tx, stranger) == []
        assert await service.list_standing(tx, stranger, (flow.id, 1), 1) == []
        with pytest.raises(FlowNotFoundError):
            await service.activate(tx, stranger, flow.id, KINDS)
