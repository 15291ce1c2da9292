"""Local hours against looking at every quarter of every day, in zones at the edges of the world."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.kernel.localtime import QuietHours, first_instant, last_instant, next_allowed, next_local
from tests.model import wall_clock

# Daylight saving of an hour, of half an hour, at midnight and not at all, and the first and the last to see a day.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "America/Havana",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Nuuk",
    "Pacific/Chatham",
)
zones = st.sampled_from(ZONES)
hours = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
moments = st.integers(0, 6 * 366 * 96).map(
    lambda quarter: datetime(2024, 1, 1, tzinfo=UTC) + quarter * wall_clock.QUARTER
)


def changes(zone: str, year: int) -> list[date]:
    """The local days of a year that are not 24 hours long."""
    days = (date(year, 1, 1) + timedelta(days=count) for count in range(365))
    return [day for day in days if len(wall_clock.quarters_of(day, zone)) != 96]


@given(moments, zones, hours)
@settings(max_examples=300)
def test_the_next_local_hour(after: datetime, zone: str, at: time) -> None:
    assert next_local(after, zone, at) == wall_clock.next_hour(after, at, zone)


@given(moments, zones, hours, hours)
@settings(max_examples=300)
def test_the_end_of_the_quiet(instant: datetime, zone: str, start: time, end: time) -> None:
    if start != end:
        assert next_allowed(instant, zone, QuietHours(start, end)) == wall_clock.next_loud(instant, start, end, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_of_the_days_on_which_clocks_change(zone: str) -> None:
    days = changes(zone, 2026)
    for day in days:
        for quarter in range(96):
            at = time(quarter // 4, quarter % 4 * 15)
            assert first_instant(day, at, zone) == wall_clock.first_at(day, at, zone)
            assert last_instant(day, at, zone) == wall_clock.last_at(day, at, zone)


def test_which_of_them_change_their_clocks() -> None:
    assert {zone: len(changes(zone, 2026)) for zone in ZONES} == {
        "Europe/Berlin": 2,
        "America/New_York": 2,
        "Australia/Lord_Howe": 2,
        "Pacific/Kiritimati": 0,
        "Etc/GMT+12": 0,
        "America/Havana": 2,
        "Asia/Kathmandu": 0,
        "Africa/Casablanca": 2,
        "America/Nuuk": 2,
        "Pacific/Chatham": 2,
    }


def test_a_day_of_february_that_comes_every_four_years() -> None:
    eve = datetime(2028, 2, 28, 12, tzinfo=UTC)
    assert next_local(eve, "Pacific/Kiritimati", time(1)) == datetime(2028, 2, 28, 11, tzinfo=UTC) + timedelta(days=1)
    assert next_local(eve, "Etc/GMT+12", time(23)) == datetime(2028, 2, 29, 11, tzinfo=UTC)
    assert next_local(eve, "UTC", time(9)) == datetime(2028, 2, 29, 9, tzinfo=UTC)
