"""Values written out in conditions: texts, numbers, durations and moments."""

import re
from datetime import UTC, datetime, timedelta

from switchboard.kernel.characters import is_storable

LARGEST_NUMBER = 2**63 - 1
LONGEST_DURATION = timedelta(days=36_500)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# What Postgres, CEL and Python read alike; no counts and no groups that look around.
_PATTERN = re.compile(
    r"(?:[\w\s@,:;/#&%~'\"!=<>.^$*+?|()-]|\\[.\\^$*+?|()\[\]{}/-]|\[\^?[\w\s@.,:;/#&%~'\"!=<>+-]+\])*"
)
# A sign with its backslash, or a choice of letters; and a count of the kind that Python alone knows.
_TAKEN_AS_ONE = re.compile(r"\\.|\[[^]]*\]")
_POSSESSIVE = re.compile(r"[*+?]\+")


class LiteralError(ValueError):
    """A value that conditions of segments cannot use; the message says why."""


def read_text(written: str) -> str:
    """The text of a literal with its quotes; raises LiteralError."""
    prefix = written[: len(written) - len(written.lstrip("rRbB"))].lower()
    if "b" in prefix:
        raise LiteralError("Bytes mean nothing here; write a text in quotes.")
    body = written[len(prefix) :]
    quotes = 3 if body[:3] in {"'''", '"""'} else 1
    inner = body[quotes:-quotes]
    text = inner if "r" in prefix else _ESCAPE.sub(_unescape, inner)
    if not is_storable(text):
        raise LiteralError("This text holds a character that nothing can be compared with; remove it.")
    return text


def _unescape(match: re.Match[str]) -> str:
    for digits, base in ((match[1], 16), (match[2], 16), (match[3], 16), (match[4], 8)):
        if digits is not None:
            return _character(int(digits, base))
    return _SIMPLE.get(match[5], match[5])


def _character(number: int) -> str:
    try:
        return chr(number)
    except (ValueError, OverflowError):
        raise LiteralError("There is no such character; write it as it is.") from None


def read_number(written: str) -> int | float:
    """The number of a literal; raises LiteralError for one that no column can hold."""
    plain = written.rstrip("uU")
    if plain[:2].lower() == "0x":
        value: int | float = int(plain, 16)
    else:
        value = int(plain) if plain.isdigit() else float(plain)
    if abs(value) > LARGEST_NUMBER:
        raise LiteralError("This number is too large; no field holds one like it.")
    return value


def read_duration(text: str) -> timedelta:
    """The length of time of a text such as `48h` or `1h30m`; raises LiteralError."""
    body = text.removeprefix("-")
    parts = _DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise LiteralError("A duration is written like duration('48h') or duration('30m').")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST_DURATION.total_seconds():
        raise LiteralError("A duration is a hundred years at most.")
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def read_moment(text: str) -> datetime:
    """The moment of a text such as `2026-01-31T09:00:00Z`; raises LiteralError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # The first and the last year have moments that in UTC are in none.
    if moment is None or moment.tzinfo is None or "T" not in text or moment.year not in range(2, 9999):
        raise LiteralError("A moment is written like timestamp('2026-01-31T09:00:00Z').")
    return moment.astimezone(UTC)


def check_pattern(text: str) -> None:
    """Raise LiteralError unless the pattern is one that means the same everywhere and is cheap to try."""
    advice = "Patterns know letters, . * + ? | ( ) [ ] ^ and $, and a backslash before a sign that stands for itself."
    if "(?" in text or not _PATTERN.fullmatch(text) or _POSSESSIVE.search(_TAKEN_AS_ONE.sub("x", text)):
        raise LiteralError(advice)
    try:
        re.compile(text)
    except re.error:
        raise LiteralError(advice) from None
