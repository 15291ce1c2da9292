"""Flows as they run: what starts, moves and ends a run, in virtual time on a real database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.flows import service
from switchboard.flows.stepper import StepLoop
from switchboard.flows.subjects import Facts
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import SYSTEM
from switchboard.leads.subject import LeadKind
from tests.conftest import Urls, move_clock
from tests.flows.world import (
    KINDS,
    add_contact,
    add_lead,
    add_letters,
    endings,
    running,
    save_active,
    sent_letters,
    settle,
    stepper,
    tell,
)

TWO_LETTERS = """
flow: letters
title: Letters
subject: lead
starts:
  - on: lead.created
    where: "!lead.junk"
stops: [message.replied, contact.opted_out, lead.accepted]
reentry: never
steps:
  - send: welcome
  - wait: 2d
  - send: second
"""


async def start(
    database: Database, workspace_id: UUID, source: str = TWO_LETTERS, **details: object
) -> tuple[UUID, UUID]:
    """One active flow, and one lead of one contact that enters it."""
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, source)
        contact_id = await add_contact(tx, "ann@x.example", **details)
        return contact_id, await add_lead(tx, contact_id, title="Roof", value_minor=5_000)


async def test_a_run_goes_step_by_step_through_virtual_days_and_ends(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await start(database, workspace_id)
    assert await settle(database) == 1
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        assert await running(tx) == [(1, "waiting")]
    await move_clock(urls, "47 hours")
    assert await settle(database) == 0
    await move_clock(urls, "49 hours")
    assert await settle(database) == 1
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued"), ("second", "queued")]
        assert await endings(tx) == [("finished", "all steps done")]


async def test_the_stepper_looks_on_only_where_something_is_left_to_do(database: Database, workspace_id: UUID) -> None:
    # The letter goes at once, and the change of the lead is for the next look; then there is only a wait.
    changing = TWO_LETTERS.replace("  - wait: 2d\n", "  - set: {stage: qualified}\n  - wait: 2d\n")
    await start(database, workspace_id, changing)
    loop = stepper(database)
    ticks = [await loop.tick() for _ in range(3)]
    assert [(tick.handled, tick.has_more) for tick in ticks] == [(1, True), (1, True), (1, False)]
    async with database.transaction(workspace_id) as tx:
        assert await running(tx) == [(2, "waiting")]


async def test_each_step_is_in_the_history_the_tallies_and_the_timeline(
    database: Database, workspace_id: UUID, urls: Urls, owner: Caller
) -> None:
    contact_id, _ = await start(database, workspace_id)
    await settle(database)
    await move_clock(urls, "3 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        flow = await service.get_flow_by_name(tx, owner, "letters")
        history = await tx.fetch_tuples("SELECT revision, step, outcome FROM app.run_step ORDER BY revision")
        assert history == [(0, 0, "passed"), (1, 1, "waiting"), (2, 1, "passed"), (3, 2, "passed")]
        tallies = [(t.step, t.outcome, t.runs) for t in await service.list_tallies(tx, owner, (flow.id, 1))]
        assert tallies == [
            (-1, "finished", 1),
            (-1, "started", 1),
            (0, "passed", 1),
            (1, "passed", 1),
            (2, "passed", 1),
        ]
        kinds = await tx.fetch_tuples(
            """
            SELECT kind, data->>'text' FROM app.event
            WHERE contact_id = %s AND (kind LIKE 'run.%%' OR kind = 'message.queued') ORDER BY at, kind
            """,
            (contact_id,),
        )
        assert kinds == [
            ("run.started", None), ("message.queued", None), ("run.stepped", "waits 2d"),
            ("message.queued", None), ("run.finished", None),
        ]  # fmt: skip
        (row,) = await service.list_flows(tx, owner)
        assert (row.running, row.started, row.finished, row.failed, row.stopped) == (0, 1, 1, 0, {})


async def test_junk_does_not_enter(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, TWO_LETTERS)
        await add_lead(tx, await add_contact(tx, "spam@x.example"), is_junk=True, junk_reason="spam")
        assert await running(tx) == []


@pytest.mark.parametrize("kind", ["message.replied", "contact.opted_out"])
async def test_a_stop_ends_the_run_and_drops_what_it_had_queued(
    database: Database, workspace_id: UUID, urls: Urls, kind: str
) -> None:
    contact_id, _ = await start(database, workspace_id)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await tell(tx, kind, contact_id=contact_id)
    await move_clock(urls, "3 days")
    assert await settle(database) == 0
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "dropped")]
        assert await endings(tx) == [("stopped", kind)]
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0


async def test_an_answer_stops_a_last_message_that_has_not_gone_out_though_its_run_has_ended(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    contact_id, _ = await start(database, workspace_id)
    await settle(database)
    await move_clock(urls, "3 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "message.replied", contact_id=contact_id)
        assert await sent_letters(tx) == [("welcome", "dropped"), ("second", "dropped")]
        assert await endings(tx) == [("finished", "all steps done")]


class SlowLeads(LeadKind):
    """Leads whose facts take until `go_on`: the stepper is in the middle of a batch meanwhile."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def load_facts(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Facts]:
        self.asked.set()
        await self.go_on.wait()
        return await super().load_facts(tx, ids)


async def test_a_stop_waits_for_the_step_in_hand_and_takes_its_message_back(
    database: Database, workspace_id: UUID
) -> None:
    flow = TWO_LETTERS.replace("- wait: 2d", "- if: lead.value > 0\n    then: [wait: 2d]")
    contact_id, _ = await start(database, workspace_id, flow)
    slow = SlowLeads()
    ticking = asyncio.create_task(StepLoop(database, {"lead": slow}).tick())
    await slow.asked.wait()

    async def stop() -> None:
        async with database.transaction(workspace_id) as tx:
            await tell(tx, "message.replied", contact_id=contact_id)

    stopping = asyncio.create_task(stop())
    await wait_until_blocked(database)
    slow.go_on.set()
    assert (await ticking).handled == 1
    await stopping
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "dropped")]
        assert await endings(tx) == [("stopped", "message.replied")]


async def wait_until_blocked(database: Database) -> None:
    """Return as soon as one transaction waits for another's rows."""
    async with asyncio.timeout(10):
        while True:
            async with database.directory() as tx:
                if await tx.fetch_value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    return


async def test_two_steppers_never_do_one_step_twice(database: Database, workspace_id: UUID, urls: Urls) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, TWO_LETTERS)
        for number in range(60):
            await add_lead(tx, await add_contact(tx, f"p{number}@x.example"))
    for shift in ("0", "3 days"):
        await move_clock(urls, shift)
        moved = await asyncio.gather(*(settle(database) for _ in range(4)))
        assert sum(moved) == 60
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 120
        assert (
            await tx.fetch_value("SELECT count(*) FROM (SELECT DISTINCT run_id, run_revision FROM app.message) AS m")
            == 120
        )
        assert await endings(tx) == [("finished", "all steps done")] * 60


async def test_a_run_stays_on_its_version_when_a_new_one_is_saved(
    database: Database, workspace_id: UUID, urls: Urls, owner: Caller
) -> None:
    await start(database, workspace_id)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        changed = TWO_LETTERS.replace("- send: second", "- send: third").replace("2d", "1d")
        assert (await service.save_flow(tx, owner, changed, KINDS)).version == 2
        await add_lead(tx, await add_contact(tx, "ben@x.example"))
    await settle(database)
    await move_clock(urls, "3 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert sorted(await sent_letters(tx)) == [
            ("second", "queued"), ("third", "queued"), ("welcome", "queued"), ("welcome", "queued"),
        ]  # fmt: skip


async def test_saving_the_same_text_again_is_no_new_version(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        first = await service.save_flow(tx, owner, TWO_LETTERS, KINDS)
        again = await service.save_flow(tx, owner, TWO_LETTERS, KINDS)
    assert (first.version, again.version, first.id) == (1, 1, again.id)


@pytest.mark.parametrize(
    "case", [("never", "400 days", 1), ("{after: 30d}", "29 days", 1), ("{after: 30d}", "31 days", 2)]
)
async def test_nobody_enters_again_before_the_flow_allows_it(
    database: Database, workspace_id: UUID, urls: Urls, case: tuple[str, str, int]
) -> None:
    reentry, second_after, runs = case
    flow = f"""
flow: hello
title: Hello
subject: contact
starts: [lead.stage_changed]
reentry: {reentry}
steps: [send: welcome]
"""
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, flow)
        contact_id = await add_contact(tx, "ann@x.example")
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
    await settle(database)
    await move_clock(urls, second_after)
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert len(await endings(tx)) == runs


async def test_nobody_is_in_one_flow_twice_at_a_time(database: Database, workspace_id: UUID, urls: Urls) -> None:
    flow = TWO_LETTERS.replace("subject: lead", "subject: contact").replace(
        "on: lead.created", "on: lead.stage_changed"
    )
    flow = flow.replace('\n    where: "!lead.junk"', "").replace("reentry: never", "reentry: {after: 1h}")
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, flow)
        contact_id = await add_contact(tx, "ann@x.example")
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
    await settle(database)
    await move_clock(urls, "3 hours")
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
        assert len(await running(tx)) == 1


async def test_four_processes_let_one_subject_in_once(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(
            tx,
            TWO_LETTERS.replace("subject: lead", "subject: contact")
            .replace("lead.created", "message.sent")
            .replace('where: "!lead.junk"', "where: has(contact.email)"),
        )
        contact_id = await add_contact(tx, "ann@x.example")

    async def arrive() -> None:
        async with database.transaction(workspace_id) as tx:
            await tell(tx, "message.sent", contact_id=contact_id)

    await asyncio.gather(*(arrive() for _ in range(4)))
    async with database.transaction(workspace_id) as tx:
        assert await running(tx) == [(0, "ready")]


async def test_a_wait_for_an_event_ends_when_it_comes_or_when_its_time_is_up(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    flow = """
flow: answer
title: Answer
subject: lead
starts: [lead.created]
steps:
  - wait: {event: message.replied, timeout: 3d}
    then: [send: second]
    else: [send: third]
"""
    contact_id, _ = await start(database, workspace_id, flow)
    async with database.transaction(workspace_id) as tx:
        await add_lead(tx, await add_contact(tx, "ben@x.example"))
    await settle(database)
    await move_clock(urls, "1 day")
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "message.replied", contact_id=contact_id)
    assert await settle(database) == 1
    await move_clock(urls, "80 hours")
    assert await settle(database) == 1
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("second", "queued"), ("third", "queued")]


async def test_an_if_takes_the_way_its_condition_says(database: Database, workspace_id: UUID) -> None:
    flow = """
flow: ways
title: Ways
subject: lead
starts: [lead.created]
steps:
  - if: lead.value >= 5000 && contact.email.startsWith("ann")
    then: [send: second]
    else: [send: third]
  - stop: enough
"""
    await start(database, workspace_id, flow)
    async with database.transaction(workspace_id) as tx:
        await add_lead(tx, await add_contact(tx, "ben@x.example"), value_minor=9_000)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert sorted(await sent_letters(tx)) == [("second", "queued"), ("third", "queued")]
        assert await endings(tx) == [("stopped", "enough")] * 2


@pytest.mark.parametrize(
    "case",
    [
        ("America/New_York", "", datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
        ("", "+12125550123", datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
        ("", "", datetime(2026, 11, 2, 8, 30, tzinfo=UTC)),
    ],
)
async def test_a_local_hour_is_the_contacts_also_across_the_end_of_summer_time(
    database: Database, workspace_id: UUID, urls: Urls, case: tuple[str, str, datetime]
) -> None:
    zone, phone, expected = case
    flow = """
flow: morning
title: Morning
subject: lead
starts: [lead.created]
steps:
  - wait: {for: 2d, until: "09:30", weekdays: [mon, tue, wed, thu, fri]}
  - send: welcome
"""
    async with database.transaction(workspace_id) as tx:
        now = await tx.now()
    # Friday afternoon in both zones; on Sunday, 1 November 2026, clocks go back in New York.
    await move_clock(urls, f"{(datetime(2026, 10, 30, 16, 0, tzinfo=UTC) - now).total_seconds()} seconds")
    await start(database, workspace_id, flow, time_zone=zone, phone=phone)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT due_at FROM app.run") == expected


async def test_a_late_letter_is_skipped_and_the_run_goes_on(database: Database, workspace_id: UUID, urls: Urls) -> None:
    await start(database, workspace_id, TWO_LETTERS.replace("- send: second", "- send: second\n    not_after: 1h"))
    await settle(database)
    await move_clock(urls, "5 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        assert await endings(tx) == [("finished", "all steps done")]
        assert await tx.fetch_value("SELECT detail FROM app.run_step WHERE outcome = 'skipped'") == "too late"


async def test_a_paused_flow_lets_nobody_in_and_holds_those_inside_until_it_is_active_again(
    database: Database, workspace_id: UUID, urls: Urls, owner: Caller
) -> None:
    await start(database, workspace_id)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        flow = await service.get_flow_by_name(tx, owner, "letters")
        await service.pause(tx, owner, flow.id)
        await add_lead(tx, await add_contact(tx, "ben@x.example"))
        assert len(await running(tx)) == 1
    await move_clock(urls, "3 days")
    await settle(database)
    assert await settle(database) == 0
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        await service.activate(tx, owner, flow.id, KINDS)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued"), ("second", "queued")]


async def test_flows_that_set_each_other_off_come_to_an_end(database: Database, workspace_id: UUID, urls: Urls) -> None:
    def ping(name: str, stage: str, other: str) -> str:
        return f"""
flow: {name}
title: {name}
subject: lead
starts:
  - on: lead.stage_changed
    where: lead.stage == '{stage}'
reentry: {{after: 1s}}
steps:
  - wait: 2s
  - set: {{stage: {other}}}
"""

    async with database.transaction(workspace_id) as tx:
        await save_active(tx, ping("ping", "contacted", "qualified"))
        await save_active(tx, ping("pong", "qualified", "contacted"))
        lead_id = await add_lead(tx, await add_contact(tx, "ann@x.example"))
        await KINDS["lead"].change(tx, [lead_id], "stage", "contacted", SYSTEM)
    for second in range(0, 60, 3):
        await move_clock(urls, f"{second} seconds")
        await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await running(tx) == []
        assert len(await endings(tx)) == 6
