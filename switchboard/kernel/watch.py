"""The watch: one look a second over all queues of a process, on the connection that hears what wakes them.

Notices say at once what is new. What becomes due by itself, and what came while nobody listened, a look finds. A look
of each loop by itself is a transaction of several statements on whichever connection is free; this is one statement,
planned once, about all loops that wait.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol, runtime_checkable

import psycopg

from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Connection, Database
from switchboard.kernel.listening import connect_to_listen

LOOK_PAUSE_SECONDS = 1.0
# Where entries of rows that are gone cannot be cleared away, looks are dear: they take a tenth of the time at most.
LOOK_COST = 10.0
LONGEST_LOOK_PAUSE_SECONDS = 5.0
LOOK_TIMEOUT_SECONDS = 10.0
# A database that is away comes back for everybody at once: whoever waits for it looks often.
AWAY_PAUSE_SECONDS = 1.0

# The tables are nearly always empty, and then Postgres would rather read them whole: the plan is kept, and must be
# right on the day when they are full of what cannot be cleared away.
PLANNING = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off"


@runtime_checkable
class Watched(Protocol):
    """A loop that has nothing to do unless rows are due, so that it need not look while the watch is kept."""

    @property
    def due(self) -> str:
        """A condition in SQL: whether anything is due in any workspace, by an index."""
        ...


class Watch:
    """Wakes the loops of one process: by the notices on `channel`, and by a look at what is due.

    `due` has each watched queue's condition, `waken` is called with the name of a queue, and `idle` gives those that
    wait: the others look by themselves.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        due: Mapping[str, str],
        *,
        waken: Callable[[str], None],
        idle: Callable[[], Collection[str]],
    ) -> None:
        self._database = database
        self._channel = channel
        self._queues = list(due)
        self._look_statement = look_statement(due)
        self._waken = waken
        self._idle = idle
        self._is_kept = False

    def keeps(self, queue: str) -> bool:
        """Whether it looks for this queue at present, so that its loop need not."""
        return self._is_kept and queue in self._queues

    async def run(self) -> None:
        """Watch until cancelled, through every loss of the connection; the loops look by themselves meanwhile."""
        while True:
            # They say themselves that the database is away.
            with suppress(psycopg.Error, OSError, TimeoutError):
                await self._keep()
            await asyncio.sleep(AWAY_PAUSE_SECONDS)

    async def _keep(self) -> None:
        connection = await connect_to_listen(self._database.application_url)
        async with connection:
            await connection.execute(f"LISTEN {self._channel}; {PLANNING}; SET statement_timeout = '10s'".encode())
            try:
                while True:
                    # What was written before anybody listened, nobody has told: the first look comes at once.
                    seconds = await self._look(connection)
                    self._is_kept = True
                    pause = max(LOOK_PAUSE_SECONDS, seconds * LOOK_COST)
                    await self._hear(connection, min(pause, LONGEST_LOOK_PAUSE_SECONDS))
            finally:
                self._is_kept = False
                for queue in self._queues:
                    self._waken(queue)

    async def _look(self, connection: Connection) -> float:
        """Wake the loops that wait and have something due; says how many seconds it took."""
        waiting = self._idle()
        idle = [queue for queue in self._queues if queue in waiting]
        if not idle:
            return 0.0
        began = monotonic_seconds()
        async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
            cursor = await connection.execute(self._look_statement.encode(), {"idle": idle}, prepare=True)
            row = await cursor.fetchone() or ()
        for queue, is_due in zip(self._queues, row[1:], strict=True):
            if is_due:
                self._waken(queue)
        return monotonic_seconds() - began

    async def _hear(self, connection: Connection, seconds: float) -> None:
        async for notice in connection.notifies(timeout=seconds):
            # Of what this process wrote itself, its loops have been told when it was committed.
            if not self._database.has_told(notice.pid):
                self._waken(notice.payload)


def look_statement(due: Mapping[str, str]) -> str:
    """Enters the scope of queues, then asks each condition that somebody waits for, by its own index."""
    asked = "".join(
        f",\n    CASE WHEN '{queue}' = ANY(%(idle)s::text[]) THEN {condition} END" for queue, condition in due.items()
    )
    # Answers for each queue, or says null; each condition names its index where it stands.
    return f"SELECT set_config('app.scope', 'queue', true){asked}"
