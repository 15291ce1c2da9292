"""Faults at numbered points: every round trip to Postgres and every hand-over to a provider is one point."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg

from switchboard.delivery.channels.base import Channel, Envelope, SendError, Sent

Kind = Literal["raise", "drop", "hang", "exit"]
Result = TypeVar("Result")

KINDS: tuple[Kind, ...] = ("raise", "drop", "hang", "exit")
EXIT_STATUS = 71
LOCK_TIMEOUT_MILLISECONDS = 100


class LostError(Exception):
    """The other side went away: before it heard the question, or before its answer came back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the `point`-th call, counted from 1.

    raise: the connection breaks before the call has any effect. drop: the effect happens and its answer is lost.
    hang: the process stands still before the call, beyond every lease, and goes on later. exit: it ends there.
    """

    point: int
    kind: Kind


class Faults:
    """Counts the calls of one process once it is armed, and lets them fail as planned."""

    def __init__(self, planned: Sequence[Fault] = ()) -> None:
        self._kinds = {fault.point: fault.kind for fault in planned}
        self._is_armed = False
        self.labels: list[str] = []
        self.struck: list[str] = []
        self.hanging = asyncio.Event()
        self.released = asyncio.Event()

    def arm(self) -> None:
        """Count from here on."""
        self._is_armed = True

    async def call(self, label: str, effect: Callable[[], Awaitable[Result]]) -> Result:
        """Make one call; raises LostError where it is planned to break."""
        kind = self._next(label)
        if kind == "exit":
            os._exit(EXIT_STATUS)
        if kind == "raise":
            raise LostError
        if kind == "hang":
            self.hanging.set()
            await self.released.wait()
        result = await effect()
        if kind == "drop":
            raise LostError
        return result

    def _next(self, label: str) -> Kind | None:
        if not self._is_armed:
            return None
        self.labels.append(label)
        kind = self._kinds.get(len(self.labels))
        if kind is not None:
            self.struck.append(f"{kind} at {len(self.labels)}: {label}")
        return kind


def failing_connections(faults: Faults) -> type[psycopg.AsyncConnection[Any]]:
    """Connections whose every round trip is a point: statements, BEGIN, savepoints, COMMIT, ROLLBACK."""

    class FailingConnection(psycopg.AsyncConnection[Any]):
        async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
            wait = super().wait
            try:
                return await faults.call(_label(gen), lambda: wait(gen, interval, timeout))
            except LostError:
                await self.close()
                raise psycopg.OperationalError("the connection was lost on purpose") from None

    return FailingConnection


def _label(gen: Any) -> str:
    """What a round trip is for, as far as the driver's generator tells."""
    query = getattr(gen, "gi_frame", None) and gen.gi_frame.f_locals.get("query")
    if isinstance(query, bytes):
        return " ".join(query.decode().split())[:90]
    return str(query or getattr(gen, "__name__", type(gen).__name__))[:90]


class ImpatientConnection(psycopg.AsyncConnection[Any]):
    """Waits for nobody's lock: for work beside a process that stands still with its locks held."""

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
        kwargs["options"] = f"{kwargs.get('options', '')} -c lock_timeout={LOCK_TIMEOUT_MILLISECONDS}"
        return await super().connect(conninfo, **kwargs)


class FailingChannel:
    """A channel whose every hand-over is a point; an answer that is lost leaves the message in doubt, as SMTP does."""

    name = "failing"

    def __init__(self, channel: Channel, faults: Faults) -> None:
        self._channel = channel
        self._faults = faults
        self._has_answered = False

    async def send(self, envelope: Envelope) -> Sent:
        is_taken = False

        async def hand_over() -> Sent:
            nonlocal is_taken
            sent = await self._channel.send(envelope)
            is_taken = True
            return sent

        try:
            return await self._faults.call(f"send to {envelope.recipient}", hand_over)
        except LostError:
            kind: Literal["in_doubt", "retryable"] = "in_doubt" if is_taken else "retryable"
            raise SendError(kind, "connection_lost", "The connection was lost on purpose.") from None

    async def close(self) -> None:
        await self._channel.close()


async def stand_still_until(faults: Faults, task: asyncio.Task[None]) -> AsyncIterator[None]:
    """Yields once when the process hangs; returns when it came to its end without."""
    hanging = asyncio.ensure_future(faults.hanging.wait())
    await asyncio.wait({hanging, task}, return_when=asyncio.FIRST_COMPLETED)
    if hanging.done():
        yield
        faults.released.set()
    hanging.cancel()
    await task
