"""Wall-clock rules in IANA zones, resolved per occurrence: local hours, quiet hours, local days, durations.

Every instant that goes in or comes out is an aware UTC `datetime`; every zone is an IANA name such as
`Europe/Berlin`. Weekdays count as ISO 8601 does: Monday is 1, Sunday 7. A wall time that a clock change skips
stands for the first instant after the gap; one that happens twice stands for its first occurrence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from switchboard.kernel.errors import InvalidError, Problem

EVERY_DAY = frozenset(range(1, 8))
WEEKDAY_NAMES = {1: "mon", 2: "tue", 3: "wed", 4: "thu", 5: "fri", 6: "sat", 7: "sun"}

ONE_DAY = timedelta(days=1)
LONGEST_DURATION = timedelta(days=3660)
_UNIT_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\s*\d{1,9}\s*[wdhms])+\s*", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)\s*([wdhms])", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A local window in which nobody is disturbed, on the weekdays on which it begins.

    `end` at or before `start` means the next day, so equal times are a whole day. Where a clock change
    repeats an edge, the window takes the longer reading: nobody is disturbed by a clock.
    """

    start: time
    end: time
    weekdays: frozenset[int] = EVERY_DAY


class ZoneGuess(NamedTuple):
    """A zone nobody told us; `how` says what it was guessed from, and is shown to people."""

    zone: str
    how: str


def next_local(after: datetime, zone: str, at: time, weekdays: frozenset[int] = EVERY_DAY) -> datetime:
    """The first instant strictly after `after` at which it is `at` on one of `weekdays` in `zone`."""
    if not weekdays:
        raise ValueError("next_local needs at least one weekday")
    today = to_local(after, zone).date()
    for offset in range(15):
        day = today + timedelta(days=offset)
        if day.isoweekday() in weekdays and (instant := first_instant(day, at, zone)) > after:
            return instant
    raise ValueError(f"no local {at} in {zone} within two weeks of {after}")


def next_allowed(instant: datetime, zone: str, *quiet: QuietHours) -> datetime:
    """`instant` when it is in no quiet window of `zone`, else the moment the last one touching it ends.

    Raises InvalidError when the windows together leave no moment free.
    """
    allowed = instant
    while ends := [end for rule in quiet for end in _ends_of_windows(rule, allowed, zone)]:
        allowed = max(ends)
        if allowed - instant > timedelta(days=15):
            raise _invalid("quiet_hours", "These quiet hours leave no moment free; shorten them or free a day.")
    return allowed


def is_quiet(instant: datetime, zone: str, *quiet: QuietHours) -> bool:
    """Whether `instant` falls in one of the windows."""
    return next_allowed(instant, zone, *quiet) != instant


def local_day_bounds(instant: datetime, zone: str) -> tuple[datetime, datetime]:
    """Start (inclusive) and end (exclusive) of the local day that `instant` is in: 23 to 25 hours."""
    day = to_local(instant, zone).date()
    return first_instant(day, time(), zone), first_instant(day + ONE_DAY, time(), zone)


def to_local(instant: datetime, zone: str) -> datetime:
    """The same moment as an aware `datetime` in `zone`."""
    if instant.tzinfo is None:
        raise ValueError("an instant must carry a time zone")
    return instant.astimezone(get_zone(zone))


def first_instant(day: date, at: time, zone: str) -> datetime:
    """When it is `at` on `day` in `zone`: the first time if twice, the end of the gap if never."""
    return _resolve(day, at, zone, fold=0)


def last_instant(day: date, at: time, zone: str) -> datetime:
    """As `first_instant`, but the second time where a clock change repeats it."""
    return _resolve(day, at, zone, fold=1)


def get_zone(name: str) -> ZoneInfo:
    """The zone called `name`; raises InvalidError for a name the zone database does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _invalid("zone", f"There is no time zone {name!r}; use an IANA name such as Europe/Berlin.") from None


def guess_zone(phone_e164: str | None, country: str | None) -> ZoneGuess | None:
    """A zone for somebody who never named one, from their number's area first, then from their country.

    `country` is an ISO 3166 code of two letters. Where several zones fit, the middle one is taken, because it
    is wrong by the fewest hours. None when neither says anything.
    """
    if zone := _middle(_zones_of_phone(phone_e164 or "")):
        return ZoneGuess(zone, "guessed from the phone number")
    if zone := _middle(_zones_by_country().get((country or "").upper(), ())):
        return ZoneGuess(zone, "guessed from the country")
    return None


def parse_duration(text: str) -> timedelta:
    """Read `5m`, `2d`, `1h30m` or `1w 2d`; a day is 24 hours.

    Raises InvalidError, also for nothing and for more than ten years.
    """
    if not _DURATION.fullmatch(text):
        raise _invalid("duration", f"{text!r} is not a duration; write it like 5m, 2d or 1h30m (units w d h m s).")
    seconds = sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
    if seconds == 0:
        raise _invalid("duration", f"{text!r} is no time at all; name at least 1s.")
    if seconds > LONGEST_DURATION.total_seconds():
        raise _invalid("duration", f"{text!r} is longer than ten years; choose a shorter duration.")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The text in days and smaller that `parse_duration` reads back; parts of a second are dropped."""
    left = int(duration.total_seconds())
    parts = []
    for unit in "dhms":
        count, left = divmod(left, _UNIT_SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _ends_of_windows(quiet: QuietHours, instant: datetime, zone: str) -> Iterator[datetime]:
    today = to_local(instant, zone).date()
    for day in (today - ONE_DAY, today, today + ONE_DAY):
        if day.isoweekday() in quiet.weekdays:
            last_day = day if quiet.end > quiet.start else day + ONE_DAY
            end = last_instant(last_day, quiet.end, zone)
            if first_instant(day, quiet.start, zone) <= instant < end:
                yield end


def _resolve(day: date, at: time, zone: str, *, fold: int) -> datetime:
    wall = datetime.combine(day, at, tzinfo=get_zone(zone)).replace(fold=fold)
    instant = wall.astimezone(UTC)
    if instant.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    return _end_of_gap(wall)


def _end_of_gap(skipped: datetime) -> datetime:
    # In a gap fold 1 reads the wall time with the later offset and so lands before the change, fold 0 after.
    before = int(skipped.replace(fold=1).timestamp())
    after = int(skipped.replace(fold=0).timestamp()) + 1
    zone = skipped.tzinfo
    old_offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return datetime.fromtimestamp(after, UTC)


def _zones_of_phone(phone_e164: str) -> tuple[str, ...]:
    # The number-to-zone tables are large, so they are loaded by the processes that guess and by no other.
    import phonenumbers  # noqa: PLC0415
    from phonenumbers import timezone as phone_zones  # noqa: PLC0415

    try:
        number = phonenumbers.parse(phone_e164, None)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(z for z in phone_zones.time_zones_for_number(number) if z != phone_zones.UNKNOWN_TIMEZONE)


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    zones: dict[str, list[str]] = {}
    table = resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _coordinates, zone, *_comment = line.split("\t")
            zones.setdefault(country, []).append(zone)
    return {country: tuple(names) for country, names in zones.items()}


def _middle(zones: tuple[str, ...]) -> str | None:
    ordered = sorted(zones, key=lambda zone: (_winter_offset(zone), zone))
    return ordered[len(ordered) // 2] if ordered else None


def _winter_offset(zone: str) -> timedelta:
    # One fixed day for all, so that the same person gets the same guess all year.
    return datetime(2026, 1, 15, tzinfo=get_zone(zone)).utcoffset() or timedelta()


def _invalid(field: str, message: str) -> InvalidError:
    return InvalidError(message, problems=[Problem(field, message)])
