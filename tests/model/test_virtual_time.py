"""Weeks in milliseconds: waits, quiet hours and shifts on the days on which clocks change, and at the world's edges.

The one clock stands still at an instant of the test's choice: a second before, nothing happens; at the instant, all.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery.models import Draft
from switchboard.kernel.db import Database, Tx
from switchboard.routing import rotas
from switchboard.routing.models import Shift
from switchboard.routing.waiting import WaitingLoop
from tests.conftest import Urls, freeze_clock
from tests.delivery.sending import Outbox, queue
from tests.flows.world import add_contact, add_letters, running, save_active, sent_letters, settle, tell
from tests.routing.conftest import make_rota, route_some, user_of

SECOND = timedelta(seconds=1)
OTHER_CLOCKS = re.compile(
    r"(?<!app\.)\bnow\(\)|clock_timestamp|statement_timestamp|transaction_timestamp|CURRENT_|LOCALTIME"
)
HEAD = "flow: waits\ntitle: Waits\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def add_person(tx: Tx, zone: str) -> UUID:
    contact_id = await add_contact(tx, "ann@x.example")
    await tx.execute("UPDATE app.contact SET time_zone = %s", (zone,))
    return contact_id


@pytest.mark.parametrize(
    ("zone", "begins", "wait", "ends"),
    [
        ("Europe/Berlin", "2026-03-28T12:00", 'for: 1h, until: "02:30"', "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-28T12:00", 'for: 1h, until: "09:00"', "2026-03-29T07:00"),
        ("Europe/Berlin", "2026-10-24T12:00", 'for: 1h, until: "02:30"', "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-24T12:00", 'for: 1h, until: "09:00"', "2026-10-25T08:00"),
        ("America/New_York", "2026-03-07T18:00", 'for: 1h, until: "02:30"', "2026-03-08T07:00"),
        ("America/New_York", "2026-10-31T18:00", 'for: 1h, until: "01:30"', "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-03T12:00", 'for: 1h, until: "02:10"', "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-04T12:00", 'for: 1h, until: "01:45"', "2026-04-04T14:45"),
        ("Pacific/Kiritimati", "2026-01-01T00:00", 'for: 1h, until: "09:00"', "2026-01-01T19:00"),
        ("Etc/GMT+12", "2026-01-01T00:00", 'for: 1h, until: "09:00"', "2026-01-01T21:00"),
        ("UTC", "2028-02-28T10:00", 'for: 1h, until: "09:00"', "2028-02-29T09:00"),
        ("Etc/GMT+12", "2028-02-29T23:00", 'for: 1h, until: "09:00", weekdays: [wed]', "2028-03-01T21:00"),
        ("UTC", "2027-02-28T09:00", "for: 366d", "2028-02-29T09:00"),
        ("UTC", "2028-02-29T09:00", "for: 366d", "2029-03-01T09:00"),
        ("Europe/Berlin", "2026-03-28T12:00", "for: 1d", "2026-03-29T12:00"),
    ],
)
async def test_a_wait_ends_at_its_instant(
    database: Database, workspace_id: UUID, urls: Urls, *, zone: str, begins: str, wait: str, ends: str
) -> None:
    freeze_clock(urls, utc(begins))
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        source = (
            f"flow: waits\ntitle: Waits\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n  - wait: {{{wait}}}"
        )
        await save_active(tx, f"{source}\n  - send: welcome\n")
        await tell(tx, "lead.stage_changed", contact_id=await add_person(tx, zone))
    await settle(database)
    freeze_clock(urls, utc(ends) - SECOND)
    assert await settle(database) == 0
    async with database.transaction(workspace_id) as tx:
        assert await running(tx) == [(0, "waiting")]
    freeze_clock(urls, utc(ends))
    assert await settle(database) == 1
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]


@pytest.mark.parametrize(
    ("zone", "quiet", "queued_at", "goes_at"),
    [
        ("Europe/Berlin", ("21:00", "08:00"), "2026-03-28T20:00", "2026-03-29T06:00"),
        ("Europe/Berlin", ("21:00", "08:00"), "2026-10-24T19:00", "2026-10-25T07:00"),
        ("Europe/Berlin", ("21:00", "02:30"), "2026-03-28T20:00", "2026-03-29T01:00"),
        ("Europe/Berlin", ("21:00", "02:30"), "2026-10-24T19:00", "2026-10-25T01:30"),
        ("America/New_York", ("22:00", "07:00"), "2026-11-01T02:00", "2026-11-01T12:00"),
        ("Australia/Lord_Howe", ("21:00", "02:15"), "2026-10-03T12:00", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", ("21:00", "01:45"), "2026-04-04T12:00", "2026-04-04T15:15"),
        ("Pacific/Kiritimati", ("21:00", "08:00"), "2026-01-01T07:00", "2026-01-01T18:00"),
        ("Etc/GMT+12", ("21:00", "08:00"), "2026-01-01T09:00", "2026-01-01T20:00"),
        ("UTC", ("21:00", "08:00"), "2028-02-28T21:00", "2028-02-29T08:00"),
        ("UTC", ("00:00", "12:00"), "2028-02-29T00:00", "2028-02-29T12:00"),
    ],
)
async def test_advertising_rests_until_the_quiet_is_over(
    database: Database,
    workspace_id: UUID,
    urls: Urls,
    *,
    zone: str,
    quiet: tuple[str, str],
    queued_at: str,
    goes_at: str,
) -> None:
    freeze_clock(urls, utc(queued_at))
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = %s, quiet_end = %s", quiet)
        contact_id = await add_person(tx, zone)
    await queue(database, workspace_id, Draft(purpose="marketing", contact_id=contact_id, subject="Hello", text="Hi"))
    outbox = Outbox(database)
    for instant in (utc(queued_at), utc(goes_at) - SECOND):
        freeze_clock(urls, instant)
        await outbox.run()
        assert outbox.subjects == []
    freeze_clock(urls, utc(goes_at))
    await outbox.run()
    assert outbox.subjects == ["Hello"]


@pytest.mark.parametrize(
    ("zone", "shift", "comes_at", "served_at"),
    [
        ("Europe/Berlin", ("09:00", "17:00"), "2026-03-28T18:00", "2026-03-29T07:00"),
        ("Europe/Berlin", ("09:00", "17:00"), "2026-10-24T18:00", "2026-10-25T08:00"),
        ("Europe/Berlin", ("02:30", "10:00"), "2026-03-28T18:00", "2026-03-29T01:00"),
        ("Australia/Lord_Howe", ("02:10", "10:00"), "2026-10-03T12:00", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", ("01:45", "10:00"), "2026-04-04T12:00", "2026-04-04T14:45"),
        ("Pacific/Kiritimati", ("09:00", "17:00"), "2026-01-01T04:00", "2026-01-01T19:00"),
        ("Etc/GMT+12", ("09:00", "17:00"), "2026-01-01T06:00", "2026-01-01T21:00"),
        ("UTC", ("09:00", "17:00"), "2028-02-28T18:00", "2028-02-29T09:00"),
    ],
)
async def test_who_comes_at_night_is_served_when_the_shift_begins(
    database: Database,
    workspace_id: UUID,
    urls: Urls,
    agent: Caller,
    *,
    zone: str,
    shift: tuple[str, str],
    comes_at: str,
    served_at: str,
) -> None:
    freeze_clock(urls, utc(comes_at))
    rota_id = await make_rota(database, workspace_id, "Sales", [agent])
    starts, ends = (time.fromisoformat(text) for text in shift)
    week = [Shift(rota_id, user_of(agent), weekday, starts, ends) for weekday in range(1, 8)]
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.rota SET time_zone = %s", (zone,))
        await rotas.set_shifts(tx, system_caller(workspace_id), rota_id, week)
    assert [outcome.owner_id for outcome in await route_some(database, workspace_id, 1)] == [None]
    freeze_clock(urls, utc(served_at) - SECOND)
    assert (await WaitingLoop(database).tick()).handled == 0
    freeze_clock(urls, utc(served_at))
    assert (await WaitingLoop(database).tick()).handled == 1
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT owner_id FROM app.assignment") == agent.user_id


async def test_python_and_sql_read_the_same_clock(database: Database, workspace_id: UUID, urls: Urls) -> None:
    leap_day = utc("2028-02-29T23:59:59.999999")
    freeze_clock(urls, leap_day)
    async with database.transaction(workspace_id) as tx:
        await add_person(tx, "UTC")
        assert await tx.now() == leap_day
        assert await tx.fetch_value("SELECT created_at FROM app.contact") == leap_day
        assert await tx.fetch_value("SELECT app.now()::date") == date(2028, 2, 29)


async def test_no_default_and_no_function_reads_another_clock(database: Database) -> None:
    async with database.directory() as tx:
        defaults = await tx.fetch_tuples(
            "SELECT adrelid::regclass::text, pg_get_expr(adbin, adrelid) FROM pg_attrdef d"
            " JOIN pg_class c ON c.oid = d.adrelid WHERE c.relnamespace = 'app'::regnamespace"
        )
        functions = await tx.fetch_tuples(
            "SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
            " WHERE p.pronamespace = 'app'::regnamespace AND l.lanname IN ('sql', 'plpgsql')"
        )
    # The ledger of migrations is older than the clock; the clock is itself; ids only lean on the time.
    assert {name for name, text in defaults if OTHER_CLOCKS.search(text)} == {"app.schema_migration"}
    assert {name for name, text in functions if OTHER_CLOCKS.search(text)} == {"now", "uuid7"}
