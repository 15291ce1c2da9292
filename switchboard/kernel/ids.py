"""Identifiers: UUID version 7 (RFC 9562), so that order of id is order of time and indexes grow at one end.

Twelve bits below the millisecond hold its 4096ths, so ids that one process makes one after the other are in order.
"""

import os
import time
from datetime import datetime
from uuid import UUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_RANDOM_BITS = (1 << 62) - 1
_NANOSECONDS = 1_000_000


def new_id(at: datetime | None = None) -> UUID:
    """A fresh UUIDv7 for the instant `at` (zone-aware), or for the present."""
    # gate: clock ids follow real time, so that their order is the order of making them
    nanoseconds = time.time_ns() if at is None else int(at.timestamp() * 1_000_000) * 1_000
    milliseconds, rest = divmod(nanoseconds, _NANOSECONDS)
    fraction = (rest << 12) // _NANOSECONDS
    random_bits = int.from_bytes(os.urandom(8), "big") & _RANDOM_BITS
    return UUID(int=(milliseconds << 80) | (fraction << 64) | _VERSION_AND_VARIANT | random_bits)


def find_id(text: str) -> UUID | None:
    """The id that a text is; None for one that is empty or made up."""
    try:
        return UUID(text)
    except ValueError:
        return None


def lowest_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of the instant `at`: a bound for keyset queries over time."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | _VERSION_AND_VARIANT)
