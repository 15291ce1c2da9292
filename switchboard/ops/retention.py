"""What is kept for how long: months past their time are dropped, and rows of other tables deleted, by the settings."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from switchboard.flows import service as flows
from switchboard.inbox import service as inbox
from switchboard.kernel import partitions
from switchboard.kernel.db import Tx
from switchboard.kernel.partitions import PARTITIONED, first_of_month
from switchboard.kernel.settings import Settings

MOST_ROWS = 5_000
# Whoever began to read a log while it was whole has this long to come to its end.
GRACE = timedelta(days=2)
# The daily round tries again as often as this before anybody need look.
PATIENCE = timedelta(days=7)
_KINDS = {
    "event": "events",
    "signal_outcome": "signals",
    "signal": "signals",
    "attempt": "attempts",
    "run_step": "runs",
}

log = structlog.get_logger()

Sweep = Callable[[Tx, datetime], Awaitable[bool]]
"""Lets go of some of what was there before an instant; says whether there may be more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One log or table: how many whole months of it are kept before the present one, 0 for ever."""

    name: str
    months: int
    sweep: Sweep

    def since(self, now: datetime) -> datetime | None:
        """The instant from which on it is whole, None where all of it is kept."""
        return first_of_month(now, self.months) if self.months else None


def months_kept(settings: Settings) -> Mapping[str, int]:
    """How many months each kind of record is kept, 0 for ever."""
    return {
        "signals": settings.keep_signals_months,
        "events": settings.keep_events_months,
        "attempts": settings.keep_attempts_months,
        "runs": settings.keep_runs_months,
        "mail": settings.keep_mail_months,
    }


def all_kept(settings: Settings) -> Iterator[Kept]:
    """Everything that has a time, with what came of signals before the signals."""
    months = months_kept(settings)
    yield Kept("run_ended", months["runs"], partial(_by_rows, forget=flows.forget_ended_runs))
    yield Kept("inbound_mail", months["mail"], partial(_by_rows, forget=inbox.forget_originals))
    for name in PARTITIONED:
        yield Kept(name, months[_KINDS[name]], partial(_by_month, name=name))


def list_overdue(settings: Settings, now: datetime, oldest: Mapping[str, datetime]) -> list[str]:
    """The logs of which an `oldest` month is there although it should have gone a week ago, with that month."""
    late = []
    for kept in all_kept(settings):
        since = kept.since(now - GRACE - PATIENCE)
        if since is not None and kept.name in oldest and oldest[kept.name] < since:
            late.append(f"{kept.name} of {oldest[kept.name]:%Y-%m}")
    return late


async def let_go(tx: Tx, settings: Settings) -> bool:
    """Let one batch or one month go; says whether there may be more.

    Rows are the workspace's own, months those of the whole instance. The transaction is a queue loop's, in a workspace.
    """
    now = await tx.now()
    for kept in all_kept(settings):
        if kept.name in PARTITIONED:
            await partitions.note_kept_since(tx, kept.name, kept.since(now))
        before = kept.since(now - GRACE)
        if before is not None and await kept.sweep(tx, before):
            return True
    return False


async def _by_rows(tx: Tx, before: datetime, *, forget: Callable[[Tx, datetime, int], Awaitable[int]]) -> bool:
    return await forget(tx, before, MOST_ROWS) == MOST_ROWS


async def _by_month(tx: Tx, before: datetime, *, name: str) -> bool:
    if await partitions.delete_strays(tx, name, before, MOST_ROWS) == MOST_ROWS:
        return True
    done = await partitions.drop_oldest_month(tx, name, before)
    if done != "nothing":
        log.info("retention.month", table=name, outcome=done)
    return done == "dropped"
