"""The frequency caps as messages go out: over all channels and of single ones, and who takes the last place."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller, ChannelCap
from switchboard.accounts.service import get_workspace, update_workspace
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.claiming import Claimer
from switchboard.delivery.models import no_lead_facts
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.pacing import Room
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.people.models import Sighting
from switchboard.people.service import create_contact
from tests.conftest import Urls
from tests.delivery.letters import letter, make_contact
from tests.delivery.sending import LETTERHEAD, Outbox, load, queue, states
from tests.delivery.test_claiming import move_to


@pytest.fixture
async def ann(database: Database, workspace_id: UUID, urls: Urls) -> UUID:
    """A contact; it is noon in Berlin."""
    await move_to(database, urls, 12)
    return await make_contact(database, workspace_id, "ann@x.example")


async def set_cap(database: Database, workspace_id: UUID, owner: Caller, channel_caps: dict[str, ChannelCap]) -> None:
    async with database.transaction(workspace_id) as tx:
        await update_workspace(tx, owner, replace(await get_workspace(tx), channel_caps=channel_caps))


async def test_a_channels_own_cap_holds_besides_the_one_over_all(
    database: Database, workspace_id: UUID, ann: UUID, owner: Caller, urls: Urls
) -> None:
    await set_cap(database, workspace_id, owner, {"email": ChannelCap(1, 1)})
    ids = await queue(database, workspace_id, *[letter(ann, str(number)) for number in range(5)])
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["0"]
    held = await load(database, workspace_id, ids[1])
    assert held.reason == "channel_cap"
    assert held.detail is not None
    assert held.detail.startswith("The contact had 1 messages by email within a day; it goes out at 12:00 on ")
    for day, sent in ((1, 2), (2, 3)):
        await move_to(database, urls, 12 + day, days=day)
        await outbox.run()
        assert len(outbox.subjects) == sent
    # Three within seven days are the most over all channels.
    await move_to(database, urls, 16, days=3)
    await outbox.run()
    assert [reason for _, reason in await states(database, workspace_id, ids)].count("frequency_cap") == 2


@pytest.mark.parametrize("together", [True, False])
async def test_who_waits_for_a_cap_is_told_by_the_clock_of_their_number(
    database: Database, workspace_id: UUID, owner: Caller, together: bool
) -> None:
    async with database.transaction(workspace_id) as tx:
        workspace = await get_workspace(tx)
        await update_workspace(tx, owner, replace(workspace, cap_messages=1, quiet_end=workspace.quiet_start))
    async with database.transaction(workspace_id) as tx:
        ken, _ = await create_contact(tx, owner, Sighting(email="ken@x.example", phone="+81312345678"))
    outbox = Outbox(database)
    ids = await queue(database, workspace_id, letter(ken, "0"), *[letter(ken, "1")] * together)
    await outbox.run()
    if not together:
        ids += await queue(database, workspace_id, letter(ken, "1"))
        await outbox.run()
    assert await states(database, workspace_id, ids) == [("sent", None), ("queued", "frequency_cap")]
    assert "(Asia/Tokyo, " in ((await load(database, workspace_id, ids[1])).detail or "")


async def test_what_went_over_another_channel_counts_for_the_cap_over_all_only(
    database: Database, workspace_id: UUID, ann: UUID, owner: Caller
) -> None:
    await set_cap(database, workspace_id, owner, {"email": ChannelCap(2, 1)})
    texts = [letter(ann, "Text", channel="sms", address="sms@x.example") for _ in range(2)]
    text = await queue(database, workspace_id, *texts)
    outbox = Outbox(database)
    texting = OutboxLoop(database, {"sms": RecordingChannel()}, LETTERHEAD)
    await texting.tick()
    await texting.close()
    assert await states(database, workspace_id, text) == [("sent", None)] * 2
    ids = await queue(database, workspace_id, letter(ann, "1"), letter(ann, "2"))
    await outbox.run()
    assert await states(database, workspace_id, ids) == [("sent", None), ("queued", "frequency_cap")]


async def test_caps_of_channels_hold_while_two_processes_send_over_them(
    database: Database, workspace_id: UUID, ann: UUID, owner: Caller
) -> None:
    await set_cap(database, workspace_id, owner, {"email": ChannelCap(2, 7)})
    await set_cap_over_all(database, workspace_id, 3)
    contacts = [await make_contact(database, workspace_id, f"c{n}@x.example", f"C {n}") for n in range(8)]
    channels = {"email": None, "sms": "sms@x.example"}
    drafts = [
        letter(one, channel=name, address=at) for _ in range(5) for one in contacts for name, at in channels.items()
    ]
    ids = await queue(database, workspace_id, *drafts)
    channel = RecordingChannel()
    loops = [OutboxLoop(database, {"email": channel, "sms": channel}, LETTERHEAD) for _ in range(2)]
    for _ in range(12):
        await asyncio.gather(*(loop.tick() for loop in loops))
    for loop in loops:
        await loop.close()
    found = await states(database, workspace_id, ids)
    gone = [(one.contact_id, one.channel) for one, state in zip(drafts, found, strict=True) if state == ("sent", None)]
    assert {one: sum(contact == one for contact, _ in gone) for one in contacts} == dict.fromkeys(contacts, 3)
    assert max(gone.count((one, "email")) for one in contacts) <= 2
    assert {state for state in found if state != ("sent", None)} <= {
        ("queued", "frequency_cap"),
        ("queued", "channel_cap"),
    }


async def set_cap_over_all(database: Database, workspace_id: UUID, messages: int) -> None:
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET cap_messages = %s", (messages,))


async def test_the_last_place_goes_to_the_higher_lane_whatever_was_queued_first(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    await set_cap_over_all(database, workspace_id, 1)
    await queue(database, workspace_id, letter(ann, "Low", campaign_id=new_id(), priority="low"))
    await queue(database, workspace_id, letter(ann, "Normal", campaign_id=new_id()))
    await queue(database, workspace_id, letter(ann, "High", campaign_id=new_id(), priority="high"))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["High"]


async def test_a_claim_with_room_for_few_takes_the_higher_lane_and_leaves_the_lower_for_the_next(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    await set_cap_over_all(database, workspace_id, 1)
    bob = await make_contact(database, workspace_id, "bob@x.example", "Bob")
    both = (ann, bob)
    await queue(database, workspace_id, *[letter(one, "Low", campaign_id=new_id(), priority="low") for one in both])
    high = await queue(database, workspace_id, *[letter(one, "High", campaign_id=new_id()) for one in both])
    claimer = Claimer(database, LETTERHEAD, no_lead_facts)
    claims = [await claimer.claim(["email"], Room(slots=1, slots_for_flows=1)) for _ in range(4)]
    assert [one.message.id for claimed in claims for one in claimed.outgoing] == high


async def test_whoever_is_claimed_before_the_higher_lane_is_queued_keeps_the_place(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    await set_cap_over_all(database, workspace_id, 1)
    await queue(database, workspace_id, letter(ann, "Low", campaign_id=new_id(), priority="low"))
    claimer = Claimer(database, LETTERHEAD, no_lead_facts)
    first = await claimer.claim(["email"], Room(slots=1, slots_for_flows=1))
    high = await queue(database, workspace_id, letter(ann, "High", campaign_id=new_id(), priority="high"))
    second = await claimer.claim(["email"], Room(slots=1, slots_for_flows=1))
    assert (len(first.outgoing), second.outgoing) == (1, [])
    assert await states(database, workspace_id, high) == [("queued", "frequency_cap")]
