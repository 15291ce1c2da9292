"""Who is in a segment follows what happens to people."""

import asyncio
from contextlib import AsyncExitStack, suppress
from uuid import UUID

import psycopg
import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders, segment_vocabulary
from switchboard.kernel import db, events
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.events import Event
from switchboard.kernel.expressions import FieldType
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import JobLoop
from switchboard.leads import service as leads
from switchboard.people import merging, segments, service, wiring
from switchboard.people.models import Sighting
from switchboard.people.repository_vocabulary import CONTACT_COLUMNS
from switchboard.people.segment_loop import SegmentLoop
from switchboard.people.segment_models import SegmentForm
from switchboard.people.segment_vocabulary import Column, Vocabulary
from switchboard.people.service import ContactForm
from tests.conftest import Urls, move_clock
from tests.leads.conftest import add_source, enquiry
from tests.people.segment_world import filled, make_segment, meet, members, reread, told, work


async def notes(database: Database, caller: Caller) -> int:
    async with database.transaction(caller.workspace_id) as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM app.segment_dirty"))


async def test_a_new_segment_is_filled_and_nobody_is_told_of(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, Sighting(name="Ada", country="DE", email="a@x.example"), "Bob")
    chosen = await make_segment(database, agent, 'contact.country == "DE"')
    assert (chosen.state, chosen.reads, chosen.reads_clock) == ("building", ["contact"], False)
    await work(database)
    assert await members(database, agent, chosen.id) == [ada]
    after = await reread(database, agent, chosen.id)
    assert (after.state, after.checked, after.members, after.problem) == ("live", 2, 1, None)
    assert [kind for kind, _ in await told(database, agent, chosen.id)] == ["segment.created", "segment.built"]
    assert bob


async def test_people_enter_and_leave_as_they_change(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    chosen = await filled(database, agent, 'contact.company == "Acme" && !contact.opted_out')
    assert await members(database, agent, chosen.id) == []
    async with database.transaction(agent.workspace_id) as tx:
        await service.update_contact(tx, agent, ada, ContactForm("Ada", company="Acme"))
    await work(database)
    assert await members(database, agent, chosen.id) == [ada]
    async with database.transaction(agent.workspace_id) as tx:
        await service.opt_out(tx, ada, agent.actor, "asked")
    await work(database)
    assert await members(database, agent, chosen.id) == []
    (bob,) = await meet(database, agent, Sighting(name="Bob", company="Acme", email="b@x.example"))
    await work(database)
    assert await members(database, agent, chosen.id) == [bob]
    assert await told(database, agent, chosen.id) == [
        ("segment.created", None),
        ("segment.built", None),
        ("segment.entered", ada),
        ("segment.left", ada),
        ("segment.entered", bob),
    ]


async def test_leads_and_events_bring_people_in(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    rich = await filled(database, agent, "leads.exists(l, l.is_open && l.value > 1000)", "Rich")
    noted = await filled(database, agent, 'events.exists(e, e.kind == "note.added")', "Noted")
    async with database.transaction(agent.workspace_id) as tx:
        source_id = await add_source(tx, "Website")
        await leads.open_or_join(tx, [enquiry(ada, source_id, value_minor=5000, currency="EUR")])
        await leads.open_or_join(tx, [enquiry(bob, source_id, value_minor=500, currency="EUR")])
        await service.add_note(tx, agent, bob, "met them")
    await work(database)
    assert await members(database, agent, rich.id) == [ada]
    assert await members(database, agent, noted.id) == [bob]


async def test_an_answer_to_a_lead_brings_people_in(database: Database, agent: Caller) -> None:
    ada, bob, cyd = await meet(database, agent, "Ada", "Bob", "Cyd")
    async with database.transaction(agent.workspace_id) as tx:
        source_id = await add_source(tx, "Website")
        await leads.open_or_join(tx, [enquiry(each, source_id) for each in (ada, bob, cyd)])
    answered = await filled(database, agent, "has(lead.first_responded_at)")
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, ada, "called her", is_call=True)
        await service.add_note(tx, agent, cyd, "was mentioned")
        await events.append(tx, [Event("message.sent", new_id(), bob, data={"purpose": "reply"})])
    await work(database)
    assert await members(database, agent, answered.id) == sorted([ada, bob])


async def test_nothing_is_noted_where_no_segment_reads_it(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    assert await notes(database, agent) == 0
    chosen = await filled(database, agent, 'contact.name == "Ada"')
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, ada, "a note is not read")
    assert await notes(database, agent) == 0
    async with database.transaction(agent.workspace_id) as tx:
        await segments.archive_segment(tx, agent, chosen.id)
        await service.opt_out(tx, ada, agent.actor, "asked")
    assert await notes(database, agent) == 0


async def test_a_merge_and_its_undo_move_people_out_and_in(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    everybody = await filled(database, agent, "true")
    noted = await filled(database, agent, 'events.exists(e, e.kind == "note.added")', "Noted")
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, bob, "met them")
    await work(database)
    assert await members(database, agent, noted.id) == [bob]
    async with database.transaction(agent.workspace_id) as tx:
        merge_id = await merging.merge(tx, agent, ada, bob, contact_holders())
    await work(database)
    assert await members(database, agent, everybody.id) == [ada]
    # What happened to the contact that was merged away happened to the one that is kept.
    assert await members(database, agent, noted.id) == [ada]
    async with database.transaction(agent.workspace_id) as tx:
        await merging.undo(tx, agent, merge_id, contact_holders())
    await work(database)
    assert await members(database, agent, everybody.id) == sorted([ada, bob])
    assert await members(database, agent, noted.id) == [bob]


async def test_another_condition_is_held_against_everybody(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    chosen = await filled(database, agent, 'contact.name == "Ada"')
    form = SegmentForm("Chosen", condition='contact.name == "Bob"')
    async with database.transaction(agent.workspace_id) as tx:
        changed = await segments.update_segment(tx, agent, chosen.id, form)
        assert (changed.state, changed.generation, changed.checked) == ("building", 2, 0)
        assert (await segments.update_segment(tx, agent, chosen.id, form)).generation == 2
    await work(database)
    assert await members(database, agent, chosen.id) == [bob]
    kinds = [kind for kind, _ in await told(database, agent, chosen.id)]
    assert kinds == ["segment.created", "segment.built", "segment.updated", "segment.built"]
    assert ada


async def test_time_alone_takes_people_out(database: Database, agent: Caller, urls: Urls) -> None:
    (ada,) = await meet(database, agent, "Ada")
    fresh = await filled(database, agent, 'contact.created_at > now - duration("24h")')
    assert await members(database, agent, fresh.id) == [ada]
    await move_clock(urls, "23 hours")
    await work(database)
    assert await members(database, agent, fresh.id) == [ada]
    await move_clock(urls, "25 hours")
    await work(database)
    assert await members(database, agent, fresh.id) == []
    assert (await told(database, agent, fresh.id))[-1] == ("segment.left", ada)


async def test_a_change_that_comes_while_its_contact_is_looked_at_is_not_lost(
    database: Database, agent: Caller
) -> None:
    (ada,) = await meet(database, agent, "Ada")
    chosen = await filled(database, agent, 'contact.company == "Acme"')
    loop = SegmentLoop(database, segment_vocabulary())
    async with database.transaction(agent.workspace_id) as tx:
        await service.update_contact(tx, agent, ada, ContactForm("Ada", company="Bravo"))
    async with database.transaction(agent.workspace_id) as later:
        # This change is not committed yet when the loop takes the note of the one before and looks.
        await service.update_contact(later, agent, ada, ContactForm("Ada", company="Acme"))
        assert (await loop.tick()).handled == 1
    assert await members(database, agent, chosen.id) == []
    assert (await loop.tick()).handled == 1
    assert await members(database, agent, chosen.id) == [ada]


async def test_who_changes_a_contact_never_waits_for_the_loop(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    chosen = await filled(database, agent, 'contact.company == "Acme"')
    async with database.transaction(agent.workspace_id) as tx:
        await service.update_contact(tx, agent, ada, ContactForm("Ada", company="Bravo"))
    async with database.queue_loop() as taking:
        # The loop has taken the note and is still looking.
        assert await taking.execute("DELETE FROM app.segment_dirty") == 1
        async with asyncio.timeout(5), database.transaction(agent.workspace_id) as tx:
            await service.update_contact(tx, agent, ada, ContactForm("Ada", company="Acme"))
    await work(database)
    assert await members(database, agent, chosen.id) == [ada]


async def test_a_change_under_way_when_the_segment_was_made_is_waited_for(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    async with database.transaction(agent.workspace_id) as earlier:
        await service.update_contact(earlier, agent, ada, ContactForm("Ada", company="Acme"))
        # The change noted nothing, for there was no segment yet.
        chosen = await make_segment(database, agent, 'contact.company == "Acme"')
        await work(database)
        assert (await reread(database, agent, chosen.id)).state == "building"
    async with asyncio.timeout(10):
        while (await reread(database, agent, chosen.id)).is_building:
            await work(database)
    assert await members(database, agent, chosen.id) == [ada]


async def test_a_change_that_began_after_the_segment_and_saw_none_is_waited_for(
    database: Database, agent: Caller
) -> None:
    (ada,) = await meet(database, agent, "Ada")
    form = SegmentForm("Chosen", condition='contact.company == "Acme"')
    async with AsyncExitStack() as making, AsyncExitStack() as changing:
        making_tx = await making.enter_async_context(database.transaction(agent.workspace_id))
        chosen = await segments.create_segment(making_tx, agent, form, segment_vocabulary())
        changing_tx = await changing.enter_async_context(database.transaction(agent.workspace_id))
        await service.update_contact(changing_tx, agent, ada, ContactForm("Ada", company="Acme"))
        await making.aclose()
        await work(database)
        assert (await reread(database, agent, chosen.id)).state == "building"
        await changing.aclose()
    assert await _filled_with(database, agent, chosen.id) == [ada]


async def test_a_queue_that_knew_of_no_segment_is_waited_for(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    async with database.queue_loop() as earlier:
        await earlier.enter_workspace(agent.workspace_id)
        chosen = await make_segment(database, agent, 'contact.company == "Acme"')
        await work(database)
        assert (await reread(database, agent, chosen.id)).state == "building"
        await service.update_contact(earlier, agent, ada, ContactForm("Ada", company="Acme"))
    assert await _filled_with(database, agent, chosen.id) == [ada]


async def _filled_with(database: Database, agent: Caller, segment_id: UUID) -> list[UUID]:
    async with asyncio.timeout(10):
        while (await reread(database, agent, segment_id)).is_building:
            await work(database)
    return await members(database, agent, segment_id)


async def test_a_queue_asks_for_what_segments_read_once_until_one_changes(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")

    async def note_in_a_queue(name: str) -> list[str]:
        async with database.queue_loop() as tx:
            await tx.enter_workspace(agent.workspace_id)
            with recorded_queries() as statements:
                await service.update_contact(tx, agent, ada, ContactForm("Ada", company=name))
        return [statement for statement in statements if "segment" in statement]

    assert len(await note_in_a_queue("one")) == 1
    assert await note_in_a_queue("two") == []
    await make_segment(database, agent, 'contact.company == "Acme"')
    (asked, noted) = await note_in_a_queue("three")
    assert ("SELECT DISTINCT" in asked, "segment_dirty" in noted) == (True, True)
    (noted,) = await note_in_a_queue("four")
    assert "segment_dirty" in noted


async def test_two_loops_at_once_agree(database: Database, agent: Caller) -> None:
    people = await meet(database, agent, *(f"P{number}" for number in range(40)))
    chosen = await filled(database, agent, 'contact.company == "Acme"')
    loops = [SegmentLoop(database, segment_vocabulary()) for _ in range(3)]

    async def change(company: str) -> None:
        for contact_id in people:
            async with database.transaction(agent.workspace_id) as tx:
                await service.update_contact(tx, agent, contact_id, ContactForm("P", company=company))

    async def run(loop: SegmentLoop) -> None:
        for _ in range(40):
            await loop.tick()

    await asyncio.gather(change("Acme"), *(run(loop) for loop in loops))
    await asyncio.gather(change("Bravo"), *(run(loop) for loop in loops))
    await asyncio.gather(change("Acme"), *(run(loop) for loop in loops))
    await work(database)
    assert await members(database, agent, chosen.id) == sorted(people)


async def test_a_condition_that_cannot_be_asked_holds_up_nobody_else(database: Database, agent: Caller) -> None:
    (ada,) = await meet(database, agent, "Ada")
    broken = await filled(database, agent, "true", "Broken")
    whole = await filled(database, agent, 'contact.company == "Acme"', "Whole")
    async with database.transaction(agent.workspace_id) as tx:
        await tx.execute("UPDATE app.segment SET condition = 'contact.gone' WHERE id = %s", (broken.id,))
        await service.update_contact(tx, agent, ada, ContactForm("Ada", company="Acme"))
    await work(database)
    assert await members(database, agent, whole.id) == [ada]
    assert (await reread(database, agent, broken.id)).problem is not None
    async with database.transaction(agent.workspace_id) as tx:
        mended = await segments.update_segment(tx, agent, broken.id, SegmentForm("Broken", condition="true"))
        assert (mended.problem, mended.state) == (None, "building")


# Each look at a contact takes so long that one statement has not the time for all of them.
SLOW = Column(FieldType.BOOL, "(SELECT true FROM pg_catalog.pg_sleep(0.04 + 0 * length({row}.name)))", is_known=True)
SLOW_WORDS = Vocabulary({**CONTACT_COLUMNS, "slow": SLOW})


async def test_a_dear_condition_takes_fewer_contacts_at_a_time(
    database: Database, agent: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "STATEMENT_TIMEOUT_MILLISECONDS", 1_000)
    people = await meet(database, agent, *(f"P{number}" for number in range(50)))
    async with database.transaction(agent.workspace_id) as tx:
        form = SegmentForm("Dear", condition='contact.slow && contact.company == ""')
        dear = await segments.create_segment(tx, agent, form, SLOW_WORDS)
    jobs = JobLoop(database, wiring.job_handlers(SLOW_WORDS))
    while (await reread(database, agent, dear.id)).is_building:
        await jobs.tick()
    assert await members(database, agent, dear.id) == sorted(people)
    async with database.transaction(agent.workspace_id) as tx:
        for contact_id in people:
            await service.update_contact(tx, agent, contact_id, ContactForm("P", company="Acme"))
    loop = SegmentLoop(database, SLOW_WORDS)
    while await notes(database, agent):
        with suppress(psycopg.errors.QueryCanceled):
            await loop.tick()
    assert await members(database, agent, dear.id) == []
    assert (await reread(database, agent, dear.id)).problem is None
