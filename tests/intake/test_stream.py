"""Signals kept in Redis: all or none, brought in once by whichever consumer lives, forgotten only after the commit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import stream_loop
from switchboard.intake.errors import SpoolFullError
from switchboard.intake.kept_signals import encode_request
from switchboard.intake.models import Source
from switchboard.intake.outage import Outage
from switchboard.intake.redis_server import Durability, connect, inspect
from switchboard.intake.reserve import Reserve
from switchboard.intake.stream import GROUP, STREAM, SignalStream
from switchboard.intake.stream_loop import StreamLoop
from switchboard.intake.wiring import build_loops
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.settings import load_settings
from tests.conftest import Urls
from tests.intake.conftest import count_signals, recognise_all
from tests.intake.test_standby import NOWHERE, batching, make_signal, stored_ids
from tests.redis_server import RedisServer, redis_server

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def redis(redis_process: RedisServer) -> AsyncIterator[Redis]:
    """An empty Redis, as an administrator sees it."""
    client = connect(redis_process.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def stream(redis: Redis, redis_process: RedisServer) -> AsyncIterator[SignalStream]:
    stream = SignalStream(redis_process.url, MEGABYTE)
    yield stream
    await stream.close()


@pytest.fixture
async def loop(
    redis: Redis, database: Database, redis_process: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StreamLoop]:
    monkeypatch.setattr(stream_loop, "BLOCK_MILLISECONDS", 20)
    loop = StreamLoop(database, redis_process.url)
    yield loop
    await loop.close()


async def bring_all_in(loop: StreamLoop) -> int:
    """Tick until nothing comes any more."""
    handled = 0
    while tick := (await loop.tick()).handled:
        handled += tick
    return handled


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(STREAM, GROUP))["pending"])


async def test_kept_signals_come_in_in_order_and_are_forgotten_after_the_commit(
    database: Database, redis: Redis, stream: SignalStream, loop: StreamLoop, source: Source
) -> None:
    signals = [make_signal(source) for _ in range(7)]
    await stream.keep([signals[:3], signals[3:4]])
    await stream.keep([signals[4:]])
    kept = await stream.measure()
    assert (kept.where, kept.signals, kept.error, kept.warning) == ("redis", 7, "", "")
    assert kept.bytes == len(encode_request(signals[:4])) + len(encode_request(signals[4:]))
    assert kept.oldest_seconds is not None
    assert await bring_all_in(loop) == 7
    assert await stored_ids(database, source.workspace_id) == [signal.id for signal in signals]
    assert (await redis.xlen(STREAM), await pending(redis), (await stream.measure()).bytes) == (0, 0, 0)
    assert await recognise_all(database) == 7


async def test_what_was_committed_and_not_forgotten_comes_in_once(
    *,
    database: Database,
    redis: Redis,
    redis_process: RedisServer,
    stream: SignalStream,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_loop, "BLOCK_MILLISECONDS", 20)
    monkeypatch.setattr(stream_loop, "ABANDONED_MILLISECONDS", 0)
    await stream.keep([[make_signal(source) for _ in range(4)]])
    killed, alive = StreamLoop(database, redis_process.url), StreamLoop(database, redis_process.url)

    async def die(*_: object) -> None:
        raise UnavailableError("killed between the commit and the end", retry_after_seconds=1)

    monkeypatch.setattr(stream_loop, "remove", die)
    with pytest.raises(UnavailableError):
        await killed.tick()
    monkeypatch.undo()
    monkeypatch.setattr(stream_loop, "BLOCK_MILLISECONDS", 20)
    monkeypatch.setattr(stream_loop, "ABANDONED_MILLISECONDS", 0)
    assert await count_signals(database, source.workspace_id) == 4
    assert await pending(redis) == 1
    # Another consumer takes over what the dead one was given; a late removal by the first changes no figure.
    assert await bring_all_in(alive) == 4
    assert await killed.tick() is not None
    assert await count_signals(database, source.workspace_id) == 4
    assert (await redis.xlen(STREAM), await pending(redis), (await stream.measure()).signals) == (0, 0, 0)
    for each in (killed, alive):
        await each.close()


async def test_nothing_is_forgotten_while_postgres_is_away(
    *,
    redis: Redis,
    redis_process: RedisServer,
    stream: SignalStream,
    database: Database,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_loop, "BLOCK_MILLISECONDS", 20)
    signals = [make_signal(source) for _ in range(3)]
    loop = StreamLoop(Database(NOWHERE, build_hub(), max_connections=2), redis_process.url)
    for signal in signals:
        await stream.keep([[signal]])
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await loop.tick()
    assert (await redis.xlen(STREAM), await pending(redis)) == (3, 3)
    loop._database = database
    assert await bring_all_in(loop) == 3
    assert await stored_ids(database, source.workspace_id) == [signal.id for signal in signals]
    await loop.close()


async def test_two_consumers_share_the_work_and_bring_each_in_once(
    *,
    database: Database,
    urls: Urls,
    redis_process: RedisServer,
    stream: SignalStream,
    loop: StreamLoop,
    source: Source,
) -> None:
    second = Database(urls.application, build_hub(), max_connections=2)
    await second.open()
    other = StreamLoop(second, redis_process.url)
    signals = [make_signal(source) for _ in range(300)]
    for signal in signals:
        await stream.keep([[signal]])
    handled = await asyncio.gather(bring_all_in(loop), bring_all_in(other))
    await other.close()
    await second.close()
    assert sum(handled) == 300
    assert await stored_ids(database, source.workspace_id) == [signal.id for signal in signals]


async def test_what_postgres_refuses_and_what_nobody_can_read_is_set_aside(
    database: Database, redis: Redis, stream: SignalStream, loop: StreamLoop, source: Source
) -> None:
    good = make_signal(source)
    await stream.keep([[make_signal(source, payload="{not json"), good]])
    await redis.xadd(STREAM, {"content": b"\xff", "signals": 1})
    await bring_all_in(loop)
    assert await stored_ids(database, source.workspace_id) == [good.id]
    kept = await stream.measure()
    assert (kept.signals, kept.set_aside, await redis.xlen(STREAM)) == (0, 2, 0)


async def test_there_is_no_more_than_room_for(stream: SignalStream, loop: StreamLoop, source: Source) -> None:
    large = make_signal(source, payload='"' + "x" * 600_000 + '"')
    await stream.keep([[large]])
    with pytest.raises(SpoolFullError):
        await stream.keep([[make_signal(source), make_signal(source, payload=large.payload)]])
    assert (await stream.measure()).signals == 1
    await bring_all_in(loop)
    await stream.keep([[make_signal(source, payload=large.payload)]])


async def test_a_redis_without_memory_refuses_whole(redis: Redis, stream: SignalStream, source: Source) -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(UnavailableError):
            await stream.keep([[make_signal(source), make_signal(source)]])
    finally:
        await redis.config_set("maxmemory", "0")
    assert (await redis.xlen(STREAM), (await stream.measure()).signals) == (0, 0)


async def test_an_emptied_redis_gets_its_group_again(
    database: Database, redis: Redis, stream: SignalStream, loop: StreamLoop, source: Source
) -> None:
    await loop.tick()
    await redis.flushall()
    with pytest.raises(UnavailableError):
        await loop.tick()
    await stream.keep([[make_signal(source)]])
    assert await bring_all_in(loop) == 1
    assert await count_signals(database, source.workspace_id) == 1


async def test_always_means_through_redis_and_without_redis_straight_to_postgres(
    database: Database, redis: Redis, redis_process: RedisServer, stream: SignalStream, source: Source
) -> None:
    reserve = Reserve(stream, Outage(), is_first=True)
    async with batching(database, reserve) as batcher:
        (kept,) = await batcher.accept([make_signal(source)])
        assert (await count_signals(database, source.workspace_id), await redis.xlen(STREAM)) == (0, 1)
        redis_process.stop()
        try:
            (stored,) = await batcher.accept([make_signal(source)])
        finally:
            redis_process.start()
    assert await stored_ids(database, source.workspace_id) == [stored.id]
    assert kept.is_duplicate is False
    assert reserve.outage.is_on is False
    # It wrote down what it had acknowledged.
    assert await redis.xlen(STREAM) == 1


async def test_without_either_everything_is_refused(redis: Redis, redis_process: RedisServer, source: Source) -> None:
    stream = SignalStream(redis_process.url, MEGABYTE)
    redis_process.stop()
    try:
        async with batching(Database(NOWHERE, build_hub(), max_connections=2), Reserve(stream, Outage())) as batcher:
            with pytest.raises(UnavailableError) as refused:
                await batcher.accept([make_signal(source)])
            assert refused.value.retry_after_seconds >= 1
        assert (await stream.measure()).error.startswith("Redis cannot keep anything at the moment")
    finally:
        redis_process.start()
        await stream.close()
    assert await redis.xlen(STREAM) == 0


async def test_a_redis_that_forgets_is_said_to_forget(tmp_path: Path) -> None:
    settings = ("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru")
    with redis_server(tmp_path, *settings) as server:
        client = connect(server.url)
        found = await inspect(client)
        assert (found.is_logged, found.fsync, found.can_wait) == (True, "everysec", found.version >= "7.2")
        await client.config_set("appendonly", "no")
        assert "set `appendonly yes`" in (await inspect(client)).weakness
        await client.aclose()
        stream = SignalStream(server.url, MEGABYTE)
        assert "set `appendonly yes`" in (await stream.measure()).warning
        await stream.close()


async def test_a_redis_whose_user_may_not_ask_keeps_signals_and_is_warned_of(
    database: Database, redis: Redis, redis_process: RedisServer, loop: StreamLoop, source: Source
) -> None:
    user = "intake"
    await redis.acl_setuser(
        user, enabled=True, passwords=["+modest"], categories=["+@all", "-@dangerous"], keys=["*"], channels=["*"]
    )
    stream = SignalStream(redis_process.url.replace("://", f"://{user}:modest@"), MEGABYTE)
    try:
        await stream.keep([[make_signal(source)]])
        kept = await stream.measure()
    finally:
        await stream.close()
        await redis.acl_deluser(user)
    assert (kept.signals, kept.error) == (1, "")
    assert kept.warning.startswith("Redis cannot be asked whether it keeps signals on its disk")
    assert await bring_all_in(loop) == 1
    assert await count_signals(database, source.workspace_id) == 1


async def test_an_info_that_leaves_things_out_makes_nothing_fail(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_little(*_: object) -> dict[str, object]:
        return {"redis_mode": "standalone"}

    monkeypatch.setattr(redis, "info", say_little)
    found = await inspect(redis)
    assert (found.version, found.is_logged, found.fsync, found.must_wait) == ("", None, "always", False)


@pytest.mark.parametrize(
    ("durability", "must_wait", "weakness"),
    [
        (Durability("7.0.15", True, "always", "noeviction"), False, ""),
        (Durability("7.0.15", True, "everysec", "noeviction"), False, "`appendfsync` is everysec"),
        (Durability("7.0.15", True, "", ""), False, "`appendfsync` cannot be asked"),
        (Durability("7.2.0", True, "everysec", "noeviction"), True, ""),
        (Durability("10.0.1", True, "", ""), True, ""),
        (Durability("7.4.1", True, "always", "volatile-lru"), False, "`maxmemory-policy` is volatile-lru"),
        (Durability("7.4.1", False, "always", "noeviction"), False, "set `appendonly yes`"),
        (Durability("", None, "", ""), False, "cannot be asked whether it keeps signals on its disk"),
        (Durability("7.4.1", None, "everysec", ""), False, "cannot be asked whether it keeps signals on its disk"),
        (Durability("7.2-rc1", True, "everysec", "noeviction"), False, "`appendfsync` is everysec"),
        (Durability("7.2-rc1", True, "always", "noeviction"), False, ""),
        (Durability("unknown", True, "", ""), False, "`appendfsync` cannot be asked"),
    ],
)
def test_how_durable_a_redis_is(durability: Durability, must_wait: bool, weakness: str) -> None:
    assert durability.must_wait == must_wait
    assert weakness in durability.weakness
    assert bool(weakness) == bool(durability.weakness)


async def test_only_those_with_a_redis_have_a_queue_for_it(database: Database, redis_process: RedisServer) -> None:
    def names(**settings: str) -> list[str]:
        return [loop.name for loop in build_loops(load_settings(settings), database)]

    assert names() == []
    assert names(REDIS_URL=redis_process.url) == ["stream"]
