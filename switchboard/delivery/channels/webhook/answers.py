"""What the answer of a sending API means: whether the message went, and whether trying again can help."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from switchboard.delivery.channels.base import SendError

LONGEST_WAIT = timedelta(hours=4)
LONGEST_TEXT = 300

# Answers that are about the moment and not about the message; every 5xx is, too.
_LATER = frozenset({408, 425, 429})
# Answers that are about us or the address: other messages fail the same way until somebody mends it.
_ABOUT_US = frozenset({401, 403, 404, 405, 407, 410})


def read_refusal(status: int, text: str, retry_after: str | None, now: datetime) -> SendError:
    """The error for any answer that is not 2xx."""
    message = f"The sending API answered {status} {' '.join(text.split())}"[:LONGEST_TEXT].strip()
    if status in _LATER or status >= 500:
        return SendError(
            "retryable", str(status), message, at_fault="connection", retry_after=read_wait(retry_after, now)
        )
    if status in _ABOUT_US or status < 400:
        # Redirects are not followed: they could lead anywhere.
        return SendError("retryable", str(status), message, at_fault="connection")
    return SendError("permanent", str(status), message, at_fault="message")


def read_wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """How long a Retry-After asks to wait, in seconds or until a date (RFC 9110); None for none that can be read."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
