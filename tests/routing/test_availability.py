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
    schedule = Schedule(BERLIN, utc(at), OFFICE, holiday_country="DE")
    assert schedule.presence(ANNA).text == text


@pytest.mark.parametrize(
    ("at", "text", "change"),
    [
        ("2026-11-19 22:59", "always on", "2026-11-19 23:00"),
        ("2026-11-19 23:00", "holiday: Company day", "2026-11-20 23:00"),
        ("2026-11-20 12:00", "holiday: Company day", "2026-11-20 23:00"),
    ],
)
def test_a_rota_without_shifts_is_always_on_but_on_holidays(at: str, text: str, change: str) -> None:
    schedule = Schedule(BERLIN, utc(at), own_holidays=[Holiday(ROTA, date(2026, 11, 20), "Company day")])
    assert schedule.presence(ANNA).text == text
    assert schedule.next_change([ANNA, BEN]) == utc(change)


def test_somebody_without_shifts_in_a_rota_with_shifts_is_off() -> None:
    presence = Schedule(BERLIN, utc("2026-11-20 10:00"), OFFICE).presence(BEN)
    assert (presence.is_on, presence.code, presence.text) == (False, "off_shift", "has no shifts")


@pytest.mark.parametrize(
    ("holiday", "at", "text"),
    [
        (date(2026, 11, 20), "2026-11-20 05:59", "on shift"),
        (date(2026, 11, 20), "2026-11-20 06:00", "off shift until Thu 22:00"),
        (date(2026, 11, 19), "2026-11-19 22:00", "holiday: Closed"),
        (date(2026, 11, 19), "2026-11-20 05:59", "holiday: Closed"),
        (date(2026, 11, 19), "2026-11-20 06:00", "off shift until Thu 22:00"),
    ],
)
def test_a_night_shift_goes_past_midnight_and_belongs_to_the_day_it_starts(holiday: date, at: str, text: str) -> None:
    night = [Shift(ROTA, ANNA, 4, time(22), time(6))]
    schedule = Schedule("UTC", utc(at), night, own_holidays=[Holiday(ROTA, holiday, "Closed")])
    assert schedule.presence(ANNA).text == text


def test_overrides_beat_shifts_and_holidays_and_the_newer_beats_the_older() -> None:
    friday = (utc("2026-12-25 00:00"), utc("2026-12-26 08:00"))
    stands_in = Override(new_id(), ROTA, ANNA, True, *friday, "for Ben")
    away = Override(new_id(), ROTA, ANNA, False, *friday, "ill")
    noon = utc("2026-12-25 11:00")
    one = Schedule(BERLIN, noon, OFFICE, [stands_in], holiday_country="DE")
    assert one.presence(ANNA).text == "stands in until Sat 09:00: for Ben"
    assert one.next_change([ANNA]) == friday[1]
    presence = Schedule(BERLIN, noon, OFFICE, [away, stands_in], holiday_country="DE").presence(ANNA)
    assert (presence.is_on, presence.code, presence.text) == (False, "away", "away until Sat 09:00: ill")


# The clocks of Berlin show 02:30 twice on 25 October 2026, and never on 29 March.
@pytest.mark.parametrize(
    ("at", "on"),
    [
        ("2026-10-25 00:29", "Anna"),
        ("2026-10-25 00:30", "Anna and Ben"),
        ("2026-10-25 01:29", "Anna and Ben"),
        ("2026-10-25 01:30", "Ben"),
        ("2026-03-29 00:59", "Anna"),
        ("2026-03-29 01:00", "Ben"),
    ],
)
def test_shifts_that_meet_in_the_hour_of_a_clock_change_leave_nobody_alone(at: str, on: str) -> None:
    nights = [Shift(ROTA, ANNA, 7, time(0), time(2, 30)), Shift(ROTA, BEN, 7, time(2, 30), time(9))]
    schedule = Schedule(BERLIN, utc(at), nights)
    names = [name for name, user_id in (("Anna", ANNA), ("Ben", BEN)) if schedule.presence(user_id).is_on]
    assert " and ".join(names) == on


def test_a_return_beyond_a_week_has_its_date() -> None:
    once = [Shift(ROTA, ANNA, 1, time(9), time(17))]
    closed = [Holiday(ROTA, date(2026, 11, 23), "Closed")]
    schedule = Schedule("UTC", utc("2026-11-20 10:00"), once, own_holidays=closed)
    assert schedule.presence(ANNA).text == "off shift until Mon 30 Nov 09:00"


def test_the_calendar_of_a_region_has_its_own_days() -> None:
    epiphany = date(2026, 1, 6)
    assert country_holidays("DE", 2026).get(epiphany) is None
    assert country_holidays("DE-BY", 2026)[epiphany] == "Epiphany"


@pytest.mark.parametrize("country", ["XX", "DE-ZZ", "de", ""])
def test_an_unknown_calendar_is_refused(country: str) -> None:
    with pytest.raises(InvalidError) as caught:
        country_holidays(country, 2026)
    assert caught.value.problems[0].field == "holiday_country"
