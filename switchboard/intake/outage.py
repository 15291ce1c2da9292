"""Whether Postgres is away, as this process has found by trying; and trying with a limit."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from switchboard.kernel.errors import UnavailableError

# Longer than any commit takes, and shorter than a sender waits for its answer.
PATIENCE_SECONDS = 2.0
RETRY_AFTER_SECONDS = 2

Answer = TypeVar("Answer")

log = structlog.get_logger()


class Outage:
    """Begins when a transaction finds no Postgres, and ends when a probe finds it again.

    Meanwhile nobody else asks: each would wait for its turn to be told the same.
    """

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.has_begun = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Whether Postgres is away."""
        return self.since is not None

    def begin(self) -> None:
        """Postgres could not be reached."""
        if self.since is None:
            # The database's clock is away with it, and this instant is only shown to people.
            self.since = datetime.now(UTC)  # gate: clock there is no other clock meanwhile
            self.has_begun.set()
            log.warning("intake.database_away")

    def end(self) -> None:
        """Postgres answers and takes writes."""
        self.since = None
        self.has_begun.clear()
        log.warning("intake.database_back")


async def patiently(work: Coroutine[Any, Any, Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
    """The answer, or UnavailableError when there is none in time.

    What takes too long is cancelled, but nobody waits for that: to a server that says nothing it takes as long again.
    """
    task = asyncio.ensure_future(work)  # gate: tasks it is waited for below
    try:
        await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.done():
        return task.result()
    task.cancel()
    task.add_done_callback(_forget)
    raise UnavailableError("The database does not answer in time.", retry_after_seconds=RETRY_AFTER_SECONDS)


def _forget(task: "asyncio.Future[Any]") -> None:
    # Asking for the error is what keeps it from being logged as one that nobody looked at.
    if not task.cancelled():
        task.exception()
