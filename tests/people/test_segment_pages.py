"""The pages of segments, through the browser."""

from urllib.parse import urlencode

from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.people.models import Sighting
from tests.pages import signed_in
from tests.people.segment_world import filled, meet, members, work


def preview_of(condition: str) -> str:
    return "/segments/preview?" + urlencode({"condition": condition})


async def test_a_segment_is_previewed_added_and_shown(app: Starlette, database: Database, agent: Caller) -> None:
    await meet(database, agent, Sighting(name="Ada Byron", country="DE", email="a@x.example"), "Bob")
    condition = 'contact.country == "DE"'
    async with signed_in(app, database, agent) as browser:
        assert "No segments yet" in (await browser.get("/segments")).text
        assert "contact.country" in (await browser.get("/segments/new")).text
        shown = await browser.get(preview_of(condition))
        assert "1 person meets" in shown.text
        assert "Ada Byron" in shown.text
        wrong = await browser.get(preview_of("contact.compani == 1"))
        assert "did you mean contact.company?" in wrong.text
        refused = await browser.post("/segments", {"title": "", "condition": "contact.land"})
        assert refused.status_code == 422
        assert "1:1" in refused.text
        assert (await browser.post("/segments", {"title": "Empty", "condition": " "})).status_code == 422
        made = await browser.post("/segments", {"title": "Germans", "condition": condition})
        assert made.status_code == 303
        here = made.headers["location"]
        assert "being filled" in (await browser.get(here)).text
        await work(database)
        page = (await browser.get(here)).text
        assert "Ada Byron" in page
        assert "being filled" not in page
        assert "Bob" not in page
        saved = await browser.post(f"{here}/edit", {"title": "Others", "condition": "!(" + condition + ")"})
        assert saved.headers["location"] == here
        await work(database)
        assert "Bob" in (await browser.get(here)).text
        assert (await browser.post(f"{here}/archive", {})).status_code == 303
        assert "No segments yet" in (await browser.get("/segments")).text


async def test_a_list_is_filled_by_hand(app: Starlette, database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    async with signed_in(app, database, agent) as browser:
        assert 'name="is_list"' in (await browser.get("/segments/new?list")).text
        here = (await browser.post("/segments", {"title": "Guests", "is_list": "on"})).headers["location"]
        assert (await browser.post(f"{here}/members", {"contact": "nobody@x.example"})).status_code == 422
        assert (await browser.post(f"{here}/members", {"contact": "ada@x.example"})).status_code == 303
        assert (await browser.post(f"{here}/members", {"contact": "ada@x.example"})).status_code == 422
        assert "Ada" in (await browser.get(here)).text
        assert "Guests" in (await browser.get(f"/contacts/{ada}")).text
        assert (await browser.post(f"{here}/members/remove", {"contact_id": str(ada)})).status_code == 303
        assert "Nobody is in it" in (await browser.get(here)).text


async def test_tags_are_put_on_and_taken_off_on_the_contacts_page(
    app: Starlette, database: Database, agent: Caller
) -> None:
    ada, _bob = await meet(database, agent, "Ada", "Bob")
    tagged = await filled(database, agent, '"vip" in contact.tags', "Important")
    async with signed_in(app, database, agent) as browser:
        assert (await browser.post(f"/contacts/{ada}/tags", {"tags": "VIP, trade fair"})).status_code == 303
        assert (await browser.post(f"/contacts/{ada}/tags", {"tags": "x" * 61})).status_code == 422
        await work(database)
        page = (await browser.get(f"/contacts/{ada}")).text
        assert "/contacts?tag=trade%20fair" in page
        assert "Important" in page
        listed = (await browser.get("/contacts?tag=vip")).text
        assert "Ada" in listed
        assert "Bob" not in listed
        assert (await browser.post(f"/contacts/{ada}/tags/remove", {"tag": "vip"})).status_code == 303
    await work(database)
    assert await members(database, agent, tagged.id) == []
