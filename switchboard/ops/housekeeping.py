"""Once a day: sign-ins that have ended and limits that nobody touches any more are forgotten."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from switchboard.accounts import service as accounts
from switchboard.kernel import jobs, throttle
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event, Hub
from switchboard.kernel.jobs import Again

KIND = "ops.housekeeping"
NEXT_DAY = timedelta(days=1)


def subscribe(hub: Hub) -> None:
    """Hear that a workspace is new."""
    hub.subscribe(["workspace.created"], begin)


async def begin(tx: Tx, _told: Sequence[Event]) -> None:
    """Plan the first round; each plans the next."""
    await jobs.enqueue(tx, KIND, {}, key="daily", priority=9)


async def clean_up(tx: Tx, payload: Mapping[str, object]) -> Again:
    """The handler. Sessions and limits belong to no workspace; whichever comes first clears them for all."""
    await accounts.delete_ended_sessions(tx)
    await throttle.forget_stale(tx)
    return Again(payload, after=NEXT_DAY)
