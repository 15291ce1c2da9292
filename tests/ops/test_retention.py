"""What is past its time goes by the month or by rows, what work still needs stays, and other workspaces keep theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.accounts import service as accounts
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import Again
from switchboard.kernel.partitions import PARTITIONED
from switchboard.kernel.settings import load_settings
from switchboard.ops import housekeeping, retention
from tests.conftest import Urls, freeze_clock

PRESENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = datetime(2023, 3, 5, tzinfo=UTC)
LATER = datetime(2023, 4, 5, tzinfo=UTC)
# From the first month of which all was still to be kept in the present; the two after it are made for tests, too.
FIRST_KEPT = datetime(2024, 11, 1, tzinfo=UTC)
SETTINGS = load_settings({"KEEP_EVENTS_MONTHS": "24"})
ROWS: dict[str, str] = {
    "event": "INSERT INTO app.event (id, workspace_id, at, kind, actor_kind) VALUES (%s, %s, %s, 'x', 'system')",
    "signal": "INSERT INTO app.signal (id, workspace_id, received_at, source_id, payload)"
    " VALUES (%s, %s, %s, app.uuid7(), '{}')",
    "signal_outcome": "INSERT INTO app.signal_outcome (signal_id, workspace_id, received_at, source_id, outcome)"
    " VALUES (%s, %s, %s, app.uuid7(), 'opened')",
    "attempt": "INSERT INTO app.attempt (message_id, workspace_id, ended_at, token, started_at, outcome)"
    " VALUES (%s, %s, %s, 1, app.now(), 'sent')",
    "run_step": "INSERT INTO app.run_step (run_id, workspace_id, at, revision, step, outcome)"
    " VALUES (%s, %s, %s, 1, 1, 'done')",
}


async def find_kept_since(tx: Tx, log: str) -> object:
    return await tx.fetch_value("SELECT kept_since FROM app.log_keeping WHERE log = %s", (log,))


@pytest.fixture
def months(urls: Urls) -> tuple[str, ...]:
    """In the present of these tests, months that are past their time and the first that is not, in all logs."""
    freeze_clock(urls, PRESENT)
    days = (OLD, LATER, FIRST_KEPT)
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        for table in PARTITIONED:
            for day in days:
                connection.execute("SELECT app.ensure_partition(%s, %s)", (table, day.date()))
    return tuple(f"y{day:%Y}m{day:%m}" for day in days)


@asynccontextmanager
async def at_work(database: Database, workspace_id: UUID) -> AsyncIterator[Tx]:
    """As the loop of jobs has it: all queues, and one workspace."""
    async with database.queue_loop() as tx:
        await tx.enter_workspace(workspace_id)
        yield tx


async def add(tx: Tx, table: str, at: datetime) -> UUID:
    made = new_id(at)
    await tx.execute(ROWS[table], (made, tx.workspace_id, at))
    return made


async def count(tx: Tx, table: str) -> int:
    return int(await tx.fetch_value(f"SELECT count(*) FROM app.{table} WHERE workspace_id = %s", (tx.workspace_id,)))


def old_months(urls: Urls, table: str) -> list[str]:
    """The partitions of years gone by, by their ends."""
    with psycopg.connect(urls.superuser) as connection:
        rows = connection.execute(
            "SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = ('app.' || %s)::regclass AND right(c.relname, 8) < 'y2026' ORDER BY 1",
            (table,),
        ).fetchall()
    return [row[0] for row in rows if row[0].startswith("y")]


async def let_all_go(database: Database, workspace_id: UUID, **environment: str) -> int:
    """Round after round until nothing more goes; says how many rounds found more."""
    settings = load_settings(environment) if environment else SETTINGS
    for done in range(100):
        async with at_work(database, workspace_id) as tx:
            if not await retention.let_go(tx, settings):
                return done
    raise AssertionError("it never ends")


async def test_months_past_their_time_go_with_their_rows_and_younger_ones_stay(
    database: Database, workspace_id: UUID, urls: Urls, months: tuple[str, ...]
) -> None:
    async with database.transaction(workspace_id) as tx:
        for table in PARTITIONED:
            for at in (OLD, LATER, FIRST_KEPT):
                await add(tx, table, at)
        before = {table: await count(tx, table) for table in PARTITIONED}
    assert await let_all_go(database, workspace_id) == 2 * len(PARTITIONED)
    async with database.transaction(workspace_id) as tx:
        assert {table: before[table] - await count(tx, table) for table in PARTITIONED} == dict.fromkeys(PARTITIONED, 2)
        for table in PARTITIONED:
            assert old_months(urls, table) == [months[2]]
            assert await find_kept_since(tx, table) == FIRST_KEPT


async def test_a_month_goes_two_days_after_it_stopped_counting_as_kept(
    database: Database, workspace_id: UUID, urls: Urls, months: tuple[str, ...]
) -> None:
    await let_all_go(database, workspace_id)
    first = datetime(2026, 12, 1, tzinfo=UTC)
    for day, kept in ((2, [months[2]]), (3, [])):
        freeze_clock(urls, first.replace(day=day))
        await let_all_go(database, workspace_id)
        assert old_months(urls, "signal") == kept
        async with database.directory() as tx:
            assert await find_kept_since(tx, "signal") == datetime(2024, 12, 1, tzinfo=UTC)


async def test_what_is_kept_for_ever_stays_and_what_is_gone_does_not_come_back(
    database: Database, workspace_id: UUID, urls: Urls, months: tuple[str, ...]
) -> None:
    await let_all_go(database, workspace_id)
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        connection.execute("SELECT app.ensure_partition('event', %s)", (LATER.date(),))
    await let_all_go(database, workspace_id, KEEP_SIGNALS_MONTHS="0")
    async with database.directory() as tx:
        assert old_months(urls, "event") == [months[1], months[2]]
        assert await find_kept_since(tx, "signal") == datetime(2023, 5, 1, tzinfo=UTC)
        assert await find_kept_since(tx, "event") == datetime(2023, 5, 1, tzinfo=UTC)
    await let_all_go(database, workspace_id)
    assert old_months(urls, "event") == [months[2]]


SIGNAL_DUE = (
    "INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at)"
    " VALUES (%s, %s, app.uuid7(), app.now())"
)
OUTBOX = "INSERT INTO app.outbox (message_id, workspace_id, channel, lane) VALUES (%s, %s, 'email', 5)"


async def test_what_work_under_way_needs_stays_until_it_is_done(
    database: Database, workspace_id: UUID, urls: Urls, months: tuple[str, ...]
) -> None:
    async with database.directory() as tx:
        other = await accounts.create_workspace(
            tx, name="Other", time_zone="UTC", default_region="DE", mail_domain="switchboard.localhost"
        )
    async with database.transaction(other) as tx:
        await tx.execute(SIGNAL_DUE, (await add(tx, "signal", OLD), other))
        await tx.execute(OUTBOX, (await add(tx, "attempt", OLD), other))
    await let_all_go(database, workspace_id)
    in_use = ("signal", "signal_outcome", "attempt")
    assert [old_months(urls, table) for table in in_use] == [list(months)] * 3
    assert old_months(urls, "event") == [months[2]]
    async with database.transaction(other) as tx:
        await tx.execute("DELETE FROM app.signal_due")
        await tx.execute("DELETE FROM app.outbox")
    await let_all_go(database, workspace_id)
    assert [old_months(urls, table) for table in in_use] == [[months[2]]] * 3


async def test_a_log_that_is_being_read_is_left_for_another_time(
    database: Database, workspace_id: UUID, urls: Urls, months: tuple[str, ...]
) -> None:
    async with database.transaction(workspace_id) as reader:
        await count(reader, "signal_outcome")
        await let_all_go(database, workspace_id)
        assert old_months(urls, "signal_outcome") == list(months)
        assert old_months(urls, "run_step") == [months[2]]
    await let_all_go(database, workspace_id)
    assert old_months(urls, "signal_outcome") == [months[2]]


async def test_rows_that_lie_in_no_month_go_by_themselves(
    database: Database, workspace_id: UUID, months: tuple[str, ...]
) -> None:
    nowhere = datetime(2022, 1, 1, tzinfo=UTC)
    async with database.transaction(workspace_id) as tx:
        for table in PARTITIONED:
            await add(tx, table, nowhere)
            lies_in = f"SELECT tableoid::regclass::text FROM app.{table} WHERE {PARTITIONED[table]} = %s"
            assert await tx.fetch_value(lies_in, (nowhere,)) == f"app.{table}_default"
        before = {table: await count(tx, table) for table in PARTITIONED}
    await let_all_go(database, workspace_id)
    async with database.transaction(workspace_id) as tx:
        assert {table: before[table] - await count(tx, table) for table in PARTITIONED} == dict.fromkeys(PARTITIONED, 1)


RUN = (
    "INSERT INTO app.run_ended (id, workspace_id, flow_id, version, subject_kind, subject_id, step, outcome, reason,"
    " started_at, ended_at) VALUES (%s, %s, app.uuid7(), 1, 'lead', app.uuid7(), 1, 'finished', '', %s, %s)"
)
MAIL = (
    "INSERT INTO app.inbound_mail (id, workspace_id, mail_from, recipient, raw, header_id, outcome, created_at)"
    " VALUES (%(id)s, %(workspace)s, 'a@x.example', 'b@x.example', '', %(id)s, %(outcome)s, %(at)s)"
)


async def test_ended_runs_and_mail_that_was_read_go_by_rows(
    database: Database, workspace_id: UUID, months: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_ROWS", 2)
    async with database.transaction(workspace_id) as tx:
        for ended in (OLD, LATER, LATER, FIRST_KEPT):
            await tx.execute(RUN, (new_id(), workspace_id, OLD, ended))
        for outcome, at in (("received", OLD), ("bounce", OLD), (None, OLD), ("received", FIRST_KEPT)):
            values: dict[str, Any] = {"id": new_id(), "workspace": workspace_id, "outcome": outcome, "at": at}
            await tx.execute(MAIL, values)
    await let_all_go(database, workspace_id)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT ended_at FROM app.run_ended") == [(FIRST_KEPT,)]
        kept = await tx.fetch_tuples("SELECT outcome, created_at FROM app.inbound_mail ORDER BY created_at")
    assert kept == [(None, OLD), ("received", FIRST_KEPT)]


async def test_the_daily_round_goes_on_at_once_while_there_is_more(
    database: Database, workspace_id: UUID, months: tuple[str, ...]
) -> None:
    clean_up = housekeeping.job_handlers(SETTINGS)[housekeeping.KIND]
    rounds: list[Again | None] = []
    while len(rounds) < 100 and (not rounds or rounds[-1] == Again({})):
        async with at_work(database, workspace_id) as tx:
            rounds.append(await clean_up(tx, {}))
    assert rounds == [*[Again({})] * 2 * len(PARTITIONED), Again({}, after=housekeeping.NEXT_DAY)]
