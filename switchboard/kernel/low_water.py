"""Low-water marks: where a claim may begin to look, so that it does not walk past what is done over and over.

Rows that are done leave entries in the index by which work is claimed. While any snapshot is older than they are, a
reader at work for minutes or a backup, nobody may clear them away, and each claim from the beginning of the index walks
all of them again. A claim that keeps the mark begins behind them.

The mark is no lower bound of what is due: transactions do not commit in the order in which they began, another process
may give back what it had taken, and a parked row may come back with the moment it had. So a claim looks at everything
again (a discovery) at least each second, and whenever it has found nothing; where a discovery is dear, because old
entries cannot be cleared away, it takes a tenth of the time at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from switchboard.kernel.clock import monotonic_seconds

EVERYTHING = datetime(1, 1, 2, tzinfo=UTC)
"""Before every moment at which a row can be due."""

# Commits are out of order by as long as transactions take: the mark stays behind the present by that much.
GRACE = timedelta(seconds=1)
DISCOVERY_SECONDS = 1.0
LONGEST_DISCOVERY_SECONDS = 30.0
DISCOVERY_COST = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """One claim: rows due at `since` or later; `EVERYTHING` makes it a discovery. `began` is in seconds."""

    since: datetime
    began: float

    @property
    def is_discovery(self) -> bool:
        """Whether nothing is passed over."""
        return self.since == EVERYTHING


class LowWater:
    """The mark of one range of a due index, such as one lane, in one process.

    For each claim: `begin`, look for rows `WHERE due_at >= look.since`, in the order of `due_at`, then `conclude`.
    """

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._since = EVERYTHING
        self._discovered = -LONGEST_DISCOVERY_SECONDS
        self._cost = 0.0
        self._went_back = -LONGEST_DISCOVERY_SECONDS
        self._left_from = EVERYTHING

    def begin(self) -> Look:
        """Where the next claim begins."""
        began = self._clock()
        pause = min(max(DISCOVERY_SECONDS, self._cost * DISCOVERY_COST), LONGEST_DISCOVERY_SECONDS)
        is_old = began - self._discovered >= pause
        return Look(EVERYTHING if is_old else self._since, began)

    def conclude(self, look: Look, now: datetime, last_due: datetime | None) -> None:
        """The claim has looked, at the moment `now` of the one clock.

        `last_due` is when the last of its rows was due where it found as many as it asked for, and None where it found
        fewer: then there is nothing more to find up to `now`.
        """
        if look.is_discovery:
            self._discovered = self._clock()
            self._cost = self._discovered - look.began
        behind = now - GRACE
        # A mark goes back only by a discovery, so a claim that was slower than another beside it changes nothing.
        reached = behind if last_due is None else min(last_due, behind)
        if self._went_back >= look.began:
            # It passed rows by that the other claim held, and left due after all.
            reached = min(reached, self._left_from)
        self._since = reached if look.is_discovery else max(self._since, reached)

    def look_again(self, look: Look) -> bool:
        """Whether a claim that has found nothing should be followed by a discovery at once."""
        return not look.is_discovery and self._clock() - self._discovered >= self._cost * DISCOVERY_COST

    def go_back_to(self, due_at: datetime) -> None:
        """Begin no later than here: rows that were due from then on were claimed, and left for another time."""
        self._since = min(self._since, due_at)
        self._went_back, self._left_from = self._clock(), due_at

    def reset(self) -> None:
        """Make the next claim a discovery: a claim was rolled back, or rows came back with the moments they had."""
        self._since = EVERYTHING
