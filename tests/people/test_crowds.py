"""Many people at once: lists filled from imports, segments, tags and conditions, and tags put on all of them."""

import json
from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.people import crowds, segments, tags
from switchboard.people.errors import SegmentBeingFilledError, SegmentKeptByConditionError, SegmentNotFoundError
from switchboard.people.segment_models import Crowd, SegmentForm
from tests.commands import command_line
from tests.conftest import Urls
from tests.flows.test_campaign_audiences import add_import
from tests.pages import signed_in
from tests.people.segment_world import filled, meet, members, reread, told, work
from tests.people.test_segments import make_list


async def fill(database: Database, caller: Caller, segment_id: UUID, kind: str, of: object) -> None:
    async with database.transaction(caller.workspace_id) as tx:
        await crowds.fill_list(tx, caller, segment_id, Crowd(kind, str(of)))


async def test_a_list_is_filled_with_the_people_of_an_import_each_once(
    database: Database, agent: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await meet(database, agent, "Ada", "Bob", "Cyd", "Dan")
    guests = await make_list(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        import_id = await add_import(tx, [*people[:3], None, people[0]])
    monkeypatch.setattr(crowds, "SLICE", 2)
    await fill(database, agent, guests.id, "import", import_id)
    assert (await reread(database, agent, guests.id)).is_building
    await work(database)
    assert await members(database, agent, guests.id) == sorted(people[:3])
    assert not (await reread(database, agent, guests.id)).is_building
    # Nobody is told of those that a list is filled with.
    assert await told(database, agent, guests.id) == [("segment.created", None), ("segment.built", None)]


async def test_a_list_is_filled_with_those_who_meet_a_condition_now_and_stays_so(
    database: Database, agent: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _bob, cyd = await meet(database, agent, "Ada", "Bob", "Cyd")
    guests = await make_list(database, agent)
    monkeypatch.setattr(crowds, "SLICE", 2)
    await fill(database, agent, guests.id, "condition", 'contact.name in ["Ada", "Cyd"]')
    await work(database)
    assert await members(database, agent, guests.id) == [ada, cyd]
    await fill(database, agent, guests.id, "condition", 'contact.name == "Bob"')
    await work(database)
    assert len(await members(database, agent, guests.id)) == 3


async def test_a_list_takes_what_a_segment_or_a_tag_holds_now(database: Database, agent: Caller) -> None:
    ada, bob, cyd = await meet(database, agent, "Ada", "Bob", "Cyd")
    await filled(database, agent, 'contact.name == "Ada"', "The Adas")
    guests = await make_list(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        await tags.add_tags(tx, agent, [bob], ["vip"])
    await fill(database, agent, guests.id, "segment", "the_adas")
    await work(database)
    await fill(database, agent, guests.id, "tag", " VIP ")
    await work(database)
    assert await members(database, agent, guests.id) == [ada, bob]
    assert cyd not in await members(database, agent, guests.id)


async def test_a_list_is_filled_with_one_thing_after_the_other(database: Database, agent: Caller) -> None:
    guests = await make_list(database, agent)
    await fill(database, agent, guests.id, "tag", "vip")
    with pytest.raises(SegmentBeingFilledError):
        await fill(database, agent, guests.id, "tag", "vip")
    await work(database)
    await fill(database, agent, guests.id, "tag", "vip")


async def test_filling_that_was_given_up_can_be_asked_for_again(database: Database, agent: Caller) -> None:
    guests = await make_list(database, agent)
    await fill(database, agent, guests.id, "tag", "vip")
    async with database.transaction(agent.workspace_id) as tx:
        await tx.execute("UPDATE app.job SET failed_at = app.now()")
    await fill(database, agent, guests.id, "tag", "vip")
    await work(database)
    assert not (await reread(database, agent, guests.id)).is_building


NOT_THERE = "019a0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("kind", "of", "problem"),
    [
        ("import", "7", "there is no such import; its id stands in the address of its page"),
        ("import", NOT_THERE, "there is no such import; its id stands in the address of its page"),
        ("tag", " ", "name a tag"),
        ("planet", "Mars", "expected one of import, segment, tag, condition"),
    ],
)
async def test_who_cannot_be_found_is_refused_and_nothing_changes(
    database: Database, agent: Caller, kind: str, of: str, problem: str
) -> None:
    guests = await make_list(database, agent)
    with pytest.raises(InvalidError) as refused:
        await fill(database, agent, guests.id, kind, of)
    assert [one.message for one in refused.value.problems] == [problem]
    assert not (await reread(database, agent, guests.id)).is_building


async def test_only_a_complete_import_and_another_list_fill_one(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    guests = await make_list(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        import_id = await add_import(tx, [ada])
        await tx.execute("UPDATE app.import SET state = 'running'")
    with pytest.raises(InvalidError, match="cannot be found") as refused:
        await fill(database, agent, guests.id, "import", import_id)
    assert refused.value.by_field() == {"of": "the import is running; wait until it is done"}
    with pytest.raises(InvalidError) as refused:
        await fill(database, agent, guests.id, "segment", guests.name)
    assert refused.value.by_field() == {"of": "a list cannot be filled with itself; choose another"}
    kept = await filled(database, agent, 'contact.name == "Ada"')
    with pytest.raises(SegmentKeptByConditionError):
        await fill(database, agent, kept.id, "segment", guests.name)


async def test_viewers_and_strangers_fill_and_tag_nobody(
    database: Database, agent: Caller, viewer: Caller, stranger: Caller
) -> None:
    (ada,) = await meet(database, agent, "Ada")
    guests = await make_list(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        import_id = await add_import(tx, [ada])
    everybody = Crowd("condition", "true")
    async with database.transaction(viewer.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await crowds.fill_list(tx, viewer, guests.id, everybody)
        with pytest.raises(RoleForbidsError):
            await crowds.tag_crowd(tx, viewer, everybody, ["vip"])
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(SegmentNotFoundError):
            await crowds.fill_list(tx, stranger, guests.id, everybody)
        theirs = await segments.create_segment(tx, stranger, SegmentForm("Theirs"))
        with pytest.raises(InvalidError):
            await crowds.fill_list(tx, stranger, theirs.id, Crowd("import", str(import_id)))
        with pytest.raises(SegmentNotFoundError):
            await crowds.fill_list(tx, stranger, theirs.id, Crowd("segment", str(guests.id)))
    await work(database)
    assert await members(database, agent, guests.id) == []


async def test_many_are_tagged_at_once_each_told_of_once(
    database: Database, agent: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await meet(database, agent, "Ada", "Bob", "Cyd")
    monkeypatch.setattr(crowds, "TAGGED_SLICE", 2)
    async with database.transaction(agent.workspace_id) as tx:
        await tags.add_tags(tx, agent, people[:1], ["vip"])
        await crowds.tag_crowd(tx, agent, Crowd("condition", "contact.name != ''"), ["VIP", "fair"])
        with pytest.raises(InvalidError):
            await crowds.tag_crowd(tx, agent, Crowd("tag", "vip"), [" "])
    await work(database)
    async with database.transaction(agent.workspace_id) as tx:
        assert [await tags.list_tags(tx, one) for one in people] == [["fair", "vip"]] * 3
        rows = await tx.fetch_tuples(
            "SELECT contact_id, data -> 'tags', actor_id FROM app.event WHERE kind = 'contact.tagged' ORDER BY id"
        )
    assert sorted((str(one), words) for one, words, _ in rows[1:]) == [
        (str(people[0]), ["fair"]),
        (str(people[1]), ["fair", "vip"]),
        (str(people[2]), ["fair", "vip"]),
    ]
    assert {actor for _, _, actor in rows} == {agent.user_id}


async def test_lists_are_filled_and_people_tagged_in_the_browser(
    app: Starlette, database: Database, agent: Caller
) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    kept = await filled(database, agent, 'contact.name == "Ada"', "The Adas")
    async with database.transaction(agent.workspace_id) as tx:
        import_id = await add_import(tx, [bob])
    async with signed_in(app, database, agent) as browser:
        tagged = await browser.post("/segments/tag", {"from": "segment", "of": str(kept.id), "tag": "vip"})
        assert tagged.headers["location"] == f"/segments/{kept.id}"
        new = f"/segments/new?list&from=import&of={import_id}"
        assert "filled with everybody of the import now" in (await browser.get(new)).text
        form = {"title": "Guests", "is_list": "on", "from": "import", "of": str(import_id)}
        refused = await browser.post("/segments", {**form, "of": "7"})
        assert refused.status_code == 422
        assert "there is no such import" in refused.text
        here = (await browser.post("/segments", form)).headers["location"]
        await work(database)
        shown = await browser.get("/contacts?tag=vip")
        assert "Put another tag on all of them" in shown.text
        wrong = await browser.post(f"{here}/fill", {"from": "segment", "of": "nothing"})
        assert wrong.status_code == 422
        assert "There is no such segment." in wrong.text
        assert (await browser.post(f"{here}/fill", {"from": "tag", "of": "vip"})).status_code == 303
        await work(database)
    assert await members(database, agent, UUID(here.rpartition("/")[2])) == [ada, bob]


async def test_lists_are_filled_and_people_tagged_on_the_command_line(
    urls: Urls, database: Database, owner: Caller
) -> None:
    ada, bob = await meet(database, owner, "Ada", "Bob")
    run = command_line(urls, ["segment"], "segment")
    async with database.transaction(owner.workspace_id) as tx:
        import_id = await add_import(tx, [ada])
    await run("create", "Guests")
    assert (await run("add", "guests", "--from-import", str(import_id))).stdout == "The list guests is being filled.\n"
    await work(database)
    await run("tag", "vip", "fair", "--from-condition", 'contact.name == "Bob"')
    await work(database)
    await run("add", "guests", "--from-tag", "fair")
    await work(database)
    found = json.loads((await run("members", "guests", "--json")).stdout)
    assert [each["contact"]["id"] for each in found] == [str(ada), str(bob)]
    for wrong in ([], ["--from-tag", "a", "--from-import", "b"]):
        assert (await run("add", "guests", *wrong)).exit_code == 2
