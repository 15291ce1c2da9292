"""What an SMTP server's refusal means: whom it is about, and whether trying again can help."""

import re
from datetime import timedelta
from typing import Literal

from switchboard.delivery.channels.base import AtFault, SendError

Stage = Literal["connect", "sender", "recipient", "content"]

# Answers that ask for, or turn down, who we are; RFC 4954 and what large providers send.
_WHO_WE_ARE = frozenset({530, 534, 535, 538})
_TOO_LARGE = frozenset({552, 523})
_ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_WAIT = re.compile(r"(\d{1,5})\s*(s|sec|second|m|min|minute|h|hour)s?\b", re.IGNORECASE)
_LONGEST_WAIT = timedelta(hours=4)
# Enhanced statuses about an address or a mailbox; all others of class 5 are about us or the content.
_ABOUT_THE_ADDRESS = frozenset({"1", "2"})


def read_refusal(code: int, text: str, stage: Stage) -> SendError:
    """The error for an answer of the server; RFC 5321 codes with RFC 3463 statuses where given.

    A refusal that is about us, such as a wrong password, stays retryable: the message goes out once the
    connection is mended, and nothing is held against its recipient.
    """
    at_fault = _find_fault(code, text, stage)
    permanent = 500 <= code <= 599 and at_fault != "connection"
    return SendError(
        "permanent" if permanent else "retryable",
        str(code),
        f"The mail server answered {code} {text.strip()}"[:500],
        at_fault=at_fault,
        retry_after=None if permanent else _find_wait(text),
    )


def _find_fault(code: int, text: str, stage: Stage) -> AtFault:
    if stage == "connect" or code in _WHO_WE_ARE or code == 421:
        return "connection"
    if code in _TOO_LARGE and not text.lstrip().startswith("5.2.2"):
        return "message"
    enhanced = _ENHANCED.match(text)
    if stage == "sender":
        return "connection"
    if stage == "recipient" and (enhanced is None or enhanced.group(2) in _ABOUT_THE_ADDRESS):
        return "recipient"
    # Many servers only look at the mailbox after the content: 5.2.2 over quota, 5.1.1 no such user.
    if enhanced is not None and enhanced.group(2) in _ABOUT_THE_ADDRESS:
        return "recipient"
    return "message"


def _find_wait(text: str) -> timedelta | None:
    """The wait a greylisting server asks for in its text, when it names one."""
    found = _WAIT.search(text)
    if found is None:
        return None
    unit = {"s": "seconds", "m": "minutes", "h": "hours"}[found.group(2)[0].lower()]
    return min(timedelta(**{unit: int(found.group(1))}), _LONGEST_WAIT)
