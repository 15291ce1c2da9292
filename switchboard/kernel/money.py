"""Money is whole minor units with an ISO 4217 currency; here is how people write it."""

import re
from decimal import Decimal

_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "JOD": 3, "OMR": 3, "TND": 3}
_AMOUNT = re.compile(r"\d{1,15}(?:\.\d{1,3})?")


def minor_digits(currency: str) -> int:
    """How many decimals a currency has: 2 for EUR, 0 for JPY."""
    return _DIGITS.get(currency, 2)


def format_amount(minor: int | None, currency: str | None) -> str:
    """An amount as it stands in a field, `1234.50`; empty where there is none."""
    if minor is None:
        return ""
    digits = minor_digits(currency or "")
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def parse_amount(text: str, currency: str) -> int | None:
    """Minor units from an amount as typed, with a point before the decimals; None when it is not one."""
    plain = re.sub(r"[\s,_']", "", text)
    if not _AMOUNT.fullmatch(plain):
        return None
    minor = Decimal(plain).scaleb(minor_digits(currency))
    return int(minor) if minor == minor.to_integral_value() else None
