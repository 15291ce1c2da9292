"""Slices of a quiet file in a relay of three: while one hands out its leads, the next find out whose their rows are.

Each slice is a transaction of its own that moves the place in the file on, so that a crash repeats or loses none. The
order of rows is kept: a slice looks for people only after the slice before has claimed all its addresses, and opens
leads only after that one is committed. Between the two it holds addresses and contacts, which come before leads in the
order of locks, and the slice before wants none of them any more. Within a slice Postgres is sent what is to be written
ahead, so that it writes contacts while Python thinks of leads.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

from switchboard.intake import repository, repository_imports
from switchboard.intake.import_recognition import recognise_slice
from switchboard.intake.import_slices import Slice
from switchboard.intake.import_tally import add_progress
from switchboard.intake.models import Import
from switchboard.kernel import events
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.queues import concerns_batch

# What else waits in the queue of jobs waits no longer than this for a file.
RELAY_SECONDS = 2.0
# Where the slice before waits for somebody who waits for us, Postgres cannot see the ring: we give way.
TURN_SECONDS = 5.0
MOST_LEGS = 3
# One holds the job, and the other queues of the process want some, too.
OTHER_CONNECTIONS = 3

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
        legs: deque[_Leg] = deque()
        try:
            return await self._send_out(legs, monotonic_seconds() + RELAY_SECONDS)
        finally:
            await asyncio.gather(*legs, return_exceptions=True)

    async def _send_out(self, legs: deque[_Leg], until: float) -> bool:
        position = self._import.rows_read
        most_legs = max(1, min(MOST_LEGS, self._database.most_connections - OTHER_CONNECTIONS))
        while True:
            taken = await self._take(position)
            turns = _Turns(legs[-1] if legs else None)
            # gate: tasks it is waited for here, within the job whose row stands for what is left of the file
            leg = asyncio.create_task(self._bring_in(taken, position, turns))
            legs.append(leg)
            await turns.passed.wait()
            position += taken.size
            is_last = taken.size < self._slice_rows
            is_over = is_last or monotonic_seconds() >= until
            # In their order, because the first that fails knows why; those behind only know that they are out of turn.
            while legs and (is_over or leg.done() or len(legs) >= most_legs):
                await legs[0]
                legs.popleft()
            if is_over:
                return is_last

    async def _bring_in(self, taken: Slice, position: int, turns: "_Turns") -> None:
        try:
            await self._recognise(taken, position, turns)
        except (UnavailableError, OutOfTurnError):
            raise
        except Exception as error:
            if concerns_batch(error):
                raise OutOfTurnError from error
            raise SpoiltSliceError(taken, position) from error
        finally:
            turns.pass_on()

    async def _recognise(self, taken: Slice, position: int, turns: "_Turns") -> None:
        # As a queue's loop, because those remember what a workspace is set up with.
        async with self._database.queue_loop() as tx:
            await tx.enter_workspace(self._import.workspace_id)
            async with tx.ahead():
                await self._write(tx, taken, position, turns)

    async def _write(self, tx: Tx, taken: Slice, position: int, turns: "_Turns") -> None:
        is_last = taken.size < self._slice_rows
        progress = await recognise_slice(tx, self._import, taken, turns)
        if not await repository_imports.lock_place(tx, self._import.id, position):
            raise OutOfTurnError
        await add_progress(tx, self._import.id, replace(progress, is_read=is_last))
        if is_last:
            await repository_imports.delete_chunks(tx, self._import.id)


class _Turns:
    """The turns of one slice, behind that of the leg `before`."""

    def __init__(self, before: _Leg | None) -> None:
        self.passed = asyncio.Event()
        self._before = before
        self._is_taken = False

    def pass_on(self) -> None:
        self.passed.set()

    async def take(self, tx: Tx) -> None:
        if self._is_taken:
            return
        # Whoever comes behind us waits for what we write from here on.
        await events.write_gathered(tx)
        # Here others wait for us at most to look for people; at the commit whoever hands out leads would wait, too.
        await repository.check_references(tx)
        await tx.catch_up()
        if self._before is not None:
            await _wait_for(self._before)
        self._is_taken = True


async def _wait_for(before: _Leg) -> None:
    done, _ = await asyncio.wait({before}, timeout=TURN_SECONDS)
    if not done or before.cancelled() or before.exception() is not None:
        raise OutOfTurnError
