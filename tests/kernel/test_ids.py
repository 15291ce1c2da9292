"""Ids are UUIDv7 in the order in which they are made."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from switchboard.kernel.ids import lowest_id, new_id

AT = datetime(2026, 11, 20, 10, 30, 0, 123_456, tzinfo=UTC)


def test_ids_of_one_process_are_in_order_also_within_a_millisecond() -> None:
    made = [new_id() for _ in range(2_000)]
    steps = sum(earlier.int >> 64 <= later.int >> 64 for earlier, later in pairwise(made))
    assert steps == 1_999
    assert len(set(made)) == 2_000


def test_an_id_has_the_version_the_variant_and_the_instant() -> None:
    made = new_id(AT)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == 1_795_170_600_123
    assert (made.int >> 64) & 0xFFF == 456 * 4096 // 1000


def test_the_lowest_id_of_an_instant_is_before_all_of_its_millisecond_and_after_all_before() -> None:
    assert new_id(AT - timedelta(milliseconds=1)) < lowest_id(AT) <= new_id(AT)


def test_a_child_process_makes_other_ids_than_its_parent() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id(AT).bytes)
        os._exit(0)
    os.waitpid(child, 0)
    assert UUID(bytes=os.read(reading, 16)) != new_id(AT)
    os.close(reading)
    os.close(writing)
