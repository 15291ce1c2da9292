"""The workers' side of the stream: read, commit in Postgres, and only then forget."""

import os
import socket
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from switchboard.intake.batcher import MOST_ROWS
from switchboard.intake.bringing_in import bring_in
from switchboard.intake.kept_signals import decode_request, encode_refused
from switchboard.intake.models import NewSignal
from switchboard.intake.redis_server import connect, reached
from switchboard.intake.stream import GROUP, STREAM, Entry, remove, set_aside
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import Tick

NAME = "stream"
MOST_ENTRIES = 100
BLOCK_MILLISECONDS = 1_000
# Much longer than a commit takes: who holds an entry for as long is dead, or as good as dead.
ABANDONED_MILLISECONDS = 30_000
LOOK_SECONDS = 5.0
FORGET_CONSUMER_MILLISECONDS = 3_600_000

log = structlog.get_logger()


class StreamLoop:
    """One consumer of the group. What it was given and did not finish, it is given again, and after it another."""

    name = NAME

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._client: Redis = connect(url, is_reader=True)
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{new_id().hex[-8:]}"
        self._has_group = False
        self._has_unfinished = False
        self._looked_at = 0.0

    async def tick(self) -> Tick:
        """Bring in a batch; waits up to a second for one. Raises UnavailableError when either store is away."""
        async with reached():
            await self._ensure_group()
            entries = await self._read()
        handled = 0
        for batch in _batches(entries):
            handled += await self._bring_in(batch)
        self._has_unfinished = False
        # The next reading waits by itself.
        return Tick(handled, has_more=True)

    async def close(self) -> None:
        """Leave the group, unless something is unfinished: another consumer takes that up."""
        if self._has_group and not self._has_unfinished:
            async with reached():
                await self._client.xgroup_delconsumer(STREAM, GROUP, self._consumer)
        await self._client.aclose()

    async def _ensure_group(self) -> None:
        if self._has_group:
            return
        try:
            await self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_group = True

    async def _read(self) -> list[Entry]:
        if self._has_unfinished:
            return await self._read_from("0", block=None)
        now = monotonic_seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            abandoned = await self._take_over()
            if abandoned:
                return abandoned
        return await self._read_from(">", block=BLOCK_MILLISECONDS)

    async def _read_from(self, position: str, *, block: int | None) -> list[Entry]:
        try:
            found: Any = await self._client.xreadgroup(
                GROUP, self._consumer, {STREAM: position}, count=MOST_ENTRIES, block=block
            )
        except ResponseError:
            # A Redis that was emptied has no group any more: it is made again the next time.
            self._has_group = False
            raise
        entries = [Entry.from_redis(entry) for _, given in found or () for entry in given]
        self._has_unfinished = bool(entries)
        return entries

    async def _take_over(self) -> list[Entry]:
        for consumer in await self._client.xinfo_consumers(STREAM, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > FORGET_CONSUMER_MILLISECONDS:
                await self._client.xgroup_delconsumer(STREAM, GROUP, consumer["name"])
        found: Any = await self._client.xautoclaim(
            STREAM, GROUP, self._consumer, ABANDONED_MILLISECONDS, count=MOST_ENTRIES
        )
        entries = [Entry.from_redis(entry) for entry in found[1]]
        if entries:
            log.warning("intake.stream_taken_over", entries=len(entries))
            self._has_unfinished = True
        return entries

    async def _bring_in(self, entries: Sequence[Entry]) -> int:
        signals: list[NewSignal] = []
        unreadable: list[Entry] = []
        for entry in entries:
            try:
                signals += decode_request(entry.content) if entry.content else []
            except msgspec.DecodeError:
                unreadable.append(entry)
        refused = await bring_in(self._database, signals) if signals else []
        async with reached():
            for entry in unreadable:
                log.error("intake.stream_entry_unreadable", entry=entry.id)
                await set_aside(self._client, entry.content)
            if refused:
                await set_aside(self._client, encode_refused(refused))
            for entry in entries:
                await remove(self._client, entry)
        return len(signals)


def _batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in order, in groups of at most `MOST_ROWS` signals unless one entry has more."""
    batches: list[list[Entry]] = []
    rows = MOST_ROWS
    for entry in entries:
        if rows + entry.signals > MOST_ROWS:
            batches.append([])
            rows = 0
        batches[-1].append(entry)
        rows += entry.signals
    return batches
