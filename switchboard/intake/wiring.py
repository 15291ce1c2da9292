"""What the intake room adds to a process: its job handlers, and what it hears."""

from collections.abc import Mapping, Sequence

from switchboard.intake import housekeeping
from switchboard.intake.import_jobs import ImportJobs
from switchboard.kernel import jobs
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Event, Hub
from switchboard.kernel.jobs import JobHandler
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings


def subscribe(hub: Hub) -> None:
    """Hear that a workspace is new."""
    hub.subscribe(["workspace.created"], begin_housekeeping)


async def begin_housekeeping(tx: Tx, _told: Sequence[Event]) -> None:
    """Plan the workspace's daily housekeeping; it plans itself anew each day."""
    await jobs.enqueue(tx, housekeeping.KIND, {}, key="daily", priority=9)


def build_loops(settings: Settings, database: Database) -> list[Loop]:
    """The queue of signals that are kept in Redis, where there is one."""
    address = settings.redis_address
    if address is None:
        return []
    from switchboard.intake.stream_loop import StreamLoop  # noqa: PLC0415 megabytes that only those with a Redis need

    return [StreamLoop(database, address)]


def job_handlers(database: Database) -> Mapping[str, JobHandler]:
    """By kind of job; one call a process, for imports keep their open files here."""
    return {**ImportJobs(database).handlers(), housekeeping.KIND: housekeeping.clean_up}
