"""Until when a conversation can be put off."""

from datetime import UTC, datetime

import pytest

from switchboard.inbox.snoozing import list_snooze_choices, read_snooze
from switchboard.kernel.errors import InvalidError

ZONE = "Europe/Berlin"
FRIDAY_MORNING = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FRIDAY_NIGHT = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


def test_in_the_morning_there_is_a_later_today() -> None:
    assert [(one.key, one.until) for one in list_snooze_choices(FRIDAY_MORNING, ZONE)] == [
        ("later", datetime(2026, 11, 20, 12, 30, tzinfo=UTC)),
        ("tomorrow", datetime(2026, 11, 21, 8, 0, tzinfo=UTC)),
        ("next_week", datetime(2026, 11, 23, 8, 0, tzinfo=UTC)),
    ]


def test_at_night_there_is_none() -> None:
    assert [one.key for one in list_snooze_choices(FRIDAY_NIGHT, ZONE)] == ["tomorrow", "next_week"]


def test_on_monday_next_week_is_a_week_away() -> None:
    monday = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert read_snooze("next_week", monday, ZONE) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


def test_nine_oclock_is_nine_oclock_across_a_clock_change() -> None:
    saturday = datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
    assert read_snooze("tomorrow", saturday, ZONE) == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


def test_a_day_of_ones_own_choice_begins_in_the_morning() -> None:
    assert read_snooze("2026-12-24", FRIDAY_MORNING, ZONE) == datetime(2026, 12, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("choice", ["", "never", "2026-11-19", "2026-11-20", "2029-01-01", "2026-13-01"])
def test_what_is_no_time_to_come_is_refused(choice: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_snooze(choice, FRIDAY_MORNING, ZONE)
    assert refused.value.problems[0].field == "until"
