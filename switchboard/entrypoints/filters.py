"""What templates may do to a value: show money, durations and counts in one way everywhere."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from switchboard.kernel.money import minor_digits


def money(minor: int | None, currency: str | None) -> str:
    """`123456, "EUR"` as `1,234.56 EUR`; empty when there is no value."""
    if minor is None or not currency:
        return ""
    digits = minor_digits(currency)
    return f"{minor / 10**digits:,.{digits}f} {currency}"


def duration(value: timedelta | None) -> str:
    """The largest two units: `2 d 4 h`, `3 min`, `12 s`."""
    if value is None:
        return ""
    seconds = int(abs(value.total_seconds()))
    sizes = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for unit, size in sizes:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


def minutes(value: float | None) -> str:
    """`0.4` as `24 s`, `90.0` as `1 h 30 min`; a dash for None."""
    return "–" if value is None else duration(timedelta(minutes=value))


def plural(number: int, one: str, many: str = "") -> str:
    """`1 lead`, `2 leads`, with thousands separated."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def pair(text: str) -> tuple[str, str]:
    """A choice whose value is its own label."""
    return text, text


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": money,
    "duration": duration,
    "plural": plural,
    "pair": pair,
    "minutes": minutes,
}
