from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.shifts import (
    Roster,
    ShiftOverride,
    WeeklyShift,
    is_on_shift,
    next_shift_change,
)

BERLIN = "Europe/Berlin"
OFFICE = Roster(BERLIN, [WeeklyShift(day, time(9), time(17)) for day in range(1, 6)])
SATURDAY_NIGHT = Roster(BERLIN, [WeeklyShift(6, time(22), time(6))])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-20T07:59:59", False),
        ("2026-11-20T08:00", True),
        ("2026-11-20T15:59:59", True),
        ("2026-11-20T16:00", False),
        ("2026-11-21T10:00", False),
        ("2026-07-20T07:00", True),
    ],
)
def test_office_hours(instant: str, expected: bool) -> None:
    assert is_on_shift(OFFICE, utc(instant)) is expected


def test_a_night_shift_belongs_to_the_day_it_begins_on() -> None:
    assert is_on_shift(SATURDAY_NIGHT, utc("2026-11-22T04:59"))
    assert not is_on_shift(SATURDAY_NIGHT, utc("2026-11-22T05:00"))
    assert not is_on_shift(SATURDAY_NIGHT, utc("2026-11-20T23:00"))


@pytest.mark.parametrize(
    ("start", "hours"), [("2026-11-21T21:00", 8), ("2026-03-28T21:00", 7), ("2026-10-24T20:00", 9)]
)
def test_a_night_shift_is_as_long_as_its_night(start: str, hours: int) -> None:
    assert is_on_shift(SATURDAY_NIGHT, utc(start))
    assert next_shift_change(SATURDAY_NIGHT, utc(start)) == (utc(start) + timedelta(hours=hours), False)


def test_nobody_begins_on_a_holiday() -> None:
    roster = Roster(BERLIN, OFFICE.shifts, holidays=frozenset({date(2026, 12, 25)}))
    assert not is_on_shift(roster, utc("2026-12-25T10:00"))
    assert next_shift_change(roster, utc("2026-12-24T20:00")) == (utc("2026-12-28T08:00"), True)


def test_an_override_beats_the_plan_and_the_later_one_wins() -> None:
    off = ShiftOverride(utc("2026-11-20T10:00"), utc("2026-11-20T12:00"), is_on=False)
    back = ShiftOverride(utc("2026-11-20T11:00"), utc("2026-11-20T11:30"), is_on=True)
    roster = Roster(BERLIN, OFFICE.shifts, [off, back])
    assert [is_on_shift(roster, utc(f"2026-11-20T{at}")) for at in ("09:59", "10:00", "11:00", "11:30", "12:00")] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_next_shift_change() -> None:
    assert next_shift_change(OFFICE, utc("2026-11-20T10:00")) == (utc("2026-11-20T16:00"), False)
    assert next_shift_change(OFFICE, utc("2026-11-20T16:00")) == (utc("2026-11-23T08:00"), True)
    assert next_shift_change(Roster(BERLIN), utc("2026-11-20T10:00")) is None
    always = Roster(BERLIN, [WeeklyShift(day, time(), time()) for day in range(1, 8)])
    assert next_shift_change(always, utc("2026-11-20T10:00")) is None


rosters = st.builds(
    Roster,
    st.sampled_from([BERLIN, "Australia/Lord_Howe", "America/Nuuk", "UTC"]),
    st.lists(
        st.builds(WeeklyShift, st.integers(1, 7), *[st.times().map(lambda t: t.replace(second=0, fold=0))] * 2),
        max_size=3,
    ),
)
instants = st.integers(0, 2 * 366 * 24 * 60).map(lambda n: utc("2026-01-01T00:00") + timedelta(minutes=n))


@given(rosters, instants)
def test_nothing_changes_before_the_next_change(roster: Roster, after: datetime) -> None:
    change = next_shift_change(roster, after)
    if change is None:
        return
    at, is_on = change
    assert at > after
    assert is_on_shift(roster, at) is is_on
    assert is_on_shift(roster, at - timedelta(microseconds=1)) is not is_on
    assert is_on_shift(roster, after) is not is_on
