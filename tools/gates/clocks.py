"""There is one clock, so that tests can move time."""

from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source

PLACES = ("switchboard/kernel/clock.py",)
_NAMES = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "whenever.Instant.now",
    "whenever.ZonedDateTime.now",
    "whenever.Date.today_in_system_tz",
}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source) and not is_any_of(source, *PLACES):
            for use in find_uses(source):
                if use.full_name in _NAMES:
                    yield source.find(use.line, f"{use.full_name}: ask kernel/clock.py for the time")
