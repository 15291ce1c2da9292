"""Whether Switchboard works: the parts it stands on, and how far behind each queue is."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from switchboard.intake.outage import patiently
from switchboard.intake.reserve import Kept
from switchboard.intake.standby import Standby
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.disk import find_shortage
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.migration_files import discover
from switchboard.ops import queries

# A queue is behind when its oldest due row has waited longer than this.
PATIENCE = timedelta(seconds=30)
WORKER_SILENCE = timedelta(seconds=20)
KEPT_PATIENCE_SECONDS = 5.0


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
    """The whole: `is_ready` says whether to send traffic here; `troubles` are sentences for a person.

    `kept` is what intake keeps outside the database; `takes_signals` whether it answers 202, to one place or the other.
    """

    is_ready: bool
    database: str
    pending_migrations: tuple[int, ...]
    listens_for_mail: bool
    queues: tuple[QueueHealth, ...]
    troubles: tuple[str, ...]
    kept: Kept
    runs_queues: bool = True

    @property
    def takes_signals(self) -> bool:
        """Whether intake can take a signal now."""
        return self.database == "ok" or self.kept.takes_more

    def as_json(self) -> dict[str, object]:
        """The body of `/health/ready`."""
        return {
            "status": "down" if not self.is_ready else "degraded" if self.troubles else "ok",
            "database": self.database,
            "pending_migrations": list(self.pending_migrations),
            "mailbox_listener": "up" if self.listens_for_mail else "down",
            "intake": {
                "takes_signals": self.takes_signals,
                "kept_in": self.kept.where,
                "kept_signals": self.kept.signals,
                "kept_bytes": self.kept.bytes,
                "room_bytes": self.kept.most_bytes,
                "oldest_kept_seconds": self.kept.oldest_seconds,
            },
            "runs_queue_consumers": self.runs_queues,
            "queues": {
                queue.name: {"depth": queue.depth, "oldest_due_seconds": queue.lag_seconds, "worked": queue.is_worked}
                for queue in self.queues
            },
            "troubles": list(self.troubles),
        }


async def check(database: Database, home: Path, standby: Standby) -> Health:
    """Look at everything: the disk of the data folder, what intake keeps there, and the database in one transaction."""
    shortage = find_shortage(home)
    full_disk = (f"{shortage}: free some space.",) if shortage else ()
    kept = await standby.measure()
    found = await _check_database(database, standby, kept)
    return replace(found, troubles=(*full_disk, *found.troubles))


def describe_outage(standby: Standby, kept: Kept) -> str:
    """What to tell a person while Postgres is away."""
    since = standby.outage.since
    when = f" since {since:%H:%M:%S} UTC" if since is not None else ""
    if not kept.takes_more:
        reason = kept.error or "There is no more room to keep signals."
        return f"Postgres is away{when}, and intake refuses signals. {reason} {_describe_amount(kept)}"
    return f"Postgres is away{when}; intake goes on. {_describe_amount(kept)}"


def describe_kept(kept: Kept) -> tuple[str, ...]:
    """What to tell a person of the place beside Postgres although Postgres is there; nothing while all is well."""
    troubles = []
    if kept.error:
        troubles.append(f"{kept.error} Intake has no place to keep signals if Postgres goes away.")
    if kept.warning:
        troubles.append(kept.warning)
    # In Redis signals come and go all the time where it is asked to take all of them.
    if kept.signals and kept.where == "disk":
        troubles.append(f"{_describe_amount(kept)} They are being brought in.")
    elif kept.oldest_seconds is not None and kept.oldest_seconds > KEPT_PATIENCE_SECONDS:
        troubles.append(f"{_describe_amount(kept)} They wait for `switchboard work`.")
    if kept.set_aside:
        places = "files of kept signals" if kept.where == "disk" else "entries of kept signals"
        troubles.append(f"{kept.set_aside} {places} could not be brought in whole: `switchboard doctor` names them.")
    return tuple(troubles)


def _describe_amount(kept: Kept) -> str:
    place = "on disk" if kept.where == "disk" else "in Redis"
    noun = "signal is" if kept.signals == 1 else "signals are"
    return f"{kept.signals:,} {noun} kept {place}, {kept.share_percent} % of the space."


async def _check_database(database: Database, standby: Standby, kept: Kept) -> Health:
    try:
        # Who asks gives up soon, and is better told what is known already than what would be found after seconds.
        if not standby.outage.is_on:
            found = await patiently(_check(database, kept))
            return replace(found, troubles=(*describe_kept(kept), *found.troubles))
    except UnavailableError:
        pass
    trouble = describe_outage(standby, kept)
    return Health(kept.takes_more, "unreachable", (), False, (), (trouble,), kept)


async def check_queues(tx: Tx) -> tuple[QueueHealth, ...]:
    """Every queue as the transaction sees it: a queue loop sees all workspaces' rows, others only their own."""
    worked = await queries.list_worked_queues(tx, WORKER_SILENCE)
    return tuple(
        QueueHealth(row.name, row.depth, round(row.lag_seconds, 3), row.name in worked)
        for row in await queries.list_queue_lags(tx)
    )


async def _check(database: Database, kept: Kept) -> Health:
    async with database.queue_loop() as tx:
        pending = await _pending_migrations(tx)
        if pending:
            trouble = "The database is behind this version. Run `switchboard migrate up`."
            return Health(False, "ok", pending, False, (), (trouble,), kept)
        queues = await check_queues(tx)
        worked = await queries.list_worked_queues(tx, WORKER_SILENCE)
    troubles = tuple(queue.trouble for queue in queues if queue.is_behind)
    return Health(True, "ok", (), "smtp-in" in worked, queues, troubles, kept)


async def _pending_migrations(tx: Tx) -> tuple[int, ...]:
    shipped = {migration.version for migration in discover()}
    return tuple(sorted(shipped - await queries.list_applied_versions(tx)))
