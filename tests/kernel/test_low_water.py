"""Low-water marks: claims begin behind what is done, and miss nothing for longer than a discovery takes to come."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.low_water import (
    DISCOVERY_COST,
    DISCOVERY_SECONDS,
    EVERYTHING,
    GRACE,
    LONGEST_DISCOVERY_SECONDS,
    LowWater,
)
from tests.conftest import Urls

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def test_the_first_claim_looks_at_everything(seconds: Seconds) -> None:
    look = LowWater(seconds).begin()
    assert (look.since, look.is_discovery) == (EVERYTHING, True)


def test_a_full_batch_puts_the_mark_at_its_last_row_but_never_close_to_the_present(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, NOON - timedelta(hours=2))
    assert mark.begin().since == NOON - timedelta(hours=2)
    mark.conclude(mark.begin(), NOON, NOON - timedelta(milliseconds=10))
    assert mark.begin().since == NOON - GRACE


def test_a_batch_that_is_not_full_puts_the_mark_a_grace_behind_the_present(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, None)
    assert mark.begin().since == NOON - GRACE


def test_a_discovery_comes_each_second_and_may_take_the_mark_back(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, None)
    seconds.now += DISCOVERY_SECONDS - 0.001
    assert not mark.begin().is_discovery
    seconds.now += 0.001
    look = mark.begin()
    assert look.is_discovery
    mark.conclude(look, NOON, NOON - timedelta(hours=3))
    assert mark.begin().since == NOON - timedelta(hours=3)


@pytest.mark.parametrize(("cost", "pause"), [(0.01, DISCOVERY_SECONDS), (0.5, 5.0), (60.0, LONGEST_DISCOVERY_SECONDS)])
def test_a_dear_discovery_takes_a_tenth_of_the_time(seconds: Seconds, cost: float, pause: float) -> None:
    mark = LowWater(seconds)
    look = mark.begin()
    seconds.now += cost
    mark.conclude(look, NOON, None)
    seconds.now += pause - 0.001
    assert not mark.begin().is_discovery
    seconds.now += 0.002
    assert mark.begin().is_discovery


def test_a_claim_that_finds_nothing_is_followed_by_a_discovery_unless_that_is_dear(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    first = mark.begin()
    seconds.now += 0.02
    mark.conclude(first, NOON, None)
    assert not mark.look_again(first)
    second = mark.begin()
    assert not mark.look_again(second)
    seconds.now += 0.02 * DISCOVERY_COST + 0.001
    assert mark.look_again(second)


def test_what_was_claimed_and_left_is_looked_at_by_the_next_claim(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, NOON - timedelta(hours=1))
    mark.go_back_to(NOON - timedelta(hours=2))
    assert mark.begin().since == NOON - timedelta(hours=2)
    mark.go_back_to(NOON)
    assert mark.begin().since == NOON - timedelta(hours=2)


def test_after_a_reset_the_next_claim_is_a_discovery(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, None)
    mark.reset()
    assert mark.begin().is_discovery


def test_of_two_claims_side_by_side_the_slower_does_not_take_the_mark_back(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, NOON - timedelta(hours=9))
    slow, quick = mark.begin(), mark.begin()
    mark.conclude(quick, NOON, NOON - timedelta(hours=2))
    mark.conclude(slow, NOON, NOON - timedelta(hours=3))
    assert mark.begin().since == NOON - timedelta(hours=2)


def test_a_claim_that_passed_by_what_another_held_and_left_does_not_take_the_mark_past_it(seconds: Seconds) -> None:
    mark = LowWater(seconds)
    mark.conclude(mark.begin(), NOON, NOON - timedelta(hours=9))
    holding, passing = mark.begin(), mark.begin()
    mark.conclude(holding, NOON, None)
    seconds.now += 0.1
    mark.go_back_to(NOON - timedelta(hours=2))
    mark.conclude(passing, NOON, None)
    assert mark.begin().since == NOON - timedelta(hours=2)
    seconds.now += 0.1
    mark.conclude(mark.begin(), NOON, None)
    assert mark.begin().since == NOON - GRACE


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 15)), max_size=40),
    limit=st.integers(1, 5),
)
def test_nothing_is_missed_for_longer_than_until_the_next_discovery(
    arrivals: list[tuple[float, float]], limit: int
) -> None:
    """Rows with a moment and a later commit; claims each tenth of a second take the oldest that they can see."""
    clock = Seconds()
    mark, start = LowWater(clock), clock.now
    rows = [(due, due + late) for due, late in arrivals]
    free_since: float | None = None
    while clock.now - start < 60:
        elapsed = clock.now - start
        look = mark.begin()
        now = NOON + timedelta(seconds=elapsed)
        seen = sorted(row for row in rows if row[1] <= elapsed and NOON + timedelta(seconds=row[0]) >= look.since)
        taken = seen[:limit]
        for row in taken:
            rows.remove(row)
        last = NOON + timedelta(seconds=taken[-1][0]) if len(taken) == limit else None
        mark.conclude(look, now, last)
        waiting = [row for row in rows if row[1] <= elapsed]
        # Whoever waits longer than a second waits because full batches were taken before, never unseen.
        free_since = elapsed if taken or not waiting else free_since
        assert free_since is None or elapsed - free_since <= DISCOVERY_SECONDS + 0.2
        clock.now += 0.1
    assert rows == []


def test_a_row_that_is_committed_late_with_an_early_moment_is_found_by_the_discovery(
    urls: Urls, seconds: Seconds
) -> None:
    mark = LowWater(seconds)
    with psycopg.connect(urls.superuser) as slow, psycopg.connect(urls.superuser, autocommit=True) as claimer:
        claimer.execute("CREATE TABLE IF NOT EXISTS public.due (id uuid, due_at timestamptz)")
        claimer.execute("TRUNCATE public.due")
        early, late = NOON - timedelta(hours=1), NOON - timedelta(minutes=1)
        slow.execute("INSERT INTO public.due VALUES (%s, %s)", (uuid4(), early))
        claimer.execute("INSERT INTO public.due VALUES (%s, %s)", (uuid4(), late))

        def claim() -> list[datetime]:
            look = mark.begin()
            rows = claimer.execute(
                "DELETE FROM public.due WHERE due_at >= %s RETURNING due_at", (look.since,)
            ).fetchall()
            mark.conclude(look, NOON, None)
            return [row[0] for row in rows]

        assert claim() == [late]
        slow.commit()
        assert claim() == []
        seconds.now += DISCOVERY_SECONDS
        assert claim() == [early]
        claimer.execute("DROP TABLE public.due")
