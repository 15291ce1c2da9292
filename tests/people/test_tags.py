"""Tags on people."""

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.people import merging, segments, tags
from switchboard.people.segment_models import SegmentForm
from tests.people.segment_world import filled, meet, members, work


async def test_tags_are_put_on_and_taken_from_people(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    async with database.transaction(agent.workspace_id) as tx:
        assert await tags.add_tags(tx, agent, [ada, bob, new_id()], ["VIP", "  trade   fair "]) == 2
        assert await tags.add_tags(tx, agent, [ada], ["vip", "new"]) == 1
        assert await tags.list_tags(tx, ada) == ["new", "trade fair", "vip"]
        assert await tags.remove_tags(tx, agent, [ada, bob], ["vip", "unknown"]) == 2
        assert await tags.list_tags(tx, bob) == ["trade fair"]
        assert await tags.list_known_tags(tx, agent) == ["new", "trade fair"]
        assert [each.id for each in await tags.list_tagged(tx, agent, "Trade fair")] == [bob, ada]
        assert [each.id for each in await tags.list_tagged(tx, agent, "trade fair", before=bob)] == [ada]
        told = await tx.fetch_tuples(
            "SELECT kind, contact_id, data FROM app.event WHERE kind LIKE '%tagged' ORDER BY id"
        )
    assert told == [
        ("contact.tagged", ada, {"tags": ["trade fair", "vip"]}),
        ("contact.tagged", bob, {"tags": ["trade fair", "vip"]}),
        ("contact.tagged", ada, {"tags": ["new"]}),
        ("contact.untagged", ada, {"tags": ["vip"]}),
        ("contact.untagged", bob, {"tags": ["vip"]}),
    ]


async def test_tags_that_cannot_be_kept_are_refused(database: Database, agent: Caller, viewer: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    async with database.transaction(agent.workspace_id) as tx:
        for words in (["x" * 61], ["a,b"], ["\0"], [f"t{number}" for number in range(51)]):
            with pytest.raises(InvalidError):
                await tags.add_tags(tx, agent, [ada], words)
        with pytest.raises(RoleForbidsError):
            await tags.add_tags(tx, viewer, [ada], ["vip"])
        assert await tags.list_tags(tx, ada) == []
    assert tags.check_tags(" VIP, vip ,,Trade Fair".split(",")) == ["vip", "trade fair"]


async def test_strangers_tag_nobody(database: Database, agent: Caller, stranger: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    async with database.transaction(stranger.workspace_id) as tx:
        assert await tags.add_tags(tx, stranger, [ada], ["mine"]) == 0
        assert await tags.list_known_tags(tx, stranger) == []


async def test_a_merge_moves_tags_and_places_in_lists_and_its_undo_moves_them_back(
    database: Database, agent: Caller
) -> None:
    kept, lost = await meet(database, agent, "Kept", "Lost")
    tagged = await filled(database, agent, '"gold" in contact.tags', "Gold")
    async with database.transaction(agent.workspace_id) as tx:
        await tags.add_tags(tx, agent, [kept], ["both"])
        await tags.add_tags(tx, agent, [lost], ["both", "gold"])
        shared = await segments.create_segment(tx, agent, SegmentForm("Shared"))
        alone = await segments.create_segment(tx, agent, SegmentForm("Alone"))
        await segments.add_members(tx, agent, shared.id, [kept, lost])
        await segments.add_members(tx, agent, alone.id, [lost])
    await work(database)
    assert await members(database, agent, tagged.id) == [lost]
    async with database.transaction(agent.workspace_id) as tx:
        merge_id = await merging.merge(tx, agent, kept, lost, contact_holders())
    await work(database)
    for segment in (shared, alone, tagged):
        assert await members(database, agent, segment.id) == [kept]
    async with database.transaction(agent.workspace_id) as tx:
        assert await tags.list_tags(tx, kept) == ["both", "gold"]
        assert [each.id for each in await tags.list_tagged(tx, agent, "both")] == [kept]
        await merging.undo(tx, agent, merge_id, contact_holders())
    await work(database)
    async with database.transaction(agent.workspace_id) as tx:
        assert (await tags.list_tags(tx, kept), await tags.list_tags(tx, lost)) == (["both"], ["both", "gold"])
    assert await members(database, agent, shared.id) == sorted([kept, lost])
    assert await members(database, agent, alone.id) == [lost]
    assert await members(database, agent, tagged.id) == [lost]
