"""The contacts' pages, through the application."""

import csv
import io
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, recorded_queries
from switchboard.people import service, suggesting
from switchboard.people.models import Sighting
from tests.pages import signed_in
from tests.people.conftest import count, see


@dataclass(frozen=True, slots=True)
class Pair:
    """Ann with an e-mail address, Bob with a phone number, and the suggestion that they may be one."""

    ann: UUID
    bob: UUID
    suggestion: UUID


@pytest.fixture
async def pair(database: Database, owner: Caller) -> Pair:
    found = await see(
        database,
        owner,
        Sighting(name="Ann Lee", email="ann@lee.example", company="Lee & Co"),
        Sighting(name="Anne Lee", phone="030 1234567", fields={"plan": "pro"}),
        Sighting(name="Ann Lee", email="ann@lee.example", phone="030 1234567"),
    )
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
    assert found[0].contact_id is not None
    assert found[1].contact_id is not None
    return Pair(found[0].contact_id, found[1].contact_id, suggestion.id)


def read_paths(pair: Pair) -> list[str]:
    """Every page that shows something of these contacts."""
    return [
        f"/contacts/{pair.ann}",
        f"/contacts/{pair.ann}/edit",
        f"/contacts/{pair.ann}/merge",
        f"/contacts/{pair.ann}/merge/{pair.bob}",
    ]


async def test_every_page_shows_a_member_what_it_is_for(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, agent) as browser:
        for path in ["/contacts", "/contacts/new", "/suggestions", *read_paths(pair)]:
            answer = await browser.get(path)
            assert answer.status_code == 200, path
        page = await browser.get(f"/contacts/{pair.ann}/merge?q=anne")
        listed = await browser.get("/contacts?q=lee")
    assert f"/contacts/{pair.ann}/merge/{pair.bob}" in page.text
    assert "Lee &amp; Co" in listed.text
    assert str(pair.bob) in listed.text


async def test_a_stranger_finds_nothing_under_the_same_addresses(
    app: Starlette, database: Database, stranger: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, stranger) as browser:
        for path in read_paths(pair):
            assert (await browser.get(path)).status_code == 404, path
        for path in change_paths(pair):
            answer = await browser.post(path, FORM)
            assert answer.status_code == 404, path
        listed = await browser.get("/contacts")
        suggested = await browser.get("/suggestions")
    assert str(pair.ann) not in listed.text
    assert str(pair.ann) not in suggested.text


FORM = {"name": "Ann", "body": "Called", "proof": "By phone", "kind": "email", "value": "new@lee.example"}


def change_paths(pair: Pair) -> list[str]:
    """Every form that changes these contacts."""
    contact, address = f"/contacts/{pair.ann}", f"/contacts/{pair.ann}/addresses/{uuid4()}"
    acts = [f"{address}/{act}" for act in ("remove", "first", "share", "own", "split")]
    return [
        *(f"{contact}/{form}" for form in ("edit", "notes", "opt-out", "opt-in", "addresses", f"merge/{pair.bob}")),
        *acts,
        f"/merges/{uuid4()}/undo",
        f"/suggestions/{pair.suggestion}/dismiss",
        f"/suggestions/{pair.suggestion}/keep-apart",
    ]


async def test_a_viewer_reads_but_changes_nothing(
    app: Starlette, database: Database, viewer: Caller, owner: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, viewer) as browser:
        assert (await browser.get(f"/contacts/{pair.ann}")).status_code == 200
        assert (await browser.get("/contacts.csv")).status_code == 403
        for path in ["/contacts", *change_paths(pair)]:
            assert (await browser.post(path, FORM)).status_code == 403, path
    async with database.transaction(owner.workspace_id) as tx:
        assert await count(tx, "contact") == 2
        assert await count(tx, "note") == 0
        assert len(await suggesting.list_suggestions(tx, owner)) == 1


async def test_a_merge_and_its_undo_from_the_toast(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, agent) as browser:
        merged = await browser.post(f"/contacts/{pair.ann}/merge/{pair.bob}")
        assert merged.headers["location"] == f"/contacts/{pair.ann}"
        moved = await browser.get(f"/contacts/{pair.bob}")
        page = await browser.get(f"/contacts/{pair.ann}")
        undo = page.text.partition('action="/merges/')[2].partition("/undo")[0]
        undone = await browser.post(f"/merges/{undo}/undo")
        again = await browser.post(f"/merges/{undo}/undo")
        alone = await browser.get(f"/contacts/{pair.bob}")
    assert (moved.status_code, moved.headers["location"]) == (303, f"/contacts/{pair.ann}")
    assert "+49301234567" in page.text
    assert "merged another contact into this one" in page.text
    assert undone.status_code == 303
    assert again.status_code == 409
    assert alone.status_code == 200
    assert "+49301234567" in alone.text


async def test_what_is_wrong_is_said_beside_its_field(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, agent) as browser:
        new = await browser.post("/contacts", {"email": "nonsense", "country": "Mars"})
        edited = await browser.post(f"/contacts/{pair.ann}/edit", {"name": "Ann", "time_zone": "Mars/Base"})
        noted = await browser.post(f"/contacts/{pair.ann}/notes", {"body": ""})
        taken = await browser.post(f"/contacts/{pair.ann}/addresses", {"kind": "phone", "value": "+49 30 1234567"})
    assert [answer.status_code for answer in (new, edited, noted, taken)] == [422] * 4
    assert "expected a country code" in new.text
    assert "expected an IANA zone" in edited.text
    assert "write something" in noted.text
    assert f"/contacts/{pair.ann}/merge/{pair.bob}" in taken.text


async def test_a_contact_by_hand_goes_to_the_one_who_has_the_address(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    async with signed_in(app, database, agent) as browser:
        known = await browser.post("/contacts", {"email": "ANN@lee.example"})
        new = await browser.post("/contacts", {"name": "Cy Young"})
    assert known.headers["location"] == f"/contacts/{pair.ann}"
    assert new.headers["location"] not in {f"/contacts/{pair.ann}", f"/contacts/{pair.bob}"}


async def test_an_export_holds_every_contact_and_nothing_that_a_spreadsheet_executes(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    await see(database, agent, Sighting(name="=cmd()", email="eve@x.example"))
    async with signed_in(app, database, agent) as browser:
        answer = await browser.get("/contacts.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 3
    assert {row["phone"] for row in rows} == {"", "+49301234567"}
    assert "'=cmd()" in {row["name"] for row in rows}


async def test_lists_are_paged_by_key_with_a_bounded_number_of_statements(
    app: Starlette, database: Database, agent: Caller
) -> None:
    await see(database, agent, *(Sighting(name=f"Pat {n:03}", email=f"pat{n}@x.example") for n in range(120)))
    async with signed_in(app, database, agent) as browser:
        with recorded_queries() as statements:
            first = await browser.get("/contacts")
        seen = first.text
        for _ in range(2):
            older = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
            first = await browser.get(older)
            seen += first.text
        last = first.text
        with recorded_queries() as searching:
            await browser.get("/contacts?q=pat")
    assert len(statements) <= 9
    assert len(searching) <= 12
    assert all(f"Pat {n:03}<" in seen for n in range(120))
    assert 'rel="next"' not in last


async def test_one_contact_costs_a_bounded_number_of_statements(
    app: Starlette, database: Database, agent: Caller, pair: Pair
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        for number in range(40):
            await service.add_note(tx, agent, pair.ann, f"Note {number}")
    async with signed_in(app, database, agent) as browser:
        with recorded_queries() as statements:
            page = await browser.get(f"/contacts/{pair.ann}")
        older = page.text.partition('rel="next" href="')[2].partition('"')[0]
        earlier = await browser.get(older)
    assert len(statements) <= 21
    assert "added this contact" in earlier.text
