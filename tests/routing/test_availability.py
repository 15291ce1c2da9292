"""Who is on at an instant, over nights, holidays, overrides and clock changes."""

from datetime import UTC, date, datetime, time

import pytest

from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.routing.availability import Schedule
from switchboard.routing.calendars import country_holidays
from switchboard.routing.models import Holiday, Override, Shift

ROTA, ANNA, BEN = new_id(), new_id(), new_id()
OFFICE = [Shift(ROTA, ANNA, weekday, time(9), time(17)) for weekday in range(1, 6)]
BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-20 07:59", "off shift until Fri 09:00"),
        ("2026-11-20 08:00", "on shift"),
        ("2026-11-20 15:59", "on shift"),
        ("2026-11-20 16:00", "off shift until Mon 09:00"),
        ("2026-12-25 10:00", "holiday: Christmas Day"),
        ("2026-12-24 17:00", "off shift until Mon 09:00"),
    ],
)
def test_office_hours_in_the_rotas_zone(at: str, text: str) -> None:
    schedule = Schedule(BERLIN, OFFICE, holiday_country="DE")
    assert schedule.presence(ANNA, utc(at)).text == text


def test_a_rota_without_shifts_is_always_on_but_on_holidays() -> None:
    schedule = Schedule(BERLIN, holidays=[Holiday(ROTA, date(2026, 11, 20), "Company day")])
    assert schedule.presence(ANNA, utc("2026-11-19 22:59")).text == "always on"
    assert schedule.presence(ANNA, utc("2026-11-19 23:00")).text == "holiday: Company day"
    assert schedule.next_change([ANNA], utc("2026-11-20 12:00")) == utc("2026-11-20 23:00")


def test_somebody_without_shifts_in_a_rota_with_shifts_is_off() -> None:
    presence = Schedule(BERLIN, OFFICE).presence(BEN, utc("2026-11-20 10:00"))
    assert (presence.is_on, presence.code, presence.text) == (False, "off_shift", "has no shifts")


def test_a_night_shift_goes_past_midnight_and_belongs_to_the_day_it_starts() -> None:
    night = [Shift(ROTA, ANNA, 4, time(22), time(6))]
    schedule = Schedule("UTC", night, holidays=[Holiday(ROTA, date(2026, 11, 20), "Friday off")])
    assert schedule.is_on(ANNA, utc("2026-11-20 05:59")), "it started on Thursday, which is no holiday"
    assert not schedule.is_on(ANNA, utc("2026-11-20 06:00"))
    assert not schedule.is_on(ANNA, utc("2026-11-19 21:59"))


def test_equal_times_are_a_whole_day() -> None:
    schedule = Schedule("UTC", [Shift(ROTA, ANNA, 5, time(9), time(9))])
    assert schedule.is_on(ANNA, utc("2026-11-21 08:59"))
    assert not schedule.is_on(ANNA, utc("2026-11-21 09:00"))


def test_overrides_beat_shifts_and_holidays_and_the_newer_beats_the_older() -> None:
    friday = (utc("2026-12-25 00:00"), utc("2026-12-26 08:00"))
    stands_in = Override(new_id(), ROTA, ANNA, True, *friday, "for Ben")
    schedule = Schedule(BERLIN, OFFICE, [stands_in], holiday_country="DE")
    assert schedule.presence(ANNA, utc("2026-12-25 10:00")).text == "stands in until Sat 09:00: for Ben"
    away = Override(new_id(), ROTA, ANNA, False, *friday, "ill")
    both = Schedule(BERLIN, OFFICE, [stands_in, away], holiday_country="DE")
    presence = both.presence(ANNA, utc("2026-12-25 10:00"))
    assert (presence.is_on, presence.code, presence.text) == (False, "away", "away until Sat 09:00: ill")


def test_shifts_that_meet_in_the_repeated_hour_leave_no_gap_and_no_overlap() -> None:
    # On 25 October 2026 the clocks of Berlin show 02:30 at 00:30 and at 01:30 UTC.
    schedule = Schedule(BERLIN, [Shift(ROTA, ANNA, 7, time(0), time(2, 30)), Shift(ROTA, BEN, 7, time(2, 30), time(9))])
    on_at = {
        text: (schedule.is_on(ANNA, utc(text)), schedule.is_on(BEN, utc(text)))
        for text in ("2026-10-25 00:29", "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 07:59", "2026-10-25 08:00")
    }
    assert list(on_at.values()) == [(True, False), (False, True), (False, True), (False, True), (False, False)]


def test_shifts_that_meet_in_the_skipped_hour_meet_after_it() -> None:
    # On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00 at 01:00 UTC.
    schedule = Schedule(BERLIN, [Shift(ROTA, ANNA, 7, time(0), time(2, 30)), Shift(ROTA, BEN, 7, time(2, 30), time(9))])
    assert schedule.next_change([ANNA], utc("2026-03-29 00:00")) == utc("2026-03-29 01:00")
    assert (schedule.is_on(ANNA, utc("2026-03-29 00:59")), schedule.is_on(BEN, utc("2026-03-29 00:59"))) == (
        True,
        False,
    )
    assert (schedule.is_on(ANNA, utc("2026-03-29 01:00")), schedule.is_on(BEN, utc("2026-03-29 01:00"))) == (
        False,
        True,
    )
    assert schedule.next_change([BEN], utc("2026-03-29 01:00")) == utc("2026-03-29 07:00")


def test_the_next_change_looks_two_weeks_ahead_and_says_the_date() -> None:
    once = [Shift(ROTA, ANNA, 1, time(9), time(17))]
    schedule = Schedule("UTC", once, holidays=[Holiday(ROTA, date(2026, 11, 23), "Closed")])
    assert schedule.presence(ANNA, utc("2026-11-20 10:00")).text == "off shift until Mon 30 Nov 09:00"
    closed = Schedule("UTC", once, holidays=[Holiday(ROTA, date(2026, 11, day), "Closed") for day in (23, 30)])
    assert closed.presence(ANNA, utc("2026-11-20 10:00")).text == "off shift for two weeks or more"


def test_the_calendar_of_a_region_has_its_own_days() -> None:
    epiphany = date(2026, 1, 6)
    assert country_holidays("DE", 2026).get(epiphany) is None
    assert country_holidays("DE-BY", 2026)[epiphany] == "Epiphany"


@pytest.mark.parametrize("country", ["XX", "DE-ZZ", "de", ""])
def test_an_unknown_calendar_is_refused(country: str) -> None:
    with pytest.raises(InvalidError) as caught:
        country_holidays(country, 2026)
    assert caught.value.problems[0].field == "holiday_country"
