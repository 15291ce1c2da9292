from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.formats.coercion import (
    as_currency,
    as_flag,
    as_instant,
    as_text,
    currency_in,
    to_minor_units,
)

SCALARS = st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (1200, None, 120_000),
        (1200.5, "EUR", 120_050),
        ("1,200.50", "USD", 120_050),
        ("1.200,50 €", "EUR", 120_050),
        ("€1'200.50", "EUR", 120_050),
        ("1 200,5", "EUR", 120_050),
        ("1.200", "EUR", 120_000),
        ("1,234,567", "USD", 123_456_700),
        ("12.5", None, 1_250),
        ("0.125", None, 12),
        ("1200", "JPY", 1_200),
        ("1.5", "KWD", 1_500),
        ("-20", None, -2_000),
        ("10k to 20k", None, None),
        ("10-20", None, None),
        ("", None, None),
        ("9" * 30, None, None),
        (1e300, None, None),
        (True, None, None),
    ],
)
def test_amounts(value: str | float, currency: str | None, minor: int | None) -> None:
    assert to_minor_units(value, currency) == minor


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2015-02-28T08:49:14+0000", datetime(2015, 2, 28, 8, 49, 14, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, 0, tzinfo=UTC)),
        ("2026-03-01 12:00:00", datetime(2026, 3, 1, 12, 0, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (1440120384, datetime(2015, 8, 21, 1, 26, 24, tzinfo=UTC)),
        ("1440120384000", datetime(2015, 8, 21, 1, 26, 24, tzinfo=UTC)),
        ("03/01/2026", None),
        ("0001-01-01T00:00:00+14:00", None),
        (7, None),
        (True, None),
    ],
)
def test_instants(value: str | int, instant: datetime | None) -> None:
    assert as_instant(value) == instant


def test_flags() -> None:
    assert [as_flag(value) for value in ("on", "YES", 1, True, "0", "Off", "maybe", 2)] == [
        True,
        True,
        True,
        True,
        False,
        False,
        None,
        None,
    ]


def test_currencies() -> None:
    assert [as_currency(value) for value in ("eur", "€", "bananas")] == ["EUR", "EUR", None]
    assert [currency_in(value) for value in ("1200 USD", "£5", "5", "$5")] == ["USD", "GBP", None, None]


def test_numbers_as_text() -> None:
    assert [as_text(value, 20) for value in (4915.0, 1.5, True, " a ", "", None)] == [
        "4915",
        "1.5",
        "true",
        "a",
        None,
        None,
    ]


@given(SCALARS, st.sampled_from([None, "EUR", "JPY", "KWD"]))
def test_nothing_ever_raises(value: str | float, currency: str | None) -> None:
    to_minor_units(value, currency)
    as_instant(value)
    as_flag(value)
    as_currency(value)
    currency_in(value)
    as_text(value, 10)
