"""Who is on, when: weekly shifts in a zone, days off, and overrides, resolved for each occurrence.

Shifts are wall-clock times and keep their hours through a clock change; overrides and every answer are instants in
UTC. An override beats the weekly plan, and of two overrides at one moment the one given later counts.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from switchboard.kernel.localtime import ONE_DAY, first_instant, last_instant, to_local

LOOK_AHEAD = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class WeeklyShift:
    """Every week from `start` on `weekday` (Monday is 1, Sunday 7) to `end`.

    An `end` at or before `start` is on the next day, so equal times are a whole day.
    """

    weekday: int
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class ShiftOverride:
    """From `starts_at` up to `ends_at` somebody is on or off, whatever the weekly plan says."""

    starts_at: datetime
    ends_at: datetime
    is_on: bool


@dataclass(frozen=True, slots=True)
class Roster:
    """One person's plan: `holidays` are local dates on which no weekly shift begins."""

    zone: str
    shifts: Sequence[WeeklyShift] = ()
    overrides: Sequence[ShiftOverride] = ()
    holidays: Collection[date] = frozenset()


def is_on_shift(roster: Roster, instant: datetime) -> bool:
    """Whether the person is on at `instant`."""
    for override in reversed(roster.overrides):
        if override.starts_at <= instant < override.ends_at:
            return override.is_on
    today = to_local(instant, roster.zone).date()
    return any(start <= instant < end for start, end in _shifts_of(roster, today - ONE_DAY, today + ONE_DAY))


def next_shift_change(roster: Roster, after: datetime) -> tuple[datetime, bool] | None:
    """When the person next comes on (True) or goes off (False); None when nothing changes for 60 days."""
    is_on = is_on_shift(roster, after)
    for edge in _edges(roster, after, after + LOOK_AHEAD):
        if is_on_shift(roster, edge) != is_on:
            return edge, not is_on
    return None


def _edges(roster: Roster, after: datetime, before: datetime) -> list[datetime]:
    first, last = to_local(after, roster.zone).date(), to_local(before, roster.zone).date()
    edges = {edge for shift in _shifts_of(roster, first - ONE_DAY, last + ONE_DAY) for edge in shift}
    for override in roster.overrides:
        edges |= {override.starts_at, override.ends_at}
    return sorted(edge for edge in edges if after < edge < before)


def _shifts_of(roster: Roster, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    day = first
    while day <= last:
        for shift in roster.shifts:
            if shift.weekday == day.isoweekday() and day not in roster.holidays:
                ends_on = day if shift.end > shift.start else day + ONE_DAY
                start = first_instant(day, shift.start, roster.zone)
                yield start, last_instant(ends_on, shift.end, roster.zone)
        day += ONE_DAY
