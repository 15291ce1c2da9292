"""Queues: the one way anything happens later.

A loop is due work in a table and the code that does one batch of it. Work is derived from rows and times, so a missed
notice, a crash or a restart catches up by itself: notices only make it sooner. Two kinds of loop:

- transactional: claims with SKIP LOCKED and does the work in the same transaction, touching no network;
- leased: commits `sending` with a token and a lease before it calls the outside world, and completes
  `WHERE token = its own`, so that a late writer changes nothing.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar, runtime_checkable

import psycopg
import structlog

from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Notice, Tx
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.telemetry import HANDLED, QUEUE_FAILURES
from switchboard.kernel.watch import AWAY_PAUSE_SECONDS, Watch, Watched

WAKE_CHANNEL = "switchboard_wake"
# How long a loop waits before it looks by itself: one for which the watch looks does so only for safety's sake.
IDLE_SECONDS = 1.0
WATCHED_IDLE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 30.0
# Rows that are handled one by one are held all the while, and each may need as long as a statement is given.
ONE_BY_ONE_SECONDS = 30.0

# Postgres counts these among the errors of its operation, and still it is a row's fault: it takes too long, is larger
# than an index entry may be, or is nested too deeply.
_OF_A_ROW = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)

Row = TypeVar("Row")
Duration = TypeVar("Duration", float, timedelta)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tick:
    """What one batch did: rows handled, and whether more may be due right now."""

    handled: int
    has_more: bool


class Loop(Protocol):
    """One queue's work. `name` is also the payload of the notice that wakes it."""

    @property
    def name(self) -> str: ...

    async def tick(self) -> Tick:
        """Handle one batch of what is due."""
        ...


@runtime_checkable
class Closeable(Protocol):
    """A loop that holds connections or listens, and lets go of them when the worker stops."""

    async def close(self) -> None:
        """Let go; called once, after the last tick."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A loop whose work nobody waits for: it begins so long after a notice, with all that has gathered by then.

    Otherwise it would be in the way of those that were woken by the same commit.
    """

    @property
    def patience_seconds(self) -> float: ...


def backoff(
    attempts: int, *, first: timedelta = timedelta(seconds=5), most: timedelta = timedelta(hours=1)
) -> timedelta:
    """How long to wait after the `attempts`-th failure (1 is the first): doubling, with up to a quarter of jitter."""
    exponent = min(max(attempts, 1) - 1, 30)
    base: timedelta = min(first * 2**exponent, most)
    return _scattered(base)


def _scattered(duration: Duration) -> Duration:
    """Up to a quarter more or less, so that those who wait for the same do not all come at once."""
    return duration * random.uniform(0.75, 1.25)  # noqa: S311 jitter needs no secrecy


def concerns_batch(error: Exception) -> bool:
    """Whether a failure says nothing of any row, such as a deadlock or a lost connection: all are claimed again.

    Whatever else fails is looked for row by row: a row that always takes too long would be claimed again forever, and
    all behind it.
    """
    return _waits_for_database(error) and not isinstance(error, _OF_A_ROW)


def one_by_one(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows of a batch that failed, each by itself; those whose turn has not come in time stay due.

    The first always has its turn, so that every batch comes further than the one before.
    """
    began = monotonic_seconds()
    for row in rows:
        yield row
        if monotonic_seconds() - began >= ONE_BY_ONE_SECONDS:
            return


async def wake(tx: Tx, queue: str) -> None:
    """Wake the loops of one queue when this transaction commits."""
    tx.notify(WAKE_CHANNEL, queue)


@dataclass(slots=True)
class LoopState:
    """What `/metrics` and the tests read of a running loop."""

    handled: int = 0
    failures: int = 0
    wakened: asyncio.Event = field(default_factory=asyncio.Event)
    is_idle: bool = False


class Worker:
    """Runs loops side by side in one process until it is told to stop; then finishes the batches in hand."""

    def __init__(self, loops: Sequence[Loop], database: Database) -> None:
        self._loops = list(loops)
        self._database = database
        self._stopping = asyncio.Event()
        self.states = {loop.name: LoopState() for loop in loops}
        due = {loop.name: loop.due for loop in loops if isinstance(loop, Watched)}
        self.watch = Watch(database, WAKE_CHANNEL, due, waken=self._waken, idle=self._idle_queues)

    async def run(self) -> None:
        """Run every loop and the watch; returns after `stop`."""
        self._database.on_commit(self._hear_own)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self.watch.run())
            running = [group.create_task(self._run_loop(loop)) for loop in self._loops]
            await self._stopping.wait()
            await asyncio.gather(*running)
            watching.cancel()
        for loop in self._loops:
            if isinstance(loop, Closeable):
                await loop.close()

    @property
    def is_stopping(self) -> bool:
        """Whether it has been asked to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask every loop to end after its current batch."""
        self._stopping.set()
        for state in self.states.values():
            state.wakened.set()

    async def _run_loop(self, loop: Loop) -> None:
        state = self.states[loop.name]
        failures_in_a_row = 0
        while not self._stopping.is_set():
            state.wakened.clear()
            try:
                tick = await loop.tick()
            except Exception as error:  # noqa: BLE001 a loop outlives any single batch; the rows stay due
                failures_in_a_row += 1
                state.failures += 1
                QUEUE_FAILURES.labels(loop.name).inc()
                _log_failure(loop.name, error)
                await self._pause(_pause_seconds(failures_in_a_row, error))
                continue
            failures_in_a_row = 0
            state.handled += tick.handled
            HANDLED.labels(loop.name).inc(tick.handled)
            if not tick.has_more:
                await _wait_for_notice(state, self._idle_seconds(loop))
                if isinstance(loop, Patient) and state.wakened.is_set():
                    await self._pause(loop.patience_seconds)

    def _idle_seconds(self, loop: Loop) -> float:
        # All at once they would ask for many connections, and each that is made is kept for a while.
        return _scattered(WATCHED_IDLE_SECONDS) if self.watch.keeps(loop.name) else IDLE_SECONDS

    async def _pause(self, seconds: float) -> None:
        # A notice must not cut a pause after a failure short, or a busy queue would spin on a broken database.
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _hear_own(self, notices: Sequence[Notice]) -> None:
        for channel, payload in notices:
            if channel == WAKE_CHANNEL:
                self._waken(payload)

    def _waken(self, queue: str) -> None:
        state = self.states.get(queue)
        if state is not None:
            state.wakened.set()

    def _idle_queues(self) -> set[str]:
        return {queue for queue, state in self.states.items() if state.is_idle}


async def _wait_for_notice(state: LoopState, seconds: float) -> None:
    state.is_idle = True
    try:
        await asyncio.wait_for(state.wakened.wait(), seconds)
    except TimeoutError:
        return
    finally:
        state.is_idle = False


def _pause_seconds(failures_in_a_row: int, error: Exception) -> float:
    longest = AWAY_PAUSE_SECONDS if _waits_for_database(error) else LONGEST_PAUSE_SECONDS
    first, most = timedelta(seconds=0.2), timedelta(seconds=longest)
    return backoff(failures_in_a_row, first=first, most=most).total_seconds()


def _waits_for_database(error: Exception) -> bool:
    return isinstance(error, UnavailableError | psycopg.OperationalError)


def _log_failure(name: str, error: Exception) -> None:
    if isinstance(error, psycopg.errors.QueryCanceled):
        # Postgres is there and has done for long what it was asked: the statement, or what it waited for, is to blame.
        log.error("queue.statement_timed_out", queue=name, exc_info=error)
    elif concerns_batch(error):
        log.warning("queue.waiting_for_database", queue=name)
    else:
        log.error("queue.batch_failed", queue=name, exc_info=error)
