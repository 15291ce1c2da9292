"""The numbers of leads for the home page: today, and how quickly people were answered lately."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.kernel.localtime import local_day_bounds, to_local
from switchboard.leads import repository_lists
from switchboard.leads.repository_lists import AnswerDay

DAYS = 14
MOST_NEW = 2_000
MOST_KEPT = 500

_past: dict[tuple[UUID, datetime, str], list[AnswerDay]] = {}


@dataclass(frozen=True, slots=True)
class Day:
    """One day in the workspace's zone: first answers given, and the median wait in minutes, None without answers."""

    day: date
    answers: int
    median_minutes: float | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """Today, and the last `DAYS` days, oldest first. `new_today` is counted up to `MOST_NEW`.

    `in_time_percent` is how many of today's first answers came within `target_minutes`, None without any.
    """

    new_today: int
    answered_today: int
    median_minutes: float | None
    in_time_percent: int | None
    target_minutes: int
    days: tuple[Day, ...]

    @property
    def new_today_text(self) -> str:
        """The number of new leads, `2,000+` where nobody counted further."""
        return f"{self.new_today:,}{'+' if self.new_today == MOST_NEW else ''}"


async def load_numbers(tx: Tx, caller: Caller) -> Numbers:
    """The numbers of the workspace, in two queries; in one more when its last days are not known yet."""
    caller.require("viewer")
    workspace = await accounts.get_workspace(tx)
    zone, target = workspace.time_zone, workspace.first_response_minutes
    now = await tx.now()
    midnight, tomorrow = local_day_bounds(now, zone)
    today = to_local(now, zone).date()
    fresh = await repository_lists.list_answer_days(tx, midnight, tomorrow, zone=zone, target_seconds=target * 60)
    found = {row.day: row for row in (*await _past_days(tx, midnight, zone), *fresh)}
    last = found.get(today)
    return Numbers(
        new_today=await repository_lists.count_since(tx, midnight, MOST_NEW),
        answered_today=last.answers if last else 0,
        median_minutes=last.median_seconds / 60 if last else None,
        in_time_percent=round(100 * last.in_time / last.answers) if last else None,
        target_minutes=target,
        days=tuple(_day(today - timedelta(days=back), found) for back in range(DAYS - 1, -1, -1)),
    )


async def _past_days(tx: Tx, midnight: datetime, zone: str) -> list[AnswerDay]:
    """The days before today. They do not change any more, so each process reads them once a day."""
    key = (tx.workspace_id, midnight, zone)
    known = _past.get(key)
    if known is not None:
        return known
    # Noon of the first day, so that no change of the clocks moves it into another day.
    since, _ = local_day_bounds(midnight - timedelta(days=DAYS - 1, hours=-12), zone)
    days = await repository_lists.list_answer_days(tx, since, midnight, zone=zone, target_seconds=0)
    if len(_past) >= MOST_KEPT:
        _past.clear()
    _past[key] = days
    return days


async def count_overdue(tx: Tx) -> int:
    """How many open leads should have been answered by now, counted up to 99."""
    return await repository_lists.count_overdue(tx)


async def find_overdue_contacts(tx: Tx) -> set[UUID]:
    """Who should have been answered by now, of the 99 leads that have waited longest."""
    return set(await repository_lists.list_overdue_contacts(tx))


def _day(day: date, found: dict[date, AnswerDay]) -> Day:
    row = found.get(day)
    return Day(day, row.answers if row else 0, row.median_seconds / 60 if row else None)
