"""Group commit: many requests share one commit, and each is answered after it.

The batcher keeps no promise of its own: what it holds has not been acknowledged to anybody. A flusher takes what has
gathered while the last commit was under way, so batches grow with the load and a lone signal waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, Protocol
from uuid import UUID

import psycopg
import structlog

from switchboard.intake import repository, repository_accepting
from switchboard.intake.errors import IntakeFullError
from switchboard.intake.models import Accepted, NewSignal
from switchboard.intake.outage import patiently
from switchboard.intake.reserve import Reserve
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, UnavailableError
from switchboard.kernel.queues import wake

MOST_ROWS = 500
FLUSHERS = 2
# A commit costs as much as many rows: fewer than these wait for the one under way, and share the next.
WORTH_A_SECOND_COMMIT = 100
# What a commit costs here, in Postgres and in those that it wakes is the same for one row and for ten: so close behind
# the beginning of one, fewer wait for others. Whoever sends seldom never waits.
APART_SECONDS = 0.002
WORTH_A_COMMIT_AT_ONCE = 10
QUEUE = "signals"
RETRY_AFTER_SECONDS = 2
_NOT_STORED = "The signals could not be stored. Nothing was taken; send them again shortly."

log = structlog.get_logger()

# Source and key as numbers: a UUID is hashed by Python code, and a batch is looked up several times.
_Key = tuple[int, int]


class Waiting(Protocol):
    """Who waits for the signals of one request; told one thing, once."""

    def accept(self, answers: list[Accepted]) -> None:
        """They are stored or kept: one answer a signal, in order."""
        ...

    def refuse(self, error: Exception) -> None:
        """None of them is."""
        ...


class _Request(NamedTuple):
    """The rows of one HTTP request, which are accepted together, and who waits for them."""

    signals: Sequence[NewSignal]
    waiting: Waiting


class _Task:
    """A task that waits."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()

    def accept(self, answers: list[Accepted]) -> None:
        if not self.answer.done():
            self.answer.set_result(answers)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Batcher:
    """Gathers signals and commits them in batches of at most `MOST_ROWS` rows, or one request that has more."""

    def __init__(
        self,
        database: Database,
        *,
        most_waiting: int,
        reserve: Reserve | None = None,
        apart_seconds: float = APART_SECONDS,
    ) -> None:
        self._database = database
        self._reserve = reserve
        self._most_waiting = most_waiting
        self._waiting_rows = 0
        self._requests: deque[_Request] = deque()
        self._filled = asyncio.Event()
        self._enough = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._under_way = 0
        self._apart_seconds = apart_seconds
        self._last_began = -apart_seconds
        self._flushers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to commit what arrives."""
        # Two commits overlap, so that the disk never waits for Python.
        for _ in range(FLUSHERS):
            self._flushers.append(asyncio.create_task(self._flush_forever()))  # gate: tasks they end in `stop`

    async def stop(self) -> None:
        """Commit what is waiting, then end; requests that come later are refused."""
        self._most_waiting = 0
        await self._drained.wait()
        for flusher in self._flushers:
            flusher.cancel()
        await asyncio.gather(*self._flushers, return_exceptions=True)

    async def accept(self, signals: Sequence[NewSignal]) -> list[Accepted]:
        """Store the signals of one request; returns after the commit, one answer a signal, in order.

        While the database is away they are kept in the reserve, if there is one. Raises IntakeFullError when too many
        are waiting, UnavailableError when they can be neither stored nor kept: nothing of the request is then.
        """
        task = _Task()
        self.add(signals, task)
        return await task.answer

    def add(self, signals: Sequence[NewSignal], waiting: Waiting) -> None:
        """As `accept`, for one who is told instead of waiting; raises IntakeFullError only."""
        if self._waiting_rows + len(signals) > self._most_waiting:
            raise IntakeFullError
        self._requests.append(_Request(signals, waiting))
        self._waiting_rows += len(signals)
        self._filled.set()
        if self._waiting_rows >= WORTH_A_SECOND_COMMIT:
            self._enough.set()
        self._drained.clear()

    async def _flush_forever(self) -> None:
        while True:
            await self._filled.wait()
            if self._under_way and self._waiting_rows < WORTH_A_SECOND_COMMIT:
                await self._wait_for_more()
                continue
            self._under_way += 1
            await self._gather()
            # The other one may have taken everything meanwhile.
            if batch := self._take():
                await self._flush(batch)
            self._under_way -= 1
            self._enough.set()
            if not self._requests and not self._under_way:
                self._drained.set()

    async def _wait_for_more(self) -> None:
        """Until there are enough rows for a commit beside the one under way, or that one is done."""
        self._enough.clear()
        await self._enough.wait()

    async def _gather(self) -> None:
        """Wait as long as every look at the connections brings more: what comes together shares a commit."""
        seconds = self._last_began + self._apart_seconds - monotonic_seconds()
        if seconds > 0 and self._waiting_rows < WORTH_A_COMMIT_AT_ONCE:
            await asyncio.sleep(seconds)
        rows = 0
        while rows < self._waiting_rows < MOST_ROWS:
            rows = self._waiting_rows
            await asyncio.sleep(0)
        self._last_began = monotonic_seconds()

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        rows = 0
        while self._requests and (not batch or rows + len(self._requests[0].signals) <= MOST_ROWS):
            request = self._requests.popleft()
            rows += len(request.signals)
            batch.append(request)
        self._waiting_rows -= rows
        if not self._requests:
            self._filled.clear()
        return batch

    async def _flush(self, batch: list[_Request]) -> None:
        if self._reserve is not None and self._reserve.takes_over and await self._keep(batch, self._reserve):
            return
        try:
            stored = await self._store(batch)
        except psycopg.DataError as error:
            await self._flush_apart(batch, error)
            return
        except (UnavailableError, psycopg.errors.ReadOnlySqlTransaction):
            if self._reserve is None:
                _refuse(batch, UnavailableError(_NOT_STORED, retry_after_seconds=RETRY_AFTER_SECONDS))
                return
            self._reserve.outage.begin()
            await self._keep(batch, self._reserve)
            return
        except psycopg.Error as error:
            log.warning("intake.commit_failed", exc_info=error)
            _refuse(batch, UnavailableError(_NOT_STORED, retry_after_seconds=RETRY_AFTER_SECONDS))
            return
        except Exception as error:  # noqa: BLE001 whoever waits is told, whatever it was
            _refuse(batch, error)
            return
        for request in batch:
            request.waiting.accept(stored.answers(request.signals))

    async def _keep(self, batch: list[_Request], reserve: Reserve) -> bool:
        """Keep the batch outside the database; False when it should be tried there after all."""
        try:
            kept = await reserve.keep([request.signals for request in batch])
        except UnavailableError as error:
            if not reserve.outage.is_on:
                return False
            _refuse(batch, error)
            return True
        except Exception as error:  # noqa: BLE001 whoever waits is told, whatever it was
            _refuse(batch, error)
            return True
        for request, answers in zip(batch, kept, strict=True):
            request.waiting.accept(answers)
        return True

    async def _flush_apart(self, batch: list[_Request], error: psycopg.DataError) -> None:
        """One request holds what Postgres cannot keep: the others of its batch must not suffer for it."""
        if len(batch) == 1:
            log.warning("intake.payload_refused", exc_info=error)
            _refuse(batch, InvalidError("Something in the body cannot be stored. Send it without unusual characters."))
            return
        for request in batch:
            await self._flush([request])

    async def _store(self, batch: list[_Request]) -> "_Stored":
        """Commit the signals, each key once."""
        first_of_key: dict[_Key, NewSignal] = {}
        count = 0
        for request in batch:
            count += len(request.signals)
            for signal in request.signals:
                first_of_key.setdefault(_key(signal), signal)
        # A request comes from one source, and so from one workspace.
        workspaces = {request.signals[0].workspace_id for request in batch}
        committing = self._commit(list(first_of_key.values()), workspaces)
        known = await (committing if self._reserve is None else patiently(committing))
        return _Stored(first_of_key, known, is_all_new=not known and count == len(first_of_key))

    async def _commit(self, distinct: list[NewSignal], workspaces: set[UUID]) -> dict[_Key, UUID]:
        """Store the signals; returns the ids that stand behind the keys of those that are stored already."""
        if len(workspaces) == 1:
            accepted = await repository_accepting.store_signals(self._database, distinct, QUEUE)
            if len(accepted) == len(distinct):
                return {}
            async with self._database.transaction(distinct[0].workspace_id) as tx:
                return await _find_known(tx, [signal for signal in distinct if signal.id not in accepted])
        known: dict[_Key, UUID] = {}
        distinct.sort(key=lambda signal: signal.workspace_id)
        async with self._database.transaction(distinct[0].workspace_id) as tx:
            for workspace_id, group in groupby(distinct, key=lambda signal: signal.workspace_id):
                await tx.enter_workspace(workspace_id)
                known |= await _store_group(tx, list(group))
            await wake(tx, QUEUE)
        return known


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of a batch: the first signal of each key in it, and the ids behind keys that were known before."""

    first_of_key: dict[_Key, NewSignal]
    known: dict[_Key, UUID]
    is_all_new: bool

    def answers(self, signals: Sequence[NewSignal]) -> list[Accepted]:
        """One a signal."""
        if self.is_all_new:
            return [Accepted(signal.id, False) for signal in signals]
        return [self._answer(signal) for signal in signals]

    def _answer(self, signal: NewSignal) -> Accepted:
        key = _key(signal)
        first = self.first_of_key[key]
        known = self.known.get(key, first.id)
        # A key may be known because this very signal holds it: its commit was tried again.
        return Accepted(known, is_duplicate=first is not signal or known != signal.id)


async def _store_group(tx: Tx, signals: list[NewSignal]) -> dict[_Key, UUID]:
    accepted = await repository.insert_signals(tx, signals)
    return await _find_known(tx, [signal for signal in signals if signal.id not in accepted])


async def _find_known(tx: Tx, repeated: list[NewSignal]) -> dict[_Key, UUID]:
    """The ids that stand behind the keys of signals that were not stored."""
    if not repeated:
        return {}
    found = await repository.find_signal_ids(tx, [(signal.source_id, signal.key) for signal in repeated])
    known = {(source_id.int, key.int): known_id for (source_id, key), known_id in found.items()}
    # The keys of others ended and were cleared away between the two statements.
    forgotten = [signal for signal in repeated if _key(signal) not in known]
    if forgotten:
        known |= await _store_group(tx, forgotten)
        await wake(tx, QUEUE)
    return known


def _key(signal: NewSignal) -> _Key:
    return signal.source_id.int, signal.key.int


def _refuse(batch: list[_Request], error: Exception) -> None:
    for request in batch:
        request.waiting.refuse(error)
