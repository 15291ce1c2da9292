from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.errors import InvalidError
from switchboard.kernel.localtime import (
    QuietHours,
    first_instant,
    format_duration,
    guess_zone,
    is_quiet,
    last_instant,
    local_day_bounds,
    next_allowed,
    next_local,
    parse_duration,
    to_local,
)

NIGHT = QuietHours(time(21), time(8))
SUNDAY = QuietHours(time(), time(), frozenset({7}))

zones = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
        "Etc/GMT+12",
        "Asia/Kathmandu",
        "America/Nuuk",
        "Africa/Casablanca",
        "America/Havana",
    ]
)
instants = st.integers(0, 10 * 366 * 86_400_000).map(
    lambda ms: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
minutes = st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0))
weekday_sets = st.frozensets(st.integers(1, 7), min_size=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "after", "at", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T12:00", time(9), "2026-03-29T07:00"),
        ("Europe/Berlin", "2026-10-24T12:00", time(9), "2026-10-25T08:00"),
        ("Europe/Berlin", "2026-03-28T12:00", time(2, 30), "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-24T12:00", time(2, 30), "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T00:30", time(2, 30), "2026-10-26T01:30"),
        ("Australia/Lord_Howe", "2026-10-03T12:00", time(2, 10), "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-04T12:00", time(1, 45), "2026-04-04T14:45"),
        ("Pacific/Kiritimati", "2026-01-01T00:00", time(9), "2026-01-01T19:00"),
        ("Etc/GMT+12", "2026-01-01T00:00", time(9), "2026-01-01T21:00"),
        ("UTC", "2028-02-28T10:00", time(9), "2028-02-29T09:00"),
        ("America/Sao_Paulo", "2018-11-03T12:00", time(0, 30), "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2026-11-03T12:00", time(0, 30), "2026-11-04T03:30"),
        ("UTC", "2026-11-20T09:00", time(9), "2026-11-21T09:00"),
    ],
)
def test_next_local(zone: str, after: str, at: time, expected: str) -> None:
    assert next_local(utc(after), zone, at) == utc(expected)


def test_next_local_waits_for_the_weekday() -> None:
    friday_noon = utc("2026-11-20T12:00")
    assert next_local(friday_noon, "UTC", time(9), frozenset(range(1, 6))) == utc("2026-11-23T09:00")
    assert next_local(friday_noon, "UTC", time(9), frozenset({5})) == utc("2026-11-27T09:00")


def test_next_local_without_a_weekday_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="weekday"):
        next_local(utc("2026-01-01"), "UTC", time(9), frozenset())


@given(instants, zones, minutes, weekday_sets)
def test_next_local_is_later_and_shows_that_wall_time(
    after: datetime, zone: str, at: time, weekdays: frozenset[int]
) -> None:
    found = next_local(after, zone, at, weekdays)
    local = to_local(found, zone)
    assert after < found <= after + timedelta(days=15)
    if local.replace(tzinfo=None, second=0).time() != at:
        last_wall = to_local(found - timedelta(seconds=1), zone)
        assert last_wall.replace(tzinfo=None) < datetime.combine(last_wall, at) < local.replace(tzinfo=None)
    else:
        assert local.isoweekday() in weekdays


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), minutes, zones)
def test_first_and_last_instant_differ_only_where_the_clock_repeats(day: date, at: time, zone: str) -> None:
    first, last = first_instant(day, at, zone), last_instant(day, at, zone)
    assert last - first in {timedelta(), timedelta(minutes=30), timedelta(hours=1)}


@pytest.mark.parametrize(
    ("zone", "instant", "expected"),
    [
        ("Europe/Berlin", "2026-11-20T12:00", "2026-11-20T12:00"),
        ("Europe/Berlin", "2026-11-20T20:00", "2026-11-21T07:00"),
        ("Europe/Berlin", "2026-11-21T06:59", "2026-11-21T07:00"),
        ("Europe/Berlin", "2026-11-21T07:00", "2026-11-21T07:00"),
        ("Europe/Berlin", "2026-03-28T22:00", "2026-03-29T06:00"),
        ("Europe/Berlin", "2026-10-24T22:00", "2026-10-25T07:00"),
        ("Pacific/Kiritimati", "2026-11-20T12:00", "2026-11-20T18:00"),
    ],
)
def test_next_allowed_after_a_quiet_night(zone: str, instant: str, expected: str) -> None:
    assert next_allowed(utc(instant), zone, NIGHT) == utc(expected)


def test_windows_that_touch_are_one_silence() -> None:
    saturday_evening = utc("2026-11-21T22:00")
    assert next_allowed(saturday_evening, "UTC", NIGHT, SUNDAY) == utc("2026-11-23T08:00")


def test_a_window_ends_at_the_second_reading_of_a_repeated_hour() -> None:
    quiet = QuietHours(time(23), time(2, 30))
    assert next_allowed(utc("2026-10-25T00:45"), "Europe/Berlin", quiet) == utc("2026-10-25T01:30")


def test_a_window_that_ends_in_a_skipped_hour_ends_with_the_gap() -> None:
    quiet = QuietHours(time(23), time(2, 30))
    assert next_allowed(utc("2026-03-29T00:30"), "Europe/Berlin", quiet) == utc("2026-03-29T01:00")


def test_no_rule_means_no_wait_and_no_gap_is_refused() -> None:
    now = utc("2026-11-20T12:00")
    assert next_allowed(now, "UTC") == now
    with pytest.raises(InvalidError, match="no moment free"):
        next_allowed(now, "UTC", QuietHours(time(8), time(8)))


@given(instants, zones, st.builds(QuietHours, minutes, minutes, weekday_sets))
def test_next_allowed_is_the_first_moment_that_is_not_quiet(instant: datetime, zone: str, quiet: QuietHours) -> None:
    if quiet.start == quiet.end and len(quiet.weekdays) == 7:
        return
    allowed = next_allowed(instant, zone, quiet)
    assert allowed >= instant
    assert not is_quiet(allowed, zone, quiet)
    if allowed > instant:
        assert is_quiet(allowed - timedelta(microseconds=1), zone, quiet)
        assert is_quiet(instant + (allowed - instant) / 2, zone, quiet)


@given(instants, zones, st.builds(QuietHours, minutes, minutes))
def test_what_the_clock_on_the_wall_calls_quiet_is_quiet(instant: datetime, zone: str, quiet: QuietHours) -> None:
    wall = to_local(instant, zone).time()
    if quiet.start < quiet.end and quiet.start <= wall < quiet.end:
        assert is_quiet(instant, zone, quiet)


@pytest.mark.parametrize(
    ("zone", "instant", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("Australia/Lord_Howe", "2026-10-04T01:00", 23.5),
        ("America/Sao_Paulo", "2026-10-25T12:00", 24),
    ],
)
def test_local_days_have_their_real_length(zone: str, instant: str, hours: float) -> None:
    start, end = local_day_bounds(utc(instant), zone)
    assert end - start == timedelta(hours=hours)


@given(instants, zones)
def test_every_instant_is_in_its_local_day(instant: datetime, zone: str) -> None:
    start, end = local_day_bounds(instant, zone)
    assert start <= instant < end
    assert local_day_bounds(end, zone)[0] == end


@pytest.mark.parametrize("zone", ["Berlin", "", "../../etc/passwd", "Europe", "a\0b", "/etc/localtime"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidError, match="no time zone"):
        to_local(utc("2026-01-01"), zone)


def test_a_naive_instant_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_local(datetime(2026, 1, 1), "UTC")  # noqa: DTZ001


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("+4915112345678", None, ("Europe/Berlin", "guessed from the phone number")),
        ("+12125551212", "DE", ("America/New_York", "guessed from the phone number")),
        (None, "jp", ("Asia/Tokyo", "guessed from the country")),
        ("nonsense", "IN", ("Asia/Kolkata", "guessed from the country")),
        ("nonsense", "??", None),
        (None, None, None),
    ],
)
def test_guess_zone(phone: str | None, country: str | None, expected: tuple[str, str] | None) -> None:
    assert guess_zone(phone, country) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("2d", 172_800), ("1h30m", 5_400), ("1w 2d", 777_600), ("90s", 90), (" 1 h ", 3_600)],
)
def test_parse_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-5m", "0m", "99999w", "1.5h", "５m", "5m!"])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=3660 * 86_400))
def test_durations_survive_a_round_trip(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_format_duration() -> None:
    assert format_duration(timedelta(days=2, minutes=5)) == "2d5m"
    assert format_duration(timedelta()) == "0s"
