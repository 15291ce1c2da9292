"""Until when a conversation can be put off, in the workspace's time."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.localtime import first_instant, to_local

MORNING = time(9)
LATER = timedelta(hours=3)
# From here on "later today" would be at night.
LATEST_LATER = time(18)
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class SnoozeChoice:
    """One offer of the menu; `key` is what the form sends, or an ISO date of the person's own choice."""

    key: str
    label: str
    until: datetime


def list_snooze_choices(now: datetime, zone: str) -> list[SnoozeChoice]:
    """What to offer at this moment, soonest first."""
    local = to_local(now, zone)
    today = local.date()
    next_monday = today + timedelta(days=7 - today.weekday())
    choices = [
        SnoozeChoice("tomorrow", "Tomorrow morning", first_instant(today + timedelta(days=1), MORNING, zone)),
        SnoozeChoice("next_week", "Next week", first_instant(next_monday, MORNING, zone)),
    ]
    if (later := local + LATER).date() == today and later.time() <= LATEST_LATER:
        choices.insert(0, SnoozeChoice("later", "Later today", now + LATER))
    return choices


def read_snooze(choice: str, now: datetime, zone: str) -> datetime:
    """The instant that a choice of the menu or an ISO date stands for; raises InvalidError with field `until`."""
    for offered in list_snooze_choices(now, zone):
        if offered.key == choice:
            return offered.until
    if choice == "later":
        return now + LATER
    try:
        until = first_instant(date.fromisoformat(choice), MORNING, zone)
    except ValueError:
        raise _refusal("choose when it should come back") from None
    if not now < until <= now + LONGEST:
        raise _refusal("choose a day from tomorrow on, at most a year away")
    return until


def _refusal(message: str) -> InvalidError:
    return InvalidError("It cannot be put off until then.", problems=[Problem("until", message)])
