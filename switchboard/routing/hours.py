"""Weekly hours as people write them: `9-17`, `09:00-12:30, 14:00-18:00`, `22:00-06:00`; nothing for a day off."""

import re
from collections.abc import Sequence
from datetime import time

from switchboard.routing.models import Shift

WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:-|–|to)\s*(\d{1,2})(?:[:.](\d{2}))?")
MOST_SPANS = 6


def parse_hours(text: str) -> list[tuple[time, time]]:
    """Read one day's hours as (start, end); 24:00 is midnight. Raises ValueError with what is wrong."""
    spans = [part.strip() for part in re.split(r"[,;]", text) if part.strip()]
    if len(spans) > MOST_SPANS:
        raise ValueError(f"at most {MOST_SPANS} shifts a day")
    return [_parse_span(span) for span in spans]


def format_hours(shifts: Sequence[Shift]) -> str:
    """The text that `parse_hours` reads back."""
    return ", ".join(f"{shift.starts:%H:%M}-{shift.ends:%H:%M}" for shift in shifts)


def _parse_span(text: str) -> tuple[time, time]:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time span; write it like 09:00-17:00")
    return _clock(match[1], match[2], text), _clock(match[3], match[4], text)


def _clock(hours: str, minutes: str | None, text: str) -> time:
    hour, minute = int(hours), int(minutes or 0)
    if (hour, minute) == (24, 0):
        return time()
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r} is no time of day; hours go from 0 to 24, minutes from 00 to 59")
    return time(hour, minute)
