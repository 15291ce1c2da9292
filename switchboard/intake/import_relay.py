"""Slices of a quiet file in a relay of two: while one hands out its leads, the next finds out whose its rows are.

Each slice is a transaction of its own that moves the place in the file on, so that a crash repeats or loses none. The
order of rows is kept: a slice looks for people only after the slice before has claimed all its addresses, and opens
leads only after that one is committed. Between the two it holds addresses and contacts, which come before leads in the
order of locks, and the slice before wants none of them any more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

from switchboard.intake import repository_imports
from switchboard.intake.import_recognition import recognise_slice
from switchboard.intake.import_slices import Slice
from switchboard.intake.import_tally import add_progress
from switchboard.intake.models import Import
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.queues import concerns_batch

# What else waits in the queue of jobs waits no longer than this for a file.
RELAY_SECONDS = 2.0
# Where the slice before waits for somebody who waits for us, Postgres cannot see the ring: we give way.
TURN_SECONDS = 5.0
# One holds the job, two are for slices, and the other queues of the process want some, too.
CONNECTIONS_OF_TWO = 5

TakeSlice = Callable[[int], Awaitable[Slice]]
"""The rows of the file behind so many others; raises what reading the file raises."""
_Leg = asyncio.Task[None]


class OutOfTurnError(Exception):
    """The slice before was not committed, or the import was moved on or stopped meanwhile; the rows are sound."""


class SpoiltSliceError(Exception):
    """A slice cannot be recognised as a whole; `position` is how many rows of the file are before it."""

    def __init__(self, taken: Slice, position: int) -> None:
        super().__init__(f"the {taken.size} rows behind the first {position}")
        self.taken = taken
        self.position = position


class Relay:
    """Brings the rows of one quiet import in from where it stands, slices of `slice_rows` but for the last."""

    def __init__(self, database: Database, import_: Import, take: TakeSlice, slice_rows: int) -> None:
        self._database = database
        self._import = import_
        self._take = take
        self._slice_rows = slice_rows

    async def run(self) -> bool:
        """Bring slices in for `RELAY_SECONDS`, one at least; True when that was the last of the file.

        Raises SpoiltSliceError, OutOfTurnError and what reading the file raises; the slices before are committed.
        """
        legs: deque[_Leg] = deque(maxlen=2)
        try:
            return await self._send_out(legs, monotonic_seconds() + RELAY_SECONDS)
        finally:
            await asyncio.gather(*legs, return_exceptions=True)

    async def _send_out(self, legs: deque[_Leg], until: float) -> bool:
        position = self._import.rows_read
        while True:
            taken = await self._take(position)
            before, knows_people = legs[-1] if legs else None, asyncio.Event()
            # gate: tasks it is waited for here, within the job whose row stands for what is left of the file
            leg = asyncio.create_task(self._bring_in(taken, position, before, knows_people))
            legs.append(leg)
            await knows_people.wait()
            if before is not None:
                await before
            if leg.done() or self._database.most_connections < CONNECTIONS_OF_TWO:
                await leg
            position += taken.size
            is_last = taken.size < self._slice_rows
            if is_last or monotonic_seconds() >= until:
                await leg
                return is_last

    async def _bring_in(self, taken: Slice, position: int, before: _Leg | None, knows_people: asyncio.Event) -> None:
        async def take_turn() -> None:
            knows_people.set()
            if before is not None:
                await _wait_for(before)

        try:
            await self._recognise(taken, position, take_turn)
        except (UnavailableError, OutOfTurnError):
            raise
        except Exception as error:
            if concerns_batch(error):
                raise OutOfTurnError from error
            raise SpoiltSliceError(taken, position) from error
        finally:
            knows_people.set()

    async def _recognise(self, taken: Slice, position: int, take_turn: Callable[[], Awaitable[None]]) -> None:
        is_last = taken.size < self._slice_rows
        async with self._database.transaction(self._import.workspace_id) as tx:
            progress = await recognise_slice(tx, self._import, taken, take_turn)
            if not await repository_imports.lock_place(tx, self._import.id, position):
                raise OutOfTurnError
            await add_progress(tx, self._import.id, replace(progress, is_read=is_last))
            if is_last:
                await repository_imports.delete_chunks(tx, self._import.id)


async def _wait_for(before: _Leg) -> None:
    done, _ = await asyncio.wait({before}, timeout=TURN_SECONDS)
    if not done or before.cancelled() or before.exception() is not None:
        raise OutOfTurnError
