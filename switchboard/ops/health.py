"""Whether Switchboard works: the parts it stands on, and how far behind each queue is."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.disk import find_shortage
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.migration_files import discover
from switchboard.ops import queries

# A queue is behind when its oldest due row has waited longer than this.
PATIENCE = timedelta(seconds=30)
WORKER_SILENCE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """One queue: rows due now (counted up to 10,000), the age of the oldest, and whether a process works it."""

    name: str
    depth: int
    lag_seconds: float
    is_worked: bool

    @property
    def is_behind(self) -> bool:
        """Whether somebody should look: late, or nobody works it."""
        return not self.is_worked or self.lag_seconds > PATIENCE.total_seconds()

    @property
    def trouble(self) -> str:
        """What is wrong with a queue that is behind, and what to do."""
        if not self.is_worked:
            return f"Nobody works the queue {self.name}. Start `switchboard work`."
        return f"The queue {self.name} is {self.lag_seconds:.0f} seconds behind with {self.depth} due."


@dataclass(frozen=True, slots=True)
class Health:
    """The whole: `is_ready` says whether to send traffic here; `troubles` are sentences for a person."""

    is_ready: bool
    database: str
    pending_migrations: tuple[int, ...]
    listens_for_mail: bool
    queues: tuple[QueueHealth, ...]
    troubles: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The body of `/health/ready`."""
        return {
            "status": "down" if not self.is_ready else "degraded" if self.troubles else "ok",
            "database": self.database,
            "pending_migrations": list(self.pending_migrations),
            "mailbox_listener": "up" if self.listens_for_mail else "down",
            "queues": {
                queue.name: {"depth": queue.depth, "oldest_due_seconds": queue.lag_seconds, "worked": queue.is_worked}
                for queue in self.queues
            },
            "troubles": list(self.troubles),
        }


async def check(database: Database, home: Path) -> Health:
    """Look at everything: the disk of the data folder, and the database in one transaction of a few look-ups."""
    shortage = find_shortage(home)
    full_disk = (f"{shortage}: free some space.",) if shortage else ()
    try:
        async with database.queue_loop() as tx:
            found = await _check(tx)
            return replace(found, troubles=(*full_disk, *found.troubles))
    except UnavailableError as error:
        return Health(False, "unreachable", (), False, (), (*full_disk, error.message))


async def check_queues(tx: Tx) -> tuple[QueueHealth, ...]:
    """Every queue as the transaction sees it: a queue loop sees all workspaces' rows, others only their own."""
    worked = await queries.list_worked_queues(tx, WORKER_SILENCE)
    return tuple(
        QueueHealth(row.name, row.depth, round(row.lag_seconds, 3), row.name in worked)
        for row in await queries.list_queue_lags(tx)
    )


async def _check(tx: Tx) -> Health:
    pending = await _pending_migrations(tx)
    if pending:
        trouble = "The database is behind this version. Run `switchboard migrate up`."
        return Health(False, "ok", pending, False, (), (trouble,))
    queues = await check_queues(tx)
    worked = await queries.list_worked_queues(tx, WORKER_SILENCE)
    return Health(
        True, "ok", (), "smtp-in" in worked, queues, tuple(queue.trouble for queue in queues if queue.is_behind)
    )


async def _pending_migrations(tx: Tx) -> tuple[int, ...]:
    shipped = {migration.version for migration in discover()}
    return tuple(sorted(shipped - await queries.list_applied_versions(tx)))
