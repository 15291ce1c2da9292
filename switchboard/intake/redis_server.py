"""One Redis: reaching it with limits, and whether what it acknowledges outlives its process."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from switchboard.kernel.errors import UnavailableError

TIMEOUT_SECONDS = 2.0
RETRY_AFTER_SECONDS = 2
# The first version that can be asked to wait until a write is on its disk.
_WAITS_SINCE = (7, 2)
_VERSION = re.compile(r"(\d+)\.(\d+)(\.\d+)*")


def connect(url: str, *, is_reader: bool = False) -> Redis:
    """A client that connects when it is used. A reader's replies may take as long as it chooses to wait for them."""
    return Redis.from_url(
        url,
        socket_timeout=None if is_reader else TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # Whoever waits here knows better when to try again.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


@asynccontextmanager
async def reached() -> AsyncIterator[None]:
    """Errors of the network and of the server become UnavailableError."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise UnavailableError(
            f"Redis cannot keep anything at the moment ({type(error).__name__}).",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        ) from error


@dataclass(frozen=True, slots=True)
class Durability:
    """How a Redis keeps what it acknowledges.

    What it may not be asked, or says nothing of, is empty; `is_logged` is None then. `fsync` is its `appendfsync`.
    """

    version: str
    is_logged: bool | None
    fsync: str
    eviction: str

    @property
    def can_wait(self) -> bool:
        """Whether a write can be waited for until it is on the disk; not where that is unknown."""
        version = _VERSION.fullmatch(self.version)
        return bool(self.is_logged and version and (int(version[1]), int(version[2])) >= _WAITS_SINCE)

    @property
    def must_wait(self) -> bool:
        """Whether an acknowledgement means less than the disk, and can be made to mean it."""
        return self.can_wait and self.fsync != "always"

    @property
    def weakness(self) -> str:
        """When acknowledged signals would be lost, and how to mend it; empty when they would not."""
        if self.is_logged is None:
            return (
                "Redis cannot be asked whether it keeps signals on its disk: let its user call INFO (`+info`), or see "
                "to it that `appendonly yes` and `appendfsync always` are set."
            )
        if not self.is_logged:
            return "Redis keeps nothing on its disk, so a restart loses signals: set `appendonly yes`."
        if self.fsync != "always" and not self.can_wait:
            found = f"is {self.fsync}" if self.fsync else "cannot be asked"
            return f"Redis may lose the last second when it stops: `appendfsync` {found}; set `appendfsync always`."
        if self.eviction not in {"noeviction", ""}:
            return f"Redis may drop signals when it is full: `maxmemory-policy` is {self.eviction}; set `noeviction`."
        return ""


async def inspect(client: Redis) -> Durability:
    """Ask the server how durable it is; raises UnavailableError."""
    async with reached():
        server = await _find_info(client, "server")
        persistence = await _find_info(client, "persistence")
        return Durability(
            version=str(server.get("redis_version", "")),
            is_logged=bool(persistence["aof_enabled"]) if "aof_enabled" in persistence else None,
            fsync=await _find_setting(client, "appendfsync"),
            eviction=await _find_setting(client, "maxmemory-policy"),
        )


async def _find_info(client: Redis, section: str) -> Mapping[str, Any]:
    try:
        found: dict[str, Any] = await client.info(section)
    except ResponseError:
        # Its user may do what intake does, and not call INFO: it keeps signals all the same.
        return {}
    return found


async def _find_setting(client: Redis, name: str) -> str:
    try:
        found: dict[Any, Any] = await client.config_get(name)
    except ResponseError:
        # Many who rent out a Redis do not let it be asked.
        return ""
    return str(found.get(name, ""))
