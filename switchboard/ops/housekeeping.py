"""Once a day: what has ended or is past its time is forgotten."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from switchboard.accounts import service as accounts
from switchboard.kernel import jobs, throttle
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event, Hub
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.kernel.settings import Settings
from switchboard.ops import retention

KIND = "ops.housekeeping"
NEXT_DAY = timedelta(days=1)


def subscribe(hub: Hub) -> None:
    """Hear that a workspace is new."""
    hub.subscribe(["workspace.created"], begin)


async def begin(tx: Tx, _told: Sequence[Event]) -> None:
    """Plan the first round; each plans the next."""
    await jobs.enqueue(tx, KIND, {}, key="daily", priority=9)


def job_handlers(settings: Settings) -> Mapping[str, JobHandler]:
    """The daily round of a workspace, by its kind of job. It locks logs for a moment, so it must be run alone."""

    async def clean_up(tx: Tx, payload: Mapping[str, object]) -> Again:
        # These belong to no workspace; whichever comes first clears them for all.
        await accounts.delete_ended_sessions(tx)
        await throttle.forget_stale(tx)
        if await retention.let_go(tx, settings):
            return Again(payload)
        return Again(payload, after=NEXT_DAY)

    return {KIND: clean_up}
