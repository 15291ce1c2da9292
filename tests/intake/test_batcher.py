"""Group commit: many requests, few commits, one answer each; the same signal at two processes is one."""

import asyncio
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from switchboard.accounts import service as accounts
from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import repository
from switchboard.intake.batcher import WORTH_A_COMMIT_AT_ONCE, WORTH_A_SECOND_COMMIT, Batcher
from switchboard.intake.errors import IntakeFullError
from switchboard.intake.models import Accepted, NewSignal, Source
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.errors import InvalidError, UnavailableError
from switchboard.kernel.ids import new_id
from tests.conftest import Urls, move_clock
from tests.intake.conftest import count_signals, make_source


def _signal(source: Source, key: UUID | None = None, payload: str = "{}") -> NewSignal:
    return NewSignal(new_id(), source.workspace_id, source.id, key or uuid4(), 60, payload)


async def test_the_same_signal_fifty_times_at_two_processes_is_one(
    database: Database, source: Source, urls: Urls
) -> None:
    second = Database(urls.application, build_hub(), max_connections=4)
    await second.open()
    batchers = [Batcher(database, most_waiting=100), Batcher(second, most_waiting=100)]
    for batcher in batchers:
        batcher.start()
    key = uuid4()
    answers = await asyncio.gather(*(batchers[number % 2].accept([_signal(source, key)]) for number in range(50)))
    for batcher in batchers:
        await batcher.stop()
    await second.close()
    assert [answer.is_duplicate for (answer,) in answers].count(False) == 1
    assert len({answer.id for (answer,) in answers}) == 1
    assert await count_signals(database, source.workspace_id) == 1


async def test_a_few_wait_for_the_commit_under_way_and_many_do_not(database: Database, source: Source) -> None:
    key, batcher = uuid4(), Batcher(database, most_waiting=1_000)
    batcher.start()
    async with database.transaction(source.workspace_id) as tx:
        # Whoever sends the same meanwhile has to wait for this transaction, and a commit is under way that long.
        await repository.insert_signals(tx, [_signal(source, key)])
        held = asyncio.create_task(batcher.accept([_signal(source, key)]))
        await asyncio.wait([held], timeout=0.1)
        few = asyncio.create_task(batcher.accept([_signal(source)]))
        await asyncio.wait([few], timeout=0.1)
        assert not few.done()
        many = batcher.accept([_signal(source) for _ in range(WORTH_A_SECOND_COMMIT)])
        await asyncio.wait_for(asyncio.gather(many, few), 5)
        assert not held.done()
    (answer,) = await asyncio.wait_for(held, 5)
    assert answer.is_duplicate
    await batcher.stop()
    assert await count_signals(database, source.workspace_id) == WORTH_A_SECOND_COMMIT + 2


async def test_a_lone_signal_waits_for_nobody_and_those_close_behind_it_share_a_commit(
    database: Database, source: Source
) -> None:
    batcher = Batcher(database, most_waiting=100, apart_seconds=1.0)
    with recorded_queries() as statements:
        batcher.start()
    await batcher.accept([_signal(source)])
    assert len(statements) == 1
    second = asyncio.create_task(batcher.accept([_signal(source)]))
    await asyncio.wait([second], timeout=0.05)
    assert not second.done()
    await batcher.accept([_signal(source)])
    await second
    assert len(statements) == 2
    await batcher.stop()
    assert await count_signals(database, source.workspace_id) == 3


async def test_those_who_are_many_wait_for_nobody(database: Database, source: Source) -> None:
    batcher = Batcher(database, most_waiting=100, apart_seconds=60.0)
    batcher.start()
    await batcher.accept([_signal(source)])
    answers = await asyncio.wait_for(batcher.accept([_signal(source) for _ in range(WORTH_A_COMMIT_AT_ONCE)]), 30)
    assert len(answers) == WORTH_A_COMMIT_AT_ONCE
    await batcher.stop()


async def test_crossing_batches_of_two_processes_do_not_block_each_other(
    database: Database, source: Source, urls: Urls
) -> None:
    second = Database(urls.application, build_hub(), max_connections=4)
    await second.open()
    batchers = [Batcher(database, most_waiting=10_000), Batcher(second, most_waiting=10_000)]
    keys = [uuid4() for _ in range(200)]
    for batcher in batchers:
        batcher.start()
    forth, back = await asyncio.gather(
        batchers[0].accept([_signal(source, key) for key in keys]),
        batchers[1].accept([_signal(source, key) for key in reversed(keys)]),
    )
    for batcher in batchers:
        await batcher.stop()
    await second.close()
    assert sum(not answer.is_duplicate for answer in [*forth, *back]) == 200
    assert [answer.id for answer in forth] == [answer.id for answer in reversed(back)]


async def test_a_key_is_free_again_after_its_window(database: Database, source: Source, urls: Urls) -> None:
    batcher = Batcher(database, most_waiting=10)
    batcher.start()
    key = uuid4()
    (first,) = await batcher.accept([_signal(source, key)])
    await move_clock(urls, "59 seconds")
    (within,) = await batcher.accept([_signal(source, key)])
    await move_clock(urls, "61 seconds")
    (after,) = await batcher.accept([_signal(source, key)])
    await batcher.stop()
    assert (within.is_duplicate, within.id) == (True, first.id)
    assert (after.is_duplicate, after.id == first.id) == (False, False)


async def test_one_payload_that_cannot_be_stored_does_not_harm_its_batch(database: Database, source: Source) -> None:
    batcher = Batcher(database, most_waiting=10)
    waiting = [
        asyncio.create_task(batcher.accept([_signal(source, payload=payload)])) for payload in ("{}", "{not json", "[]")
    ]
    await asyncio.sleep(0)
    batcher.start()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    await batcher.stop()
    assert [isinstance(answer, InvalidError) for answer in answers] == [False, True, False]
    assert await count_signals(database, source.workspace_id) == 2


async def test_a_commit_that_postgres_refuses_is_told_to_everybody_who_waits(
    database: Database, source: Source, urls: Urls
) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("ALTER TABLE app.signal_due ADD CONSTRAINT refused CHECK (attempts < 0) NOT VALID")
    batcher = Batcher(database, most_waiting=10)
    batcher.start()
    try:
        with pytest.raises(UnavailableError):
            await batcher.accept([_signal(source)])
    finally:
        await batcher.stop()
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("ALTER TABLE app.signal_due DROP CONSTRAINT refused")
    assert await count_signals(database, source.workspace_id) == 0


async def test_stopping_commits_what_waits_and_refuses_what_comes_later(database: Database, source: Source) -> None:
    batcher = Batcher(database, most_waiting=10)
    waiting = asyncio.create_task(batcher.accept([_signal(source)]))
    await asyncio.sleep(0)
    batcher.start()
    await batcher.stop()
    assert (await waiting)[0].is_duplicate is False
    with pytest.raises(IntakeFullError):
        await batcher.accept([_signal(source)])
    assert await count_signals(database, source.workspace_id) == 1


async def test_a_signal_whose_commit_is_tried_again_is_not_its_own_duplicate(
    database: Database, source: Source
) -> None:
    batcher = Batcher(database, most_waiting=10)
    batcher.start()
    signal = _signal(source)
    tries = [await batcher.accept([signal]) for _ in range(2)]
    (other,) = await batcher.accept([_signal(source, signal.key)])
    await batcher.stop()
    assert tries == [[Accepted(signal.id, False)]] * 2
    assert other == Accepted(signal.id, True)
    assert await count_signals(database, source.workspace_id) == 1


async def test_connections_that_were_lost_meanwhile_are_not_noticed(
    database: Database, source: Source, urls: Urls
) -> None:
    batcher = Batcher(database, most_waiting=10)
    batcher.start()
    await asyncio.gather(*(count_signals(database, source.workspace_id) for _ in range(4)))
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()
    (answer,) = await batcher.accept([_signal(source)])
    await batcher.stop()
    assert (len(ended) > 0, answer.is_duplicate) == (True, False)
    assert await count_signals(database, source.workspace_id) == 1


async def test_one_batch_holds_signals_of_several_workspaces_sources_and_windows(
    database: Database, source: Source
) -> None:
    async with database.directory() as tx:
        stranger_id = await accounts.create_workspace(
            tx, name="Other", time_zone="UTC", default_region="US", mail_domain="other.localhost"
        )
    second, third = await make_source(database, source.workspace_id, "Second"), await make_source(database, stranger_id)
    signals = [
        _signal(source),
        _signal(second),
        _signal(third),
        msgspec.structs.replace(_signal(source), window_seconds=9),
    ]
    for batch in (signals, signals[:2] + signals[3:]):
        batcher = Batcher(database, most_waiting=10)
        waiting = [asyncio.create_task(batcher.accept([signal])) for signal in batch]
        await asyncio.sleep(0)
        batcher.start()
        answers = await asyncio.gather(*waiting)
        await batcher.stop()
        assert [answer for (answer,) in answers] == [Accepted(signal.id, False) for signal in batch]
    async with database.transaction(source.workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT s.source_id, extract(epoch FROM k.expires_at - s.received_at)::int"
            " FROM app.signal s JOIN app.signal_key k ON k.signal_id = s.id ORDER BY s.id"
        )
    assert rows == [(source.id, 60), (second.id, 60), (source.id, 9)]
    assert await count_signals(database, stranger_id) == 1
