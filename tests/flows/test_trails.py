"""Runs that move as one do what each would have done by itself, to the letter."""

from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchboard.accounts.models import Caller
from switchboard.flows import repository_cohorts, service
from switchboard.flows.cohorts import Cohort
from switchboard.flows.stepper import FEWEST_ALIKE, StepLoop
from switchboard.flows.trails import Trail, find_trail
from switchboard.flows.walking import Batch
from switchboard.kernel.db import Database, Tx, recorded_queries
from switchboard.kernel.low_water import EVERYTHING
from tests.conftest import Urls, move_clock
from tests.flows.world import KINDS, LETTERS, add_contact, add_letters, save_active, settle, stepper, tell
from tests.people.segment_world import make_segment
from tests.timeouts import timing_out

PEOPLE = FEWEST_ALIKE + 2
STEPS: st.SearchStrategy[list[str]] = st.lists(
    st.sampled_from(
        [
            "send: welcome",
            "send: second\n    not_after: 5h",
            "send: third\n    not_after: 5h\n    on_late: send",
            "send: welcome\n    purpose: transactional\n    urgent: true",
            "send: gone",
            "send: second\n    to: owner",
            "wait: 3h",
            "wait: {until: '09:30'}",
            "wait: {event: message.replied, timeout: 4h}\n    then: [send: second]\n    else: [wait: 1h]",
            "if: contact.email.endsWith('3@x.example')\n    then: [stop: enough]",
        ]
    ),
    min_size=1,
    max_size=5,
)
# Hours that pass, or the people who answer or whose conversation is closed, from the first to the n-th.
DEEDS: st.SearchStrategy[list[tuple[str, int]]] = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 12)),
        st.tuples(st.just("message.replied"), st.integers(1, PEOPLE)),
        st.tuples(st.just("conversation.closed"), st.integers(1, PEOPLE)),
    ),
    max_size=5,
)
HEAD = "subject: contact\nstarts: [lead.stage_changed]\nstops: [conversation.closed]\nsteps:\n"
# What each way has left behind; ids are left out, and so is what names the flow.
WRITTEN = {
    "runs": """
        SELECT contact_id, step, revision, phase, due_at, awaits, parked, rounds, attempts, last_error
        FROM app.run WHERE flow_id = %s""",
    "ended": """
        SELECT contact_id, lead_id, step, depth, outcome, reason FROM app.run_ended WHERE flow_id = %s""",
    "history": """
        SELECT r.contact_id, s.revision, s.step, s.outcome, s.detail, s.at FROM app.run_step s JOIN (
            SELECT id, contact_id, flow_id FROM app.run UNION ALL SELECT id, contact_id, flow_id FROM app.run_ended
        ) AS r ON r.id = s.run_id WHERE r.flow_id = %s""",
    "tallies": """
        SELECT version, step, outcome, sum(runs) FROM app.flow_tally WHERE flow_id = %s
        GROUP BY version, step, outcome""",
    "messages": """
        SELECT r.contact_id, m.run_revision, m.channel, m.purpose, m.state, m.reason, m.detail, m.lead_id, m.user_id,
               t.name, m.template_version, m.address, m.subject, m.body_text, m.body_html, m.is_urgent, m.not_after,
               m.when_late, m.created_by, m.created_at, m.direction, m.campaign_id, m.reference_ids,
               m.header_id = '<' || replace(m.id::text, '-', '') || '.' || replace(m.workspace_id::text, '-', '')
                             || '@switchboard.localhost>' AS is_own_header,
               o.lane, o.channel, o.due_at, o.attempts, o.token, o.campaign_id
        FROM app.message m LEFT JOIN app.template t ON t.id = m.template_id
        LEFT JOIN app.outbox o ON o.message_id = m.id JOIN (
            SELECT id, contact_id, flow_id FROM app.run UNION ALL SELECT id, contact_id, flow_id FROM app.run_ended
        ) AS r ON r.id = m.run_id WHERE r.flow_id = %s""",
    "events": """
        SELECT r.contact_id, e.kind, e.at, e.lead_id, e.actor_kind, e.actor_id = r.id, e.actor_id = r.flow_id,
               e.subject_id = r.id, e.data - 'flow' - 'run_id', e.data ->> 'run_id' = r.id::text
        FROM app.event e JOIN (
            SELECT id, contact_id, flow_id FROM app.run UNION ALL SELECT id, contact_id, flow_id FROM app.run_ended
        ) AS r ON r.id = (e.data ->> 'run_id')::uuid WHERE r.flow_id = %s AND e.contact_id = r.contact_id""",
}
numbers = count()


async def written(tx: Tx, flow_id: UUID) -> dict[str, list[str]]:
    """Everything that the runs of a flow have written, in an order of its own."""
    found: dict[str, list[str]] = {}
    for name, sql in WRITTEN.items():
        found[name] = sorted(repr(row) for row in await tx.fetch_tuples(sql, (flow_id,)))
    return found


async def add_people(tx: Tx, number: int) -> list[UUID]:
    """The last of them has no address."""
    people = [await add_contact(tx, f"p{number}_{place}@x.example") for place in range(PEOPLE)]
    await tx.execute("DELETE FROM app.identity WHERE contact_id = %s", (people[-1],))
    return people


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.builds(list.__add__, STEPS, st.sampled_from([[], ["stop: the end"]])), deeds=DEEDS)
async def test_both_ways_write_the_same(
    database: Database, workspace_id: UUID, urls: Urls, steps: list[str], deeds: list[tuple[str, int]]
) -> None:
    number, hours = next(numbers), 0
    await move_clock(urls, "0")
    text = HEAD + "\n".join(f"  - {step}" for step in steps) + "\n"
    async with database.transaction(workspace_id) as tx:
        if not await tx.fetch_value("SELECT count(*) FROM app.template"):
            await add_letters(tx, (*LETTERS, "gone"))
        await tx.execute("UPDATE app.template SET archived_at = NULL")
        await tx.execute("UPDATE app.flow SET is_active = false")
        alike = await save_active(tx, f"flow: alike_{number}\ntitle: Alike\n{text}")
        alone = await save_active(tx, f"flow: alone_{number}\ntitle: Alone\n{text}")
        await tx.execute("UPDATE app.template SET archived_at = app.now() WHERE name = 'gone'")
        people = await add_people(tx, number)
        for contact_id in people:
            await tell(tx, "lead.stage_changed", contact_id=contact_id)

    async def find(cohort: Cohort, batch: Batch) -> Trail | None:
        return None if cohort.flow_id == alone.id else await find_trail(cohort, batch)

    loop = StepLoop(database, KINDS, find_trail=find)
    await settle(database, loop=loop)
    for deed, amount in deeds:
        if deed == "pass":
            hours += amount
            await move_clock(urls, f"{hours} hours")
        else:
            await tell_all(database, workspace_id, deed, people[:amount])
        await settle(database, loop=loop)
    async with database.transaction(workspace_id) as tx:
        assert await written(tx, alike.id) == await written(tx, alone.id)


async def tell_all(database: Database, workspace_id: UUID, kind: str, people: Sequence[UUID]) -> None:
    """Append one event for each."""
    async with database.transaction(workspace_id) as tx:
        for contact_id in people:
            await tell(tx, kind, contact_id=contact_id)


async def begin(database: Database, workspace_id: UUID, steps: str, people: int) -> UUID:
    """So many contacts in one flow."""
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        flow = await save_active(tx, f"flow: f\ntitle: F\n{HEAD}{steps}\n")
        for place in range(people):
            await tell(tx, "lead.stage_changed", contact_id=await add_contact(tx, f"p{place}@x.example"))
    return flow.id


async def test_a_batch_takes_as_many_statements_for_many_as_for_one(database: Database, workspace_id: UUID) -> None:
    await begin(database, workspace_id, "  - send: welcome\n  - wait: 1h", 40)
    with recorded_queries() as statements:
        assert (await stepper(database).tick()).handled == 40
    assert len(statements) < 15
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 40


async def test_what_one_stepper_holds_another_passes_by(database: Database, workspace_id: UUID) -> None:
    await begin(database, workspace_id, "  - wait: 1h", 3)
    async with database.queue_loop() as first, database.queue_loop() as second:
        _, held = await repository_cohorts.claim(first, EVERYTHING, 2)
        _, left = await repository_cohorts.claim(second, EVERYTHING, 2)
    assert [cohort.runs for cohort in (*held, *left)] == [2, 1]


async def test_where_following_fails_each_run_walks_by_itself(database: Database, workspace_id: UUID) -> None:
    await begin(database, workspace_id, "  - send: welcome\n  - wait: 1h", 10)

    async def find_wrongly(cohort: Cohort, batch: Batch) -> Trail | None:
        trail = await find_trail(cohort, batch)
        if trail is not None:
            trail.walk.rounds = 70_000
        return trail

    loop = StepLoop(database, KINDS, find_trail=find_wrongly)
    assert (await loop.tick()).handled == 10
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 10
        assert await tx.fetch_tuples("SELECT DISTINCT phase, rounds, attempts FROM app.run") == [("waiting", 0, 0)]


async def test_a_run_that_always_takes_too_long_costs_itself_an_attempt_and_holds_no_other_up(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await begin(database, workspace_id, "  - send: welcome\n  - wait: 1h", 10)
    async with database.transaction(workspace_id) as tx:
        slow = await tx.fetch_value("SELECT id FROM app.run ORDER BY id LIMIT 1")
    with timing_out(urls, "app.message", f"NEW.run_id = '{slow}'"):
        await stepper(database).tick()
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 9
        rows = await tx.fetch_tuples("SELECT id, attempts, left(last_error, 13) FROM app.run WHERE phase <> 'waiting'")
    assert rows == [(slow, 1, "QueryCanceled")]


async def test_subscribers_are_told_of_each_event_of_a_cohort(database: Database, workspace_id: UUID) -> None:
    await begin(database, workspace_id, "  - wait: 1h", 9)
    told: list[Any] = []

    async def hear(_tx: Tx, events: Sequence[Any]) -> None:
        told.extend(events)

    async def hear_nothing(_tx: Tx, _events: Sequence[Any]) -> None:
        raise AssertionError("no event names a campaign")

    async with database.queue_loop() as tx:
        tx.hub.subscribe(["run.stepped"], hear_nothing, naming="campaign_id")
        tx.hub.subscribe(["run.stepped"], hear)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT id, subject_id, contact_id, actor_id FROM app.event WHERE kind = 'run.stepped' ORDER BY id"
        )
    heard = sorted((event.id, event.subject_id, event.contact_id, event.actor.id) for event in told)
    assert heard == rows
    assert len(heard) == 9


@pytest.mark.parametrize("people", [1, 20])
async def test_a_cohort_of_a_paused_flow_is_parked(
    database: Database, workspace_id: UUID, owner: Caller, people: int
) -> None:
    flow_id = await begin(database, workspace_id, "  - wait: 1h", people)
    async with database.transaction(workspace_id) as tx:
        await service.pause(tx, owner, flow_id)
    assert (await stepper(database).tick()).handled == 0
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT parked, phase, count(*) FROM app.run GROUP BY 1, 2") == [
            ("paused", "ready", people)
        ]
        await service.activate(tx, owner, flow_id, KINDS)
    assert (await stepper(database).tick()).handled == people


async def test_segments_note_a_cohort_to_whom_a_letter_is_written(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    await make_segment(database, owner, 'events.exists(e, e.kind == "message.queued")')
    await begin(database, workspace_id, "  - send: welcome\n  - wait: 1h", 9)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("DELETE FROM app.segment_dirty")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        noted = await tx.fetch_tuples("SELECT contact_id, noun FROM app.segment_dirty ORDER BY contact_id")
        people = await tx.fetch_tuples("SELECT id, 'message' FROM app.contact ORDER BY id")
    assert noted == people
    assert len(noted) == 9


async def test_a_single_run_does_not_wait_for_those_of_a_campaign(database: Database, workspace_id: UUID) -> None:
    flow_id = await begin(database, workspace_id, "  - wait: 1h", 1)
    async with database.transaction(workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, due_at, campaign_id)"
            " SELECT app.uuid7(), %s, %s, 1, 'contact', gen_random_uuid(), app.now() - interval '1 hour', %s"
            " FROM generate_series(1, 2500)",
            (workspace_id, flow_id, flow_id),
        )
    bulk, single = stepper(database, of_campaigns=True), stepper(database)
    assert [(await loop.tick()).handled for loop in (single, bulk, single, bulk)] == [1, 1000, 0, 1500]
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.run WHERE phase = 'waiting'") == 2501


async def test_runs_that_were_claimed_and_left_come_next(database: Database, workspace_id: UUID) -> None:
    flow_id = await begin(database, workspace_id, "  - wait: {for: 1h, until: '09:30'}", 1)
    async with database.transaction(workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, due_at)"
            " SELECT app.uuid7(), %s, %s, 1, 'contact', gen_random_uuid(), app.now() - n * interval '1 second'"
            " FROM generate_series(1, 1200) AS n",
            (workspace_id, flow_id),
        )
    loop = stepper(database)
    assert [(await loop.tick()).handled for _ in range(3)] == [500, 500, 201]
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.run WHERE phase = 'waiting'") == 1201
