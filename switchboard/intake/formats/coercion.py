"""Loose values as senders write them, read as the types we keep; each gives None for what it cannot read."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from switchboard.intake.mapping import Scalar

_YES = frozenset({"true", "1", "yes", "y", "on", "t", "agreed", "accepted", "ja", "oui", "si", "sí", "checked"})
_NO = frozenset({"false", "0", "no", "n", "off", "f", "nein", "non", "denied", "unchecked"})
# The signs of several currencies, $ and ¥, say nothing: the workspace's own currency holds then.
_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "₪": "ILS", "₺": "TRY", "₫": "VND", "₦": "NGN"}
_NUMBER_CHARACTERS = re.compile(r"[\d.,'\s_+-]")
# ISO 4217 currencies whose minor unit is not a hundredth.
_NO_DECIMALS = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    }
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_AMOUNT = re.compile(r"-?\d[\d.,'   _]*|-?[.,]\d+")
_LARGEST_MINOR = 10**15
# Seconds up to the year 2286; anything larger counts milliseconds.
_MILLISECONDS_FROM = 10_000_000_000


def as_text(value: Scalar | None, length: int) -> str | None:
    """A text without outer blanks, at most `length` characters; None when empty. 4915.0 is read as 4915."""
    if type(value) is str:
        # Nearly all values are.
        text = value.strip()
        return (text if len(text) <= length else text[:length].strip()) or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return str(value).strip()[:length].strip() or None


def as_flag(value: Scalar) -> bool | None:
    """True or False for what a checkbox or a yes-or-no question sends."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    return True if text in _YES else False if text in _NO else None


def as_instant(value: Scalar) -> datetime | None:
    """An instant in UTC from ISO 8601, or from seconds or milliseconds since 1970. No zone means UTC."""
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    try:
        if re.fullmatch(r"\d{9,16}(\.\d{1,9})?", text):
            number = float(text)
            return datetime.fromtimestamp(number / 1_000 if number >= _MILLISECONDS_FROM else number, UTC)
        if not re.match(r"\d{4}-", text):
            return None
        read = datetime.fromisoformat(text.removesuffix(" UTC"))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def as_currency(value: Scalar) -> str | None:
    """An ISO 4217 code from a code or a currency sign."""
    text = str(value).strip().upper()
    return text if re.fullmatch("[A-Z]{3}", text) else _SIGNS.get(text)


def currency_in(value: Scalar) -> str | None:
    """The currency that an amount such as `€ 1.200` or `1200 USD` names."""
    return as_currency(_NUMBER_CHARACTERS.sub("", str(value)))


def to_minor_units(value: Scalar, currency: str | None) -> int | None:
    """An amount such as 1200, `1,200.50` or `1.200,50 €` in minor units; ranges and words give None."""
    if isinstance(value, bool):
        return None
    found = _AMOUNT.findall(str(value)) if isinstance(value, str) else [format(Decimal(str(value)), "f")]
    if len(found) != 1:
        return None
    try:
        amount = Decimal(_plain_number(found[0]))
        minor = round(amount.scaleb(_decimals(currency)))
    except (InvalidOperation, OverflowError, ValueError):
        return None
    return minor if abs(minor) <= _LARGEST_MINOR else None


def looks_like_email(text: str) -> bool:
    """Whether this can be an e-mail address at all; recognition decides whether it is one."""
    return len(text) <= 320 and _EMAIL.fullmatch(text) is not None


def looks_like_phone(text: str) -> bool:
    """Whether this has as many digits as a phone number needs at least, and is no essay."""
    return len(text) <= 64 and sum(map(str.isdigit, text)) >= 5


def _decimals(currency: str | None) -> int:
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def _plain_number(text: str) -> str:
    """Digits with a point, whichever marks thousands and decimals: the last mark is the decimal one.

    A single mark before exactly three digits (`1.200`) is a thousands mark: amounts have two decimals at most.
    """
    text = re.sub(r"['   _]", "", text).rstrip(".,")
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return text
    whole, decimals = re.sub("[.,]", "", text[:last]), text[last + 1 :]
    is_thousands = len(decimals) == 3 and whole.lstrip("-0") != ""
    repeated = text.count(text[last]) > 1
    return whole + decimals if is_thousands or repeated else f"{whole}.{decimals}"
