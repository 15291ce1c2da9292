"""The gate at the last moment: what changed between queueing and sending counts."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller, system_caller
from switchboard.accounts.service import get_workspace, update_workspace
from switchboard.delivery import service
from switchboard.delivery.claiming import Claimer
from switchboard.delivery.errors import MessageUnderWayError
from switchboard.delivery.models import InboundMessage, no_lead_facts
from switchboard.delivery.pacing import Room
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import SYSTEM
from switchboard.people import service as people
from switchboard.people.models import Sighting
from tests.conftest import Urls, move_clock
from tests.delivery.letters import letter, make_contact
from tests.delivery.sending import LETTERHEAD, Outbox, event_kinds, load, outbox_rows, queue, states
from tests.timeouts import timing_out

BERLIN = ZoneInfo("Europe/Berlin")


async def move_to(database: Database, urls: Urls, hour: int, *, days: int = 0) -> datetime:
    """Make it that hour in Berlin, some days after today, and return the instant."""
    await move_clock(urls, "0")
    async with database.directory() as tx:
        now = await tx.now()
    local = now.astimezone(BERLIN)
    wanted = local.replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days + 1)
    await move_clock(urls, f"{(wanted - now).total_seconds()} seconds")
    return wanted


@pytest.fixture
async def ann(database: Database, workspace_id: UUID, urls: Urls) -> UUID:
    """A contact; it is noon in Berlin."""
    await move_to(database, urls, 12)
    return await make_contact(database, workspace_id, "ann@x.example")


async def test_an_opt_out_after_queueing_keeps_the_message_back(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    async with database.transaction(workspace_id) as tx:
        await people.opt_out(tx, ann, SYSTEM, "told us on the phone")
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.channel.envelopes == []
    assert await states(database, workspace_id, [message_id]) == [("dropped", "opted_out")]
    assert await event_kinds(database, workspace_id, message_id) == ["message.queued", "message.dropped"]
    assert await outbox_rows(database) == 0


async def test_a_suppressed_address_of_another_channel_counts_too(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await people.recognise(tx, [Sighting(email="ann@x.example", phone="+4915112345678")], "DE")
        await service.suppress(tx, "phone", "+4915112345678", "complained", None)
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    await outbox.run()
    message = await load(database, workspace_id, message_id)
    assert outbox.channel.envelopes == []
    assert (message.state, message.reason) == ("dropped", "suppressed")
    assert message.detail == "+4915112345678 is on the suppression list because they reported a message as spam."


@pytest.mark.parametrize("purpose", ["marketing", "transactional", "reply"])
async def test_nothing_ever_goes_to_a_suppressed_address(
    database: Database, workspace_id: UUID, ann: UUID, purpose: str, agent: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await service.suppress(tx, "email", "old@x.example", "bounced", None)
    drafts = [letter(ann, purpose=purpose, address="old@x.example", is_urgent=True, created_by=agent.user_id)]
    (message_id,) = await queue(database, workspace_id, *drafts)
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.channel.envelopes == []
    expected = "held" if purpose == "reply" else "dropped"
    assert await states(database, workspace_id, [message_id]) == [(expected, "suppressed")]


async def test_a_refusal_of_advertising_keeps_back_advertising_only(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await people.recognise(tx, [Sighting(email="ann@x.example", consent=False, consent_text="No")], "DE")
    ids = await queue(database, workspace_id, letter(ann), letter(ann, purpose="transactional"))
    await Outbox(database).run()
    assert await states(database, workspace_id, ids) == [("dropped", "consent_refused"), ("sent", None)]


async def test_a_workspace_that_asks_for_consent_first_advertises_only_to_who_agreed(
    database: Database, workspace_id: UUID, ann: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await update_workspace(tx, owner, replace(await get_workspace(tx), is_consent_required=True))
    ids = await queue(database, workspace_id, letter(ann), letter(ann, purpose="transactional"))
    await Outbox(database).run()
    assert await states(database, workspace_id, ids) == [("dropped", "consent_missing"), ("sent", None)]
    async with database.transaction(workspace_id) as tx:
        await people.recognise(tx, [Sighting(email="ann@x.example", consent=True, consent_text="Yes")], "DE")
    ids = await queue(database, workspace_id, letter(ann))
    await Outbox(database).run()
    assert await states(database, workspace_id, ids) == [("sent", None)]


async def test_at_night_a_letter_waits_for_the_contacts_morning_and_then_goes(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await move_to(database, urls, 22)
    ids = await queue(database, workspace_id, letter(ann), letter(ann, "Now", is_urgent=True))
    outbox = Outbox(database)
    await outbox.run()
    message = await load(database, workspace_id, ids[0])
    assert outbox.subjects == ["Now"]
    assert (message.state, message.reason) == ("queued", "quiet_hours")
    assert message.detail is not None
    assert "it goes out at 08:00" in message.detail
    assert "(Europe/Berlin, the workspace's, since the contact's is not known)" in message.detail
    assert await event_kinds(database, workspace_id, ids[0]) == ["message.queued", "message.deferred"]
    await move_to(database, urls, 7, days=1)
    await outbox.run()
    assert outbox.subjects == ["Now"]
    await move_to(database, urls, 9, days=1)
    await outbox.run()
    assert outbox.subjects == ["Now", "Hello"]


async def test_the_contacts_own_zone_decides_about_the_night(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await people.recognise(tx, [Sighting(email="tomo@x.example", time_zone="Asia/Tokyo", name="Tomo")], "DE")
        tomo = await people.find_contact_by_email(tx, "tomo@x.example")
    assert tomo is not None
    await move_to(database, urls, 15)
    ids = await queue(database, workspace_id, letter(tomo), letter(ann))
    await Outbox(database).run()
    assert await states(database, workspace_id, ids) == [("queued", "quiet_hours"), ("sent", None)]


async def test_the_cap_counts_over_all_flows_also_within_one_batch(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    bob = await make_contact(database, workspace_id, "bob@x.example", "Bob")
    ids = await queue(database, workspace_id, *[letter(ann, str(number)) for number in range(5)], letter(bob, "Bob's"))
    outbox = Outbox(database)
    await outbox.run()
    assert sorted(outbox.subjects) == ["0", "1", "2", "Bob's"]
    assert await states(database, workspace_id, ids[3:5]) == [("queued", "frequency_cap")] * 2
    await move_to(database, urls, 13, days=7)
    await outbox.run()
    assert sorted(outbox.subjects) == ["0", "1", "2", "3", "4", "Bob's"]


async def test_what_is_going_out_counts_against_the_cap(database: Database, workspace_id: UUID, ann: UUID) -> None:
    under_way = await queue(database, workspace_id, *[letter(ann, str(number)) for number in range(3)])
    taken = (await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))).outgoing
    assert sorted(one.message.id for one in taken) == sorted(under_way)
    ids = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == []
    assert await states(database, workspace_id, under_way + ids) == [("sending", None)] * 3 + [
        ("queued", "frequency_cap")
    ]


async def test_a_contact_on_whom_another_process_is_deciding_waits(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    bob = await make_contact(database, workspace_id, "bob@x.example", "Bob")
    await queue(database, workspace_id, letter(ann), letter(bob, "Bob's"))
    outbox = Outbox(database)
    async with database.queue_loop() as another:
        await another.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('delivery.cap:' || %s::text, 0))", (str(ann),)
        )
        await outbox.loop.tick()
        assert outbox.subjects == ["Bob's"]
    await outbox.run()
    assert outbox.subjects == ["Bob's", "Hello"]


async def test_the_cap_holds_while_two_processes_send(database: Database, workspace_id: UUID, ann: UUID) -> None:
    contacts = [
        await make_contact(database, workspace_id, f"c{number}@x.example", f"C {number}") for number in range(8)
    ]
    drafts = [letter(contact) for _ in range(10) for contact in contacts]
    ids = await queue(database, workspace_id, *drafts)
    first, second = Outbox(database), Outbox(database)
    for _ in range(3):
        await asyncio.gather(first.run(), second.run())
    found = await states(database, workspace_id, ids)
    sent_to = [draft.contact_id for draft, state in zip(drafts, found, strict=True) if state == ("sent", None)]
    assert {contact: sent_to.count(contact) for contact in contacts} == dict.fromkeys(contacts, 3)
    assert found.count(("queued", "frequency_cap")) == 56


async def test_too_late_is_skipped_or_sent_and_says_so(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    noon = await move_to(database, urls, 12)
    ids = await queue(
        database,
        workspace_id,
        letter(ann, "Skip", not_after=noon + timedelta(minutes=5)),
        letter(ann, "Send", not_after=noon + timedelta(minutes=5), when_late="send"),
    )
    await move_to(database, urls, 13)
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["Send"]
    assert await states(database, workspace_id, ids) == [("dropped", "too_late"), ("sent", "allowed_late")]


async def test_a_workspace_without_quiet_hours_sends_at_night(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        workspace = await get_workspace(tx)
        await update_workspace(tx, owner, replace(workspace, quiet_end=workspace.quiet_start))
    await move_to(database, urls, 23)
    (message_id,) = await queue(database, workspace_id, letter(ann))
    await Outbox(database).run()
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]


async def test_what_was_dropped_can_be_sent_once_its_reason_is_gone(
    database: Database, workspace_id: UUID, ann: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await service.suppress(tx, "email", "ann@x.example", "manual", None)
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    await outbox.run()
    async with database.transaction(workspace_id) as tx:
        await service.send_again(tx, owner, message_id)
    await outbox.run()
    assert await states(database, workspace_id, [message_id]) == [("dropped", "suppressed")]
    async with database.transaction(workspace_id) as tx:
        await service.unsuppress(tx, owner, "email", "ann@x.example", "they asked us to write again")
        await service.send_again(tx, owner, message_id)
    await outbox.run()
    assert outbox.subjects == ["Hello"]


async def write_in(database: Database, workspace_id: UUID, contact_id: UUID, header_id: str, **more: object) -> None:
    inbound = InboundMessage(
        address="ann@x.example", header_id=header_id, subject="Re", text="A question", contact_id=contact_id
    )
    async with database.transaction(workspace_id) as tx:
        await service.record_inbound(tx, replace(inbound, **more))  # type: ignore[arg-type]


async def unsubscribe(database: Database, workspace_id: UUID, contact_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await people.opt_out(tx, contact_id, SYSTEM, "the link")
        await service.suppress(tx, "email", "ann@x.example", "unsubscribed", None)


async def test_an_answer_goes_out_to_who_wrote_after_they_unsubscribed(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller
) -> None:
    answer = letter(ann, purpose="reply", created_by=agent.user_id)
    await write_in(database, workspace_id, ann, "<before@x.example>")
    await unsubscribe(database, workspace_id, ann)
    await write_in(database, workspace_id, ann, "<absent@x.example>", is_automatic=True)
    held = await queue(database, workspace_id, answer, letter(ann, purpose="transactional"))
    await Outbox(database).run()
    assert await states(database, workspace_id, held) == [("held", "unsubscribed"), ("dropped", "unsubscribed")]
    await write_in(database, workspace_id, ann, "<after@x.example>")
    going = await queue(database, workspace_id, answer, letter(ann, purpose="transactional"))
    await Outbox(database).run()
    assert await states(database, workspace_id, going) == [("sent", None), ("dropped", "unsubscribed")]
    await unsubscribe(database, workspace_id, ann)
    last = await queue(database, workspace_id, answer)
    await Outbox(database).run()
    assert await states(database, workspace_id, last) == [("held", "unsubscribed")]


async def test_a_colleague_may_send_a_held_answer_anyway_and_is_remembered(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller, viewer: Caller
) -> None:
    await unsubscribe(database, workspace_id, ann)
    (message_id,) = await queue(
        database, workspace_id, letter(ann, purpose="reply", created_by=agent.user_id, subject="Your contract")
    )
    outbox = Outbox(database)
    await outbox.run()
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await service.send_anyway(tx, viewer, message_id)
        with pytest.raises(InvalidError):
            await service.send_anyway(tx, system_caller(workspace_id), message_id)
        await service.send_anyway(tx, agent, message_id)
        with pytest.raises(MessageUnderWayError):
            await service.send_anyway(tx, agent, message_id)
    await outbox.run()
    message = await load(database, workspace_id, message_id)
    assert outbox.subjects == ["Your contract"]
    assert (message.state, message.sent_anyway_by) == ("sent", agent.user_id)
    async with database.transaction(workspace_id) as tx:
        statement = "SELECT actor_id, data ->> 'is_anyway' FROM app.event WHERE subject_id = %s AND data ? 'again'"
        assert await tx.fetch_tuples(statement, (message_id,)) == [(agent.user_id, "true")]


async def test_an_answer_to_an_address_that_bounced_is_not_sent_anyway(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller
) -> None:
    await unsubscribe(database, workspace_id, ann)
    async with database.transaction(workspace_id) as tx:
        # The graver reason takes the place of the wish.
        assert await service.suppress(tx, "email", "ann@x.example", "bounced", None)
        assert not await service.suppress(tx, "email", "ann@x.example", "unsubscribed", None)
    await write_in(database, workspace_id, ann, "<after@x.example>")
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose="reply", created_by=agent.user_id))
    await Outbox(database).run()
    assert await states(database, workspace_id, [message_id]) == [("held", "suppressed")]
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(MessageUnderWayError):
            await service.send_anyway(tx, agent, message_id)


async def test_the_statements_of_a_batch_do_not_grow_with_it(database: Database, workspace_id: UUID, ann: UUID) -> None:
    counts = []
    for size in (2, 10):
        contacts = [await make_contact(database, workspace_id, f"{size}-{n}@x.example", f"N {n}") for n in range(size)]
        await queue(database, workspace_id, *[letter(contact) for contact in contacts])
        outbox = Outbox(database)
        with recorded_queries() as statements:
            await outbox.loop.tick()
        counts.append(len(statements))
        await outbox.run()
    assert abs(counts[1] - counts[0]) <= 9
    assert counts[1] <= 40


@pytest.mark.parametrize(("purpose", "before_it_goes"), [("transactional", 5), ("marketing", 6)])
async def test_a_lone_message_goes_after_few_statements_and_is_done_after_three_more(
    database: Database, workspace_id: UUID, ann: UUID, purpose: str, before_it_goes: int
) -> None:
    outbox = Outbox(database)
    await queue(database, workspace_id, letter(ann, purpose=purpose))
    await outbox.loop.tick()
    await queue(database, workspace_id, letter(ann, "Next", purpose=purpose))
    with recorded_queries() as statements:
        tick = await outbox.loop.tick()
    taken = [place for place, statement in enumerate(statements, 1) if "lease_until = app.now() +" in statement]
    assert taken == [before_it_goes]
    assert len(statements) <= before_it_goes + 3
    assert outbox.subjects == ["Hello", "Next"]
    # Nothing else was due, so it does not look again.
    assert not tick.has_more


async def test_one_message_that_cannot_be_decided_on_holds_no_other_up(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    spoilt, sound = await queue(database, workspace_id, letter(ann, purpose="transactional"), letter(ann, "Other"))
    async with database.transaction(workspace_id) as tx:
        # A version of a template that is not there.
        await tx.execute(
            "UPDATE app.message SET template_id = gen_random_uuid(), template_version = 1 WHERE id = %s", (spoilt,)
        )
    await Outbox(database).loop.tick()
    assert await states(database, workspace_id, [spoilt, sound]) == [("queued", None), ("sent", None)]
    async with database.queue_loop() as tx:
        rows = await tx.fetch_tuples("SELECT message_id, attempts, lease_until FROM app.outbox")
    assert rows == [(spoilt, 1, None)]


async def test_one_message_that_always_takes_too_long_costs_itself_an_attempt_and_holds_no_other_up(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    slow, sound = await queue(
        database, workspace_id, letter(ann, "Too long", purpose="transactional"), letter(ann, "Other")
    )
    with timing_out(urls, "app.outbox", f"NEW.message_id = '{slow}' AND NEW.lease_until IS NOT NULL"):
        await Outbox(database).loop.tick()
    assert await states(database, workspace_id, [slow, sound]) == [("queued", None), ("sent", None)]
    async with database.queue_loop() as tx:
        rows = await tx.fetch_tuples("SELECT message_id, attempts, lease_until FROM app.outbox")
    assert rows == [(slow, 1, None)]


async def test_a_full_disk_counts_against_no_message(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    with psycopg.connect(urls.superuser, autocommit=True) as administrator:
        administrator.execute(
            "CREATE FUNCTION app.has_no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END$$"
        )
        administrator.execute(
            "CREATE TRIGGER no_room BEFORE UPDATE ON app.outbox FOR EACH ROW EXECUTE FUNCTION app.has_no_room()"
        )
        try:
            with pytest.raises(psycopg.errors.DiskFull):
                await Outbox(database).loop.tick()
        finally:
            administrator.execute("DROP FUNCTION app.has_no_room CASCADE")
    async with database.queue_loop() as tx:
        assert await tx.fetch_tuples("SELECT attempts, lease_until FROM app.outbox") == [(0, None)]
    await Outbox(database).loop.tick()
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]
