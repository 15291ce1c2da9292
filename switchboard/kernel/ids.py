"""Identifiers: UUID version 7 (RFC 9562), so that order of id is order of time and indexes grow at one end.

Twelve bits below the millisecond hold its 4096ths, so ids that one process makes one after the other are in order.
"""

import os
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from operator import attrgetter
from uuid import UUID, SafeUUID

# Below and above every id: where a keyset list begins. A bound that is always there keeps the walk of the index bounded
# under a plan that serves all values, too; `%s IS NULL OR id < %s` reads the whole index up to the page.
LOWEST_ID = UUID(int=0)
HIGHEST_ID = UUID(int=(1 << 128) - 1)
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_RANDOM_BITS = 62
_NANOSECONDS = 1_000_000
# Asking the system for randomness each time would cost more than all the rest of an id. An id is no secret.
_random = random.Random(os.urandom(32))  # noqa: S311 ids must differ, not be hard to guess
# A child process must not go on with the same numbers as its parent.
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
_blank, _UNKNOWN = UUID.__new__, SafeUUID.unknown
_put_int, _put_is_safe = UUID.__dict__["int"].__set__, UUID.__dict__["is_safe"].__set__


def new_id(at: datetime | None = None) -> UUID:
    """A fresh UUIDv7 for the instant `at` (zone-aware), or for the present."""
    # gate: clock ids follow real time, so that their order is the order of making them
    nanoseconds = time.time_ns() if at is None else int(at.timestamp() * 1_000_000) * 1_000
    milliseconds = nanoseconds // _NANOSECONDS
    fraction = (nanoseconds - milliseconds * _NANOSECONDS << 12) // _NANOSECONDS
    return _make((milliseconds << 80) | (fraction << 64) | _VERSION_AND_VARIANT | _random.getrandbits(_RANDOM_BITS))


def _make(value: int) -> UUID:
    # The checks of UUID's constructor are for other people's numbers.
    made = _blank(UUID)
    _put_int(made, value)
    _put_is_safe(made, _UNKNOWN)
    return made


def id_of(content: bytes) -> UUID:
    """The id that 16 bytes are, of whatever version."""
    return _make(int.from_bytes(content))


def instant_of(made: UUID) -> datetime:
    """When a UUIDv7 was made, in UTC, to the microsecond."""
    milliseconds, fraction = made.int >> 80, (made.int >> 64) & 0xFFF
    microseconds = milliseconds * 1_000 + (fraction * 1_000 >> 12)
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def new_moment() -> bytes:
    """The upper eight bytes of a fresh id: with the lower eight of another id of ours they are an id of its own."""
    return new_id().bytes[:8]


_number_of = attrgetter("int")


def in_order(ids: Iterable[UUID]) -> list[UUID]:
    """Ids in the order that they have in Postgres, too: compared as numbers, because ids themselves compare slowly."""
    return sorted(ids, key=_number_of)


def find_id(text: str) -> UUID | None:
    """The id that a text is; None for one that is empty or made up."""
    try:
        return UUID(text)
    except ValueError:
        return None


def lowest_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of the instant `at`: a bound for keyset queries over time."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | _VERSION_AND_VARIANT)
