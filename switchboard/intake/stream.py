"""Keeping signals in a Redis Stream, which all web processes write to and all workers read from.

An entry is what one batch held, and it is removed only after the commit in Postgres: the stream is never trimmed. How
much is in it stands beside it, changed in the same step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from redis.asyncio import Redis

from switchboard.intake.errors import SpoolFullError
from switchboard.intake.kept_signals import encode_request
from switchboard.intake.models import NewSignal
from switchboard.intake.redis_server import RETRY_AFTER_SECONDS, Durability, connect, inspect, reached
from switchboard.intake.reserve import Kept
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.errors import UnavailableError

# One hash slot, so that a cluster keeps them together.
STREAM, FIGURES, REFUSED = "{switchboard}:intake", "{switchboard}:intake:figures", "{switchboard}:intake:refused"
GROUP = "workers"
_CONTENT, _SIGNALS = "content", "signals"
AWAY_SECONDS = 1.0
_WAIT_MILLISECONDS = 1_900

_ADD = """
local room = tonumber(ARGV[4]) - tonumber(redis.call('HGET', KEYS[2], 'bytes') or '0')
if tonumber(ARGV[3]) > room then return 0 end
redis.call('XADD', KEYS[1], '*', 'content', ARGV[1], 'signals', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'signals', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'bytes', ARGV[3])
return 1
"""

_REMOVE = """
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if redis.call('XDEL', KEYS[1], ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[2], 'signals', -tonumber(ARGV[3]))
    redis.call('HINCRBY', KEYS[2], 'bytes', -tonumber(ARGV[4]))
end
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return 1
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream: its id there, and what one batch held. An entry that is gone has no content."""

    id: str
    content: bytes
    signals: int

    @classmethod
    def from_redis(cls, entry: tuple[bytes, Mapping[bytes, bytes] | None]) -> "Entry":
        """The entry as the client hands it over."""
        values = entry[1] or {}
        content, signals = values.get(_CONTENT.encode(), b""), values.get(_SIGNALS.encode(), b"0")
        return cls(entry[0].decode(), content, int(signals))


class SignalStream:
    """The producers' side."""

    def __init__(self, url: str, most_bytes: int) -> None:
        self._client: Redis = connect(url)
        self._most_bytes = most_bytes
        self._away_until = 0.0
        self._durability: Durability | None = None

    @property
    def is_away(self) -> bool:
        """Whether it has failed a moment ago."""
        return monotonic_seconds() < self._away_until

    async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> None:
        """Add the requests as one entry, which is there whole or not at all; raises UnavailableError for not."""
        if self.is_away:
            raise UnavailableError("Redis was away a moment ago.", retry_after_seconds=RETRY_AFTER_SECONDS)
        signals = [signal for request in requests for signal in request]
        try:
            is_added = await self._add(encode_request(signals), len(signals))
        except UnavailableError:
            self._away_until = monotonic_seconds() + AWAY_SECONDS
            self._durability = None
            raise
        if not is_added:
            raise SpoolFullError

    async def measure(self) -> Kept:
        """What is in the stream; `error` is set when it cannot be reached."""
        try:
            async with reached():
                durability = await self._inspected()
                figures: list[Any] = await self._client.hmget(FIGURES, ["signals", "bytes"])
                oldest: Any = await self._client.xrange(STREAM, count=1)
                set_aside = int(await self._client.xlen(REFUSED))
        except UnavailableError as error:
            return Kept("redis", most_bytes=self._most_bytes, error=error.message)
        age = _age_seconds(Entry.from_redis(oldest[0]).id) if oldest else None
        signals, size = (int(figure or 0) for figure in figures)
        return Kept("redis", signals, size, self._most_bytes, age, set_aside, warning=durability.weakness)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _add(self, content: bytes, signals: int) -> bool:
        durability = await self._inspected()
        async with reached(), self._client.pipeline(transaction=False) as commands:
            commands.eval(_ADD, 2, STREAM, FIGURES, content, signals, len(content), self._most_bytes)
            if durability.must_wait:
                commands.execute_command("WAITAOF", 1, 0, _WAIT_MILLISECONDS)
            answers: list[Any] = await commands.execute()
        if answers[0] == 1 and durability.must_wait and int(answers[1][0]) < 1:
            raise UnavailableError("Redis did not write in time.", retry_after_seconds=RETRY_AFTER_SECONDS)
        return bool(answers[0] == 1)

    async def _inspected(self) -> Durability:
        if self._durability is None:
            self._durability = await inspect(self._client)
            if self._durability.weakness:
                log.warning("intake.redis_may_lose_signals", reason=self._durability.weakness)
        return self._durability


async def remove(client: Redis, entry: Entry) -> None:
    """It is in Postgres, or set aside: forget it, and what it counted for, once."""
    await client.eval(_REMOVE, 2, STREAM, FIGURES, GROUP, entry.id, entry.signals, len(entry.content))


async def set_aside(client: Redis, content: bytes) -> None:
    """Keep what cannot be brought in, for a person to look at."""
    await client.xadd(REFUSED, {_CONTENT: content})


def _age_seconds(entry_id: str) -> float:
    # Entries are named by the clock of Redis' machine: where the two differ, the age is off by as much.
    now = datetime.now(UTC)  # gate: clock compared to another machine's
    return max(0.0, now.timestamp() - int(entry_id.partition("-")[0]) / 1_000)
