"""The pages of leads in a signed-in browser: who sees what, what each form does, and how many queries a page takes."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.accounts.web import TOAST_COOKIE
from switchboard.kernel.db import Database, recorded_queries
from switchboard.leads import service
from tests.leads.conftest import open_lead, read
from tests.pages import Browser, signed_in

MOST_QUERIES = 22
PAGES = ["/leads", "/leads/board", "/leads/{id}", "/settings/stages"]
FORMS: list[tuple[str, dict[str, str]]] = [
    ("/leads/{id}/accept", {}),
    ("/leads/{id}/assign", {"target": "user:{user}"}),
    ("/leads/{id}/stage", {"stage": "qualified"}),
    ("/leads/{id}/value", {"value": "12.50", "currency": "eur"}),
    ("/leads/{id}/junk", {"reason": "Spam"}),
    ("/leads/{id}/notes", {"body": "Likes tea"}),
    ("/leads/bulk/assign", {"ids": "{id}", "target": "user:{user}"}),
    ("/leads/bulk/stage", {"ids": "{id}", "stage": "qualified"}),
    ("/leads/bulk/junk", {"ids": "{id}", "reason": "Spam"}),
]


@pytest.fixture
async def lead_id(database: Database, agent: Caller, source_id: UUID) -> UUID:
    """Ada's open lead, which nobody has."""
    return await open_lead(database, agent, source_id, title="A new kitchen", value_minor=250_000, currency="EUR")


@dataclass(frozen=True, slots=True)
class Everybody:
    """One caller of each kind."""

    owner: Caller
    viewer: Caller
    stranger: Caller


@pytest.fixture
def everybody(owner: Caller, viewer: Caller, stranger: Caller) -> Everybody:
    return Everybody(owner, viewer, stranger)


@pytest.fixture
async def browser(app: Starlette, database: Database, agent: Caller) -> AsyncIterator[Browser]:
    """The agent's browser."""
    async with signed_in(app, database, agent) as browser:
        yield browser


def filled(data: dict[str, str], lead_id: UUID, caller: Caller) -> dict[str, str]:
    return {name: value.format(id=lead_id, user=caller.user_id) for name, value in data.items()}


@pytest.mark.parametrize("path", PAGES)
async def test_owner_and_viewer_see_each_page(
    app: Starlette, database: Database, everybody: Everybody, lead_id: UUID, path: str
) -> None:
    for caller in (everybody.owner, everybody.viewer):
        async with signed_in(app, database, caller) as browser:
            answer = await browser.get(path.format(id=lead_id))
        assert answer.status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_sees_nothing_of_ours(
    app: Starlette, database: Database, stranger: Caller, lead_id: UUID, path: str
) -> None:
    async with signed_in(app, database, stranger) as browser:
        answer = await browser.get(path.format(id=lead_id))
    assert answer.status_code == (404 if "{id}" in path else 200)
    assert "Ada Byron" not in answer.text


@pytest.mark.parametrize("tab", ["timeline", "talk", "why", "data", "payloads"])
async def test_each_section_of_a_lead_opens(browser: Browser, lead_id: UUID, tab: str) -> None:
    answer = await browser.get(f"/leads/{lead_id}?tab={tab}")
    assert answer.status_code == 200
    assert 'aria-current="page">' in answer.text


@pytest.mark.parametrize(("path", "data"), FORMS)
async def test_an_agent_may_send_each_form(
    browser: Browser, agent: Caller, lead_id: UUID, path: str, data: dict[str, str]
) -> None:
    answer = await browser.post(path.format(id=lead_id), filled(data, lead_id, agent))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/leads")
    assert TOAST_COOKIE in answer.cookies


@pytest.mark.parametrize("form", FORMS)
async def test_viewers_and_strangers_change_nothing(
    app: Starlette, database: Database, everybody: Everybody, lead_id: UUID, form: tuple[str, dict[str, str]]
) -> None:
    path, data = form
    before = await read(database, everybody.owner, lead_id)
    for caller, status in ((everybody.viewer, 403), (everybody.stranger, 404)):
        async with signed_in(app, database, caller) as browser:
            answer = await browser.post(path.format(id=lead_id), filled(data, lead_id, everybody.owner))
        assert answer.status_code == status
    assert await read(database, everybody.owner, lead_id) == before


async def test_the_list_filters_by_what_stands_in_the_address(
    browser: Browser, database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    bob = await open_lead(database, agent, source_id, "Bob Stone")
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, bob)
        await service.change_stage(tx, agent, [bob], "qualified")
    await open_lead(database, agent, source_id, "Cid Junk", is_junk=True, junk_reason="Spam")
    wanted = {
        "/leads": {"Ada Byron", "Bob Stone"},
        "/leads?view=waiting": {"Ada Byron"},
        "/leads?view=mine": {"Bob Stone"},
        "/leads?view=closed": set[str](),
        "/leads?view=junk": {"Cid Junk"},
        "/leads?stage=qualified": {"Bob Stone"},
        "/leads?owner=nobody": {"Ada Byron"},
        "/leads?owner=me": {"Bob Stone"},
        f"/leads?owner={agent.user_id}&stage=new": set[str](),
        f"/leads?source={source_id}": {"Ada Byron", "Bob Stone"},
        "/leads?q=stone": {"Bob Stone"},
        "/leads?q=nobody+at+all": set[str](),
        "/leads?view=no-such&owner=rubbish&before=rubbish": {"Ada Byron", "Bob Stone"},
    }
    for path, names in wanted.items():
        text = (await browser.get(path)).text
        shown = {name for name in ("Ada Byron", "Bob Stone", "Cid Junk") if f"data-open>{name}<" in text}
        assert shown == names, path


async def test_the_list_goes_on_page_by_page_and_back(
    browser: Browser, database: Database, agent: Caller, source_id: UUID
) -> None:
    for number in range(52):
        await open_lead(database, agent, source_id, f"Person {number:02}")
    first = (await browser.get("/leads")).text
    assert first.count("data-row") == 50
    older = first.split('rel="next" href="')[1].split('"')[0]
    second = (await browser.get(older.replace("&amp;", "&"))).text
    assert second.count("data-row") == 2
    assert "Person 00" in second
    newer = second.split('rel="prev" href="')[1].split('"')[0]
    assert (await browser.get(newer.replace("&amp;", "&"))).text.count("data-row") == 50


async def test_pages_take_a_bounded_number_of_queries(
    browser: Browser, database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    counts = []
    for round_number in range(2):
        for number in range(10):
            await open_lead(database, agent, source_id, f"Person {round_number}{number}")
        for path in ("/leads", "/leads/board", f"/leads/{lead_id}", f"/leads/{lead_id}?tab=why"):
            with recorded_queries() as queries:
                assert (await browser.get(path)).status_code == 200
            counts.append(len(queries))
    assert counts[:4] == counts[4:]
    assert max(counts) <= MOST_QUERIES


async def test_an_undo_from_the_toast_puts_selected_leads_back(
    browser: Browser, database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    bob = await open_lead(database, agent, source_id, "Bob Stone")
    data = {
        "csrf_token": browser.csrf_token,
        "ids": [str(lead_id), str(bob)],
        "stage": "won",
        "back": "/leads?view=open",
    }
    answer = await browser.client.post("/leads/bulk/stage", data=data)
    assert answer.headers["location"] == "/leads?view=open"
    undo, _, text = unquote(answer.cookies[TOAST_COOKIE]).strip('"').partition("|")
    assert text == "Moved 2 leads to Won."
    assert (await read(database, agent, bob)).stage == "won"
    assert (await browser.post(undo)).status_code == 303
    assert {(await read(database, agent, each)).stage for each in (bob, lead_id)} == {"new"}
    assert (await read(database, agent, bob)).is_open


async def test_nobody_is_sent_to_another_site_after_a_form(browser: Browser, lead_id: UUID) -> None:
    for back in ("https://evil.example", "//evil.example", "/\\evil.example"):
        answer = await browser.post(f"/leads/{lead_id}/accept", {"back": back})
        assert answer.headers["location"] == f"/leads/{lead_id}"


async def test_a_wrong_amount_is_refused_in_words(
    browser: Browser, database: Database, agent: Caller, lead_id: UUID
) -> None:
    answer = await browser.post(f"/leads/{lead_id}/value", {"value": "a lot", "currency": "EUR"})
    assert answer.status_code == 422
    assert "expected a number such as 1200.50" in answer.text
    assert (await read(database, agent, lead_id)).value_minor == 250_000


async def test_junk_can_be_reopened_from_its_page(
    browser: Browser, database: Database, agent: Caller, lead_id: UUID
) -> None:
    await browser.post(f"/leads/{lead_id}/junk", {"reason": "Another reason", "other": "sells shoes"})
    assert "Junk: sells shoes" in (await browser.get(f"/leads/{lead_id}")).text
    await browser.post(f"/leads/{lead_id}/reopen")
    assert (await read(database, agent, lead_id)).is_open


async def test_names_are_shown_and_never_run(
    browser: Browser, database: Database, agent: Caller, source_id: UUID
) -> None:
    await open_lead(database, agent, source_id, "Eve", title='<script>alert("x")</script>')
    text = (await browser.get("/leads")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


async def test_admins_arrange_the_stages(app: Starlette, database: Database, owner: Caller, lead_id: UUID) -> None:
    async with signed_in(app, database, owner) as browser:
        await browser.post("/settings/stages", {"title": "Site visit", "kind": "open"})
        await browser.post("/settings/stages/proposal", {"title": "Offer"})
        await browser.post("/settings/stages/site_visit/move", {"step": "-1"})
        assert (await browser.post("/settings/stages/new/remove")).status_code == 409
        assert (await browser.post("/settings/stages/won/remove")).status_code == 409
        assert (await browser.post("/settings/stages/contacted/remove")).status_code == 303
        refused = await browser.post("/settings/stages", {"title": "offer", "kind": "open"})
    assert refused.status_code == 422
    assert "another stage has that title" in refused.text
    async with database.transaction(owner.workspace_id) as tx:
        stages = await service.list_stages(tx)
    assert [(stage.key, stage.title) for stage in stages] == [
        ("new", "New"),
        ("qualified", "Qualified"),
        ("site_visit", "Site visit"),
        ("proposal", "Offer"),
        ("won", "Won"),
        ("lost", "Lost"),
    ]


async def test_agents_may_not_arrange_the_stages(browser: Browser, database: Database, agent: Caller) -> None:
    assert (await browser.post("/settings/stages", {"title": "Mine", "kind": "open"})).status_code == 403
    async with database.transaction(agent.workspace_id) as tx:
        assert len(await service.list_stages(tx)) == 6


async def test_the_export_holds_every_lead_and_nothing_a_spreadsheet_would_run(
    browser: Browser, database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    await open_lead(database, agent, source_id, "Bob Stone", title='=HYPERLINK("https://evil.example")')
    await open_lead(database, agent, source_id, "Cid Junk", is_junk=True, junk_reason="Spam")
    answer = await browser.get("/leads/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="leads.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["Bob Stone", "Ada Byron"]
    assert rows[0]["title"] == """'=HYPERLINK("https://evil.example")"""
    assert (rows[1]["value"], rows[1]["currency"], rows[1]["source"]) == ("2500.00", "EUR", "Website")
    junk = (await browser.get("/leads/export?view=junk")).text
    assert "Cid Junk" in junk
    assert "Ada Byron" not in junk


async def test_viewers_and_strangers_export_nothing_of_ours(
    app: Starlette, database: Database, everybody: Everybody, lead_id: UUID
) -> None:
    async with signed_in(app, database, everybody.viewer) as browser:
        assert (await browser.get("/leads/export")).status_code == 403
    async with signed_in(app, database, everybody.stranger) as browser:
        assert len((await browser.get("/leads/export")).text.splitlines()) == 1
