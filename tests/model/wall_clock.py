"""Local hours by looking at every quarter of an hour of a day: slow, and too plain to be wrong."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


@lru_cache(maxsize=10_000)
def quarters_of(day: date, zone: str) -> tuple[tuple[datetime, time], ...]:
    """Every quarter of a local day with what the clock on the wall shows then."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
    instants = (begin + count * QUARTER for count in range(4 * 24 * 3))
    local = ((instant, instant.astimezone(ZoneInfo(zone))) for instant in instants)
    return tuple((instant, wall.time()) for instant, wall in local if wall.date() == day)


def first_at(day: date, at: time, zone: str) -> datetime:
    """When the clock first shows `at` or, where it jumps over that, anything later."""
    return next((instant for instant, wall in quarters_of(day, zone) if wall >= at), _midnight(day + DAY, zone))


def last_at(day: date, at: time, zone: str) -> datetime:
    """When the clock shows `at` for the last time, or first anything later where it jumps over that."""
    shown = [instant for instant, wall in quarters_of(day, zone) if wall == at]
    return shown[-1] if shown else first_at(day, at, zone)


def next_hour(after: datetime, at: time, zone: str) -> datetime:
    """The first moment strictly after `after` at which it is `at`."""
    today = after.astimezone(ZoneInfo(zone)).date()
    return next(instant for count in range(3) if (instant := first_at(today + count * DAY, at, zone)) > after)


def is_quiet(instant: datetime, start: time, end: time, zone: str) -> bool:
    """Whether it is between `start` and `end`, which is on the next day when it is no later; never when they agree."""
    return start != end and any(begin <= instant < stop for begin, stop in _windows(instant, start, end, zone))


def next_loud(instant: datetime, start: time, end: time, zone: str) -> datetime:
    """`instant`, or the end of the quiet it is in."""
    while is_quiet(instant, start, end, zone):
        instant += QUARTER
    return instant


def _windows(instant: datetime, start: time, end: time, zone: str) -> Iterator[tuple[datetime, datetime]]:
    today = instant.astimezone(ZoneInfo(zone)).date()
    for day in (today - DAY, today, today + DAY):
        yield first_at(day, start, zone), last_at(day if end > start else day + DAY, end, zone)


def _midnight(day: date, zone: str) -> datetime:
    return quarters_of(day, zone)[0][0]
