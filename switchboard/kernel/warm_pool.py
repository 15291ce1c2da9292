"""The pool of a process: whoever asks gets the connection that was used last.

A backend that has looked up nothing yet takes several times as long for its first dozens of statements as for later
ones. In the order of the driver's pool each connection that a busy moment has brought is used as often as all others,
and every one of them has to get warm.
"""

from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

Connection = psycopg.AsyncConnection[Any]


class WarmPool(AsyncConnectionPool[Connection]):
    """Takes from where it puts; new ones stand behind, and one that is let go has rested longest."""

    async def _return_connection(self, conn: Connection, from_getconn: bool) -> None:
        await super()._return_connection(conn, from_getconn)
        if self._pool and self._pool[-1] is conn:
            self._pool.rotate(1)

    async def _shrink_pool(self) -> None:
        # The driver takes from the left what it lets go, too, if anything.
        self._pool.rotate(1)
        rested = self._pool[0] if self._pool else None
        await super()._shrink_pool()
        if self._pool and self._pool[0] is rested:
            self._pool.rotate(-1)
