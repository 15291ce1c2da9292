"""Months are counted in UTC, over years and whatever their length."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.partitions import first_of_month

instants = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 UTC is added


def test_months_back_go_over_the_end_of_a_year() -> None:
    instant = datetime(2026, 3, 31, 23, tzinfo=UTC)
    assert first_of_month(instant, 0) == datetime(2026, 3, 1, tzinfo=UTC)
    assert first_of_month(instant, 1) == datetime(2026, 2, 1, tzinfo=UTC)
    assert first_of_month(instant, 3) == datetime(2025, 12, 1, tzinfo=UTC)
    assert first_of_month(instant, 24) == datetime(2024, 3, 1, tzinfo=UTC)
    ahead = datetime(2026, 4, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert first_of_month(ahead, 0) == datetime(2026, 3, 1, tzinfo=UTC)


@given(instants, st.integers(0, 1_200))
def test_each_month_back_begins_in_the_month_before(instant: datetime, months: int) -> None:
    begins = first_of_month(instant, months)
    assert (begins.day, begins.time()) == (1, datetime.min.time())
    assert first_of_month(begins - timedelta(seconds=1), 0) == first_of_month(instant, months + 1)
    assert begins <= instant
