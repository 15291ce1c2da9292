"""The public holidays of countries and their regions."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from switchboard.kernel.errors import InvalidError, Problem

NAMES_IN = "en_US"


@lru_cache(maxsize=256)
def country_holidays(country: str, year: int) -> Mapping[date, str]:
    """The holidays of one year by day; `country` is `DE` or, with its region, `DE-BY`. Raises InvalidError."""
    # The library knows hundreds of calendars, so only processes that ask for one load it.
    import holidays  # noqa: PLC0415

    code, _dash, region = country.partition("-")
    try:
        found = holidays.country_holidays(code, subdiv=region or None, years=year, expand=False, language=NAMES_IN)
    except NotImplementedError:
        raise InvalidError("That country's holidays are not known.", problems=[_unknown(country)]) from None
    return dict(found)


def _unknown(country: str) -> Problem:
    message = f"there is no calendar for {country!r}; use a code such as DE or, with its region, DE-BY"
    return Problem("holiday_country", message)
