"""Postgres goes away: intake answers 202, and what it took comes in once, in order, when Postgres is back."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import msgspec
import psycopg
import pytest

from switchboard.accounts.models import system_caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import service
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.draining import drain
from switchboard.intake.kept_signals import decode_request
from switchboard.intake.models import NewSignal, Source
from switchboard.intake.outage import Outage, patiently
from switchboard.intake.reserve import Reserve
from switchboard.intake.spool import Spool, find_set_aside
from switchboard.intake.spool_files import SealedSegment, list_segments
from switchboard.intake.standby import Standby
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.events import Hub
from switchboard.kernel.ids import instant_of, new_id
from switchboard.kernel.settings import Settings, load_settings
from tests.conftest import Urls, move_clock
from tests.intake.conftest import count_signals, make_source, recognise_all

HEAD_BYTES = 16
NOWHERE = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SWITCHBOARD_HOME": str(tmp_path), "SPOOL_MEGABYTES": "1"})


@pytest.fixture
def away() -> Database:
    """A database that cannot be reached; its pool is closed, so that nobody waits for it."""
    return Database(NOWHERE, Hub(), max_connections=2)


@pytest.fixture
async def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path, 1 << 20)
    await spool.open()
    return spool


def make_signal(source: Source, key: UUID | None = None, payload: str = "{}", seconds: int = 60) -> NewSignal:
    return NewSignal(new_id(), source.workspace_id, source.id, key or uuid4(), seconds, payload)


@asynccontextmanager
async def batching(database: Database, reserve: Reserve) -> AsyncIterator[Batcher]:
    batcher = Batcher(database, most_waiting=2_000, reserve=reserve)
    batcher.start()
    yield batcher
    await batcher.stop()


@asynccontextmanager
async def posting(standby: Standby, database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an intake with this standby, whose commits go to `database`."""
    async with batching(database, standby.reserve) as batcher:
        transport = httpx2.ASGITransport(app=IntakeApp(standby.doors, batcher))
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


async def stored_ids(database: Database, workspace_id: UUID) -> list[UUID]:
    async with database.transaction(workspace_id) as tx:
        return [row[0] for row in await tx.fetch_tuples("SELECT id FROM app.signal ORDER BY received_at, id")]


async def test_what_cannot_be_committed_is_kept_and_comes_in_as_received(
    database: Database, away: Database, source: Source, spool: Spool, workspace_id: UUID
) -> None:
    reserve = Reserve(spool, Outage())
    signals = [make_signal(source, payload=json.dumps({"email": f"p{number}@x.example"})) for number in range(3)]
    async with batching(away, reserve) as batcher:
        answers = [(await batcher.accept([signal]))[0] for signal in signals]
    assert [(answer.id, answer.is_duplicate) for answer in answers] == [(signal.id, False) for signal in signals]
    assert reserve.outage.is_on
    assert (await spool.measure()).signals == 3

    await spool.seal()
    assert await drain(database, spool.folder) == 3
    assert list_segments(spool.folder) == []
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT id, received_at, payload FROM app.signal ORDER BY id")
        due = await tx.fetch_tuples("SELECT signal_id, received_at, due_at FROM app.signal_due ORDER BY signal_id")
    assert rows == [(signal.id, instant_of(signal.id), json.loads(signal.payload)) for signal in signals]
    assert due == [(signal.id, instant_of(signal.id), instant_of(signal.id)) for signal in signals]
    assert await recognise_all(database) == 3


async def test_draining_again_after_a_crash_before_the_file_was_removed_brings_nothing_twice(
    database: Database, source: Source, spool: Spool, urls: Urls
) -> None:
    signals = [make_signal(source) for _ in range(5)]
    await spool.keep([signals])
    await spool.seal()
    (path,) = list_segments(spool.folder)
    content = path.read_bytes()
    await drain(database, spool.folder)
    path.write_bytes(content)
    await drain(database, spool.folder)
    assert await count_signals(database, source.workspace_id) == 5

    # Also when its keys have long been forgotten, and it has been recognised.
    await move_clock(urls, "3 days")
    async with database.transaction(source.workspace_id) as tx:
        await tx.execute("DELETE FROM app.signal_key")
        await tx.execute("DELETE FROM app.signal_due")
    path.write_bytes(content)
    await drain(database, spool.folder)
    assert await count_signals(database, source.workspace_id) == 5
    assert await recognise_all(database) == 0
    # It was known, and not refused as what cannot be stored.
    assert find_set_aside(spool.folder) == []


async def test_a_length_that_was_damaged_loses_nothing_behind_it_for_good(
    database: Database, source: Source, spool: Spool
) -> None:
    for _ in range(3):
        await spool.keep([[make_signal(source)]])
    await spool.seal()
    (path,) = list_segments(spool.folder)
    content = bytearray(path.read_bytes())
    second = HEAD_BYTES + (len(content) - HEAD_BYTES) // 3
    content[second + 1] ^= 0xFF
    path.write_bytes(content)
    assert await drain(database, spool.folder) == 1
    assert list_segments(spool.folder) == []
    # What cannot be read is still there, and the home page says that somebody should look at it.
    assert [found.suffix for found in spool.folder.iterdir() if found.suffix != ".lock"] == [".damaged"]
    assert (await spool.measure()).set_aside == 1


async def test_what_was_cut_short_without_an_answer_alarms_nobody(
    database: Database, source: Source, spool: Spool
) -> None:
    await spool.keep([[make_signal(source)]])
    await spool.seal()
    (path,) = list_segments(spool.folder)
    path.write_bytes(path.read_bytes() + b"half of the next")
    assert await drain(database, spool.folder) == 1
    assert (await spool.measure()).set_aside == 0


async def test_a_commit_whose_answer_was_lost_is_kept_and_counted_once(
    database: Database, source: Source, spool: Spool
) -> None:
    signal = make_signal(source)
    async with batching(database, Reserve(spool, Outage())) as batcher:
        await batcher.accept([signal])
    await spool.keep([[signal]])
    await spool.seal()
    await drain(database, spool.folder)
    assert await stored_ids(database, source.workspace_id) == [signal.id]


async def test_a_repeated_signal_is_told_from_memory_and_otherwise_suppressed_on_the_way_in(
    database: Database, away: Database, source: Source, spool: Spool
) -> None:
    key, stored_key = uuid4(), uuid4()
    stored = make_signal(source, stored_key)
    async with batching(database, Reserve(spool, Outage())) as batcher:
        await batcher.accept([stored])
    first, again, of_stored = make_signal(source, key), make_signal(source, key), make_signal(source, stored_key)
    async with batching(away, Reserve(spool, Outage())) as batcher:
        assert (await batcher.accept([first]))[0].is_duplicate is False
        (repeated,) = await batcher.accept([again])
        assert (repeated.id, repeated.is_duplicate) == (first.id, True)
        (unknown,) = await batcher.accept([of_stored])
        assert (unknown.id, unknown.is_duplicate) == (of_stored.id, False)
    assert (await spool.measure()).signals == 2
    await spool.seal()
    await drain(database, spool.folder)
    assert await stored_ids(database, source.workspace_id) == [stored.id, first.id]


async def test_a_full_spool_refuses_the_request_whole(source: Source, away: Database, spool: Spool) -> None:
    reserve = Reserve(spool, Outage())
    large = "x" * 600_000
    async with batching(away, reserve) as batcher:
        await batcher.accept([make_signal(source, payload=large)])
        with pytest.raises(UnavailableError) as refused:
            await batcher.accept([make_signal(source), make_signal(source, payload=large)])
    assert (refused.value.code, refused.value.retry_after_seconds) == ("spool_full", 5)
    assert (await spool.measure()).signals == 1


async def test_a_refused_signal_is_not_taken_for_known_when_it_comes_again(
    source: Source, away: Database, spool: Spool
) -> None:
    reserve = Reserve(spool, Outage())
    key = uuid4()
    async with batching(away, reserve) as batcher:
        with pytest.raises(UnavailableError):
            await batcher.accept([make_signal(source, key, payload="x" * (1 << 20))])
        (answer,) = await batcher.accept([make_signal(source, key)])
    assert answer.is_duplicate is False
    assert (await spool.measure()).signals == 1


async def test_a_lost_answer_and_a_restart_change_no_id(
    database: Database, source: Source, spool: Spool, settings: Settings
) -> None:
    key, lost_key = uuid4(), uuid4()
    first, lost = make_signal(source, key), make_signal(source, lost_key)

    class LosesOneAnswer(Spool):
        is_lost = True

        async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> None:
            await super().keep(requests)
            if self.is_lost:
                self.is_lost = False
                raise UnavailableError("The answer was lost.", retry_after_seconds=1)

    reserve = Reserve(LosesOneAnswer(settings.home, 1 << 20), Outage())
    with pytest.raises(UnavailableError):
        await reserve.keep([[lost]])
    ((again,),) = await reserve.keep([[make_signal(source, lost_key)]])
    assert (again.id, again.is_duplicate) == (lost.id, False)
    await reserve.keep([[first]])
    await reserve.place.close()

    restarted = Standby(settings, Database(NOWHERE, Hub(), max_connections=2))
    await restarted.start(_never)
    ((known,),) = await restarted.reserve.keep([[make_signal(source, key)]])
    assert (known.id, known.is_duplicate) == (first.id, True)
    await restarted.stop()
    await drain(database, spool.folder)
    assert await stored_ids(database, source.workspace_id) == [first.id, lost.id]


async def _never() -> None:
    raise UnavailableError("Postgres is away.", retry_after_seconds=1)


async def test_what_postgres_refuses_is_set_aside_and_does_not_hold_up_the_rest(
    database: Database, source: Source, spool: Spool
) -> None:
    good = [make_signal(source) for _ in range(6)]
    await spool.keep([good[:3], [make_signal(source, payload="{not json")], good[3:]])
    await spool.seal()
    await drain(database, spool.folder)
    assert await stored_ids(database, source.workspace_id) == [signal.id for signal in good]
    kept = await spool.measure()
    assert (kept.signals, kept.set_aside) == (0, 1)


async def test_what_breaks_a_rule_or_is_too_deep_is_set_aside_with_its_reason(
    database: Database, source: Source, spool: Spool, urls: Urls
) -> None:
    odd, deep = make_signal(source, payload='{"n": "odd"}'), make_signal(source, payload="[" * 99_999 + "]" * 99_999)
    good = [make_signal(source) for _ in range(4)]
    await spool.keep([good[:2], [odd], [deep], good[2:]])
    await spool.seal()
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        rule = """ADD CONSTRAINT nothing_odd CHECK (payload ->> 'n' <> 'odd') NOT VALID"""
        connection.execute(f"ALTER TABLE app.signal {rule}".encode())
        try:
            await drain(database, spool.folder)
        finally:
            connection.execute("ALTER TABLE app.signal DROP CONSTRAINT nothing_odd")
    assert await stored_ids(database, source.workspace_id) == [signal.id for signal in good]
    assert (await spool.measure()).set_aside == 1
    (path,) = spool.folder.glob("*.refused")
    segment = SealedSegment.find(path)
    assert segment is not None
    (record,) = segment.records()
    segment.close()
    assert decode_request(record) == [odd, deep]
    broken, exhausted = (kept[-1] for kept in msgspec.msgpack.decode(record))
    assert broken.startswith("CheckViolation: new row for relation")
    assert exhausted == "StatementTooComplex: stack depth limit exceeded"


async def test_only_one_process_drains_at_a_time(database: Database, source: Source, spool: Spool, urls: Urls) -> None:
    for _ in range(20):
        await spool.keep([[make_signal(source)]])
        await spool.seal()
    second = Database(urls.application, build_hub(), max_connections=2)
    await second.open()
    counts = await asyncio.gather(drain(database, spool.folder), drain(second, spool.folder))
    await second.close()
    assert sorted(counts) == [0, 20]
    assert await count_signals(database, source.workspace_id) == 20


async def test_a_segment_stays_until_all_of_it_is_committed(source: Source, away: Database, spool: Spool) -> None:
    await spool.keep([[make_signal(source)]])
    await spool.seal()
    with pytest.raises(UnavailableError):
        await drain(away, spool.folder)
    assert (await spool.measure()).signals == 1


async def test_a_known_token_is_taken_without_postgres_also_after_a_restart(
    database: Database, away: Database, source: Source, settings: Settings, workspace_id: UUID
) -> None:
    signed = await make_source(database, workspace_id, "Pipe", "facebook")
    async with database.transaction(workspace_id) as tx:
        await service.set_signing_secret(tx, system_caller(workspace_id), signed.id, "app secret")
    before = Standby(settings, database)
    await before.spool.open()
    await before.book.refresh(database)
    sealed = (before.spool.folder.parent / "sources.sealed").read_bytes()
    for secret in ("app secret", source.token, signed.token, "Pipe"):
        assert secret.encode() not in sealed

    restarted = Standby(settings, away)
    restarted.book.read()
    restarted.outage.begin()
    async with posting(restarted, away) as client:
        taken = await client.post(f"/in/{source.token}", json={"email": "ann@x.example"})
        unsigned = await client.post(f"/in/{signed.token}", json={"entry": []})
        unknown = await client.post("/in/nobody-has-this-token", json={"email": "ann@x.example"})
    assert (taken.status_code, taken.json()["accepted"], taken.json()["duplicates"]) == (202, 1, 0)
    assert unsigned.status_code == 401
    assert (unknown.status_code, unknown.json()["code"]) == (503, "source_not_known_yet")
    assert int(unknown.headers["retry-after"]) >= 1
    await restarted.spool.seal()
    await drain(database, restarted.spool.folder)
    assert await stored_ids(database, workspace_id) == [UUID(taken.json()["ids"][0])]


async def test_a_book_sealed_with_another_secret_or_cut_short_is_as_good_as_none(
    database: Database, source: Source, settings: Settings
) -> None:
    standby = Standby(settings, database)
    await standby.spool.open()
    await standby.book.refresh(database)
    path = settings.home / "sources.sealed"
    for content in (path.read_bytes()[:-1], b""):
        path.write_bytes(content)
        reader = Standby(settings, database)
        reader.book.read()
        assert reader.book.find(source.token) is None


async def test_a_paused_source_stays_paused_without_postgres(
    database: Database, away: Database, source: Source, settings: Settings, workspace_id: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await service.pause_source(tx, system_caller(workspace_id), source.id)
    standby = Standby(settings, database)
    await standby.spool.open()
    await standby.book.refresh(database)
    standby.outage.begin()
    async with posting(standby, away) as client:
        assert (await client.post(f"/in/{source.token}", json={"email": "a@x.example"})).status_code == 404


async def test_the_way_back_is_found_by_itself(
    database: Database, source: Source, settings: Settings, urls: Urls
) -> None:
    standby = Standby(settings, database)
    await standby.start()
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'switchboard_app'")
    standby.outage.begin()
    await standby.reserve.keep([[make_signal(source)]])
    async with asyncio.timeout(20):
        while standby.outage.is_on or (await standby.measure()).signals:  # noqa: ASYNC110 the standby looks by itself
            await asyncio.sleep(0.02)
    assert await count_signals(database, source.workspace_id) == 1
    await standby.stop()


async def test_a_server_that_only_reads_is_as_good_as_away(
    database: Database, source: Source, spool: Spool, settings: Settings, urls: Urls
) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("ALTER ROLE switchboard_app SET default_transaction_read_only = on")
    copy = Database(urls.application, build_hub(), max_connections=2)
    await copy.open()
    try:
        reserve = Reserve(spool, Outage())
        async with batching(copy, reserve) as batcher:
            (answer,) = await batcher.accept([make_signal(source)])
        assert (answer.is_duplicate, reserve.outage.is_on) == (False, True)
        assert await Standby(settings, copy)._takes_writes() is False
    finally:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("ALTER ROLE switchboard_app RESET default_transaction_read_only")
        await copy.close()
    assert (await spool.measure()).signals == 1


async def test_nobody_waits_longer_than_patience_for_a_server_that_says_nothing() -> None:
    with pytest.raises(UnavailableError):
        await patiently(asyncio.sleep(60), 0.01)
    assert await patiently(asyncio.sleep(0, "done"), 5) == "done"
