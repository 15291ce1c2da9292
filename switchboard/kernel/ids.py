"""Identifiers: UUID version 7 (RFC 9562), so that order of id is order of time and indexes grow at one end."""

import os
import time
from datetime import datetime
from uuid import UUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_RANDOM_BITS = ~((0xF << 76) | (0x3 << 62)) & ((1 << 80) - 1)


def new_id(at: datetime | None = None) -> UUID:
    """A fresh UUIDv7 for the instant `at` (zone-aware), or for the present."""
    # gate: clock ids follow real time, so that their order is the order of making them
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    random_bits = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    return UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT | random_bits)


def lowest_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of the instant `at`: a bound for keyset queries over time."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | _VERSION_AND_VARIANT)
