"""Connections that the event loop goes on watching from one statement to the next.

The driver begins to watch the socket for each answer, sets a timer beside it, and ends both when the answer is there:
a third of the processor time of a short statement. Here the loop is told once for as long as the connection is used.
Whatever is not an answer to read (a full socket, a timeout, an interruption) is left to the driver.
"""

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus
from psycopg.waiting import Ready, Wait

Outcome = TypeVar("Outcome")

# How often the driver looks up where it waits itself.
LOOK_UP_SECONDS = 0.1


class WatchedConnection(psycopg.AsyncConnection[Any]):
    """A connection for one event loop; `close` it before it is dropped, since the loop holds on to it."""

    _socket: int | None = None
    _answer: "asyncio.Future[Ready] | None" = None

    async def wait(
        self,
        gen: PQGen[Outcome],
        interval: float = LOOK_UP_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 the driver's own parameter
    ) -> Outcome:
        """As the driver does, at less cost while there is nothing but an answer to wait for."""
        # Raises where the connection is lost already: what is not begun need not be ended.
        socket = self.pgconn.socket
        has_waited = False
        step: Wait | BaseException
        try:
            step = next(gen)
            while step == Wait.R and timeout is None:
                has_waited = True
                step = gen.send(await self._wait_for_answer(socket))
        except StopIteration as end:
            if has_waited:
                self._leave_what_is_lost()
                return cast(Outcome, end.value)
            # The driver lets others have their turn when very many go without waiting.
            return await super().wait(cast(PQGen[Outcome], _Begun(gen, end)), interval)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as interruption:
            step = interruption
        except BaseException:
            self._leave_what_is_lost()
            raise
        self._stop_watching()
        return await super().wait(cast(PQGen[Outcome], _Begun(gen, step)), interval, timeout)

    async def close(self) -> None:
        """Close the connection; the loop watches its socket no more."""
        self._stop_watching()
        await super().close()

    async def _wait_for_answer(self, socket: int) -> Ready:
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        if self._socket is None:
            loop.add_reader(socket, self._hear)
            self._socket = socket
        try:
            return await self._answer
        finally:
            self._answer = None

    def _hear(self) -> None:
        if self._answer is None:
            # The server says something by itself, most likely its last word: whoever comes next reads that.
            self._stop_watching()
        elif not self._answer.done():
            self._answer.set_result(Ready.R)

    def _leave_what_is_lost(self) -> None:
        # Its end may be closed, and its number another's soon.
        if self.pgconn.status != ConnStatus.OK:
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket = None


class _Begun:
    """A generator of the driver from where it stands: `step` is what it has asked for, or how it was interrupted."""

    def __init__(self, gen: Generator[Any, Any, Any], step: Wait | BaseException) -> None:
        self._gen = gen
        self._step: Wait | BaseException | None = step

    def __next__(self) -> Wait:
        return self.send(None)

    def send(self, ready: Ready | None) -> Wait:
        """The next step, once what it had asked for has been told."""
        step, self._step = self._step, None
        if isinstance(step, BaseException):
            raise step
        return cast(Wait, self._gen.send(ready)) if step is None else step
