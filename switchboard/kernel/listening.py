"""Connections that hear notices, and wait for them nearly all the time."""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo

from switchboard.kernel.db import CONNECT_TIMEOUT_SECONDS, NETWORK_PATIENCE, OPTIONS

Outcome = TypeVar("Outcome")

# The driver stops waiting so often to see whether the process was interrupted. A task that is cancelled is told.
LOOK_UP_SECONDS = 60.0


class ListeningConnection(psycopg.AsyncConnection[Any]):
    """A connection that sleeps until its server says something, where others of its kind wake ten times a second."""

    async def wait(
        self,
        gen: PQGen[Outcome],
        interval: float = LOOK_UP_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 the driver's own parameter
    ) -> Outcome:
        """As the driver does, but waking seldom."""
        return await super().wait(gen, interval, timeout)


async def connect_to_listen(url: str) -> ListeningConnection:
    """A connection beside the pool that hears notices; it ends when its server is out of reach for a while."""
    address = make_conninfo(url, connect_timeout=CONNECT_TIMEOUT_SECONDS, **NETWORK_PATIENCE)
    # gate: transaction a listener has none: it must hear while nothing is begun
    return await ListeningConnection.connect(address, autocommit=True, options=OPTIONS)
