"""Segments and lists, by what their service answers."""

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.people import segments
from switchboard.people.errors import SegmentNameTakenError, SegmentNotFoundError
from switchboard.people.segment_models import Segment, SegmentForm
from tests.people.segment_world import meet, told


async def make_list(database: Database, caller: Caller, title: str = "Guests") -> Segment:
    async with database.transaction(caller.workspace_id) as tx:
        return await segments.create_segment(tx, caller, SegmentForm(title))


async def test_a_list_takes_and_gives_back_people(database: Database, agent: Caller) -> None:
    ada, bob, cyd = await meet(database, agent, "Ada", "Bob", "Cyd")
    guests = await make_list(database, agent)
    async with database.transaction(agent.workspace_id) as tx:
        assert await segments.add_members(tx, agent, guests.id, [ada, bob, new_id()]) == 2
        assert await segments.add_members(tx, agent, guests.id, [bob, cyd]) == 1
        assert await segments.remove_members(tx, agent, guests.id, [ada, new_id()]) == 1
        assert await segments.count_members(tx, guests.id) == 2
        members = await segments.list_members(tx, agent, guests.id, limit=1)
        assert [member.contact.title for member in members] == ["Bob"]
        members = await segments.list_members(tx, agent, guests.id, after=bob)
        assert [member.contact.title for member in members] == ["Cyd"]
        assert [each.title for each in await segments.list_segments_of(tx, bob)] == ["Guests"]
        entered = await segments.list_entered(tx, agent, guests.id)
        assert {member.contact.title for member in entered} == {"Bob", "Cyd"}
    assert await told(database, agent, guests.id) == [
        ("segment.created", None),
        ("segment.entered", ada),
        ("segment.entered", bob),
        ("segment.entered", cyd),
        ("segment.left", ada),
    ]


async def test_a_segment_has_a_name_of_its_own_while_it_is_in_use(database: Database, agent: Caller) -> None:
    first = await make_list(database, agent, "Big  Customers")
    assert (first.name, first.title, first.is_list, first.state) == ("big_customers", "Big Customers", True, "live")
    async with database.transaction(agent.workspace_id) as tx:
        with pytest.raises(SegmentNameTakenError):
            await segments.create_segment(tx, agent, SegmentForm("Others", name="big_customers"))
        with pytest.raises(InvalidError) as refused:
            await segments.create_segment(tx, agent, SegmentForm(" ", name="1st"))
        assert set(refused.value.by_field()) == {"title", "name"}
        await segments.archive_segment(tx, agent, first.id)
        await segments.archive_segment(tx, agent, first.id)
        second = await segments.create_segment(tx, agent, SegmentForm("Big customers"))
        assert [each.id for each in await segments.list_segments(tx, agent)] == [second.id]
        assert (await segments.get_segment_by_name(tx, agent, "big_customers")).id == second.id
        with pytest.raises(SegmentNotFoundError):
            await segments.add_members(tx, agent, first.id, [])
    assert [kind for kind, _ in await told(database, agent, first.id)] == ["segment.created", "segment.archived"]


async def test_strangers_and_viewers_change_nothing(
    database: Database, agent: Caller, viewer: Caller, stranger: Caller
) -> None:
    (ada,) = await meet(database, agent, "Ada")
    guests = await make_list(database, agent)
    async with database.transaction(viewer.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await segments.add_members(tx, viewer, guests.id, [ada])
        assert (await segments.get_segment(tx, viewer, guests.id)).members == 0
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(SegmentNotFoundError):
            await segments.get_segment(tx, stranger, guests.id)
        with pytest.raises(SegmentNotFoundError):
            await segments.add_members(tx, stranger, guests.id, [ada])
        theirs = await segments.create_segment(tx, stranger, SegmentForm("Guests"))
        assert await segments.add_members(tx, stranger, theirs.id, [ada]) == 0
        assert await segments.count_members(tx, guests.id) == 0
