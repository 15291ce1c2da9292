"""Where signals are kept while Postgres is away, and what is answered for them.

Kept signals are acknowledged like stored ones. Whether one repeats a signal in Postgres cannot be known meanwhile: it
counts as accepted, and is suppressed by its key when it is brought in. What this process has kept itself it remembers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from switchboard.intake.models import Accepted, NewSignal
from switchboard.intake.outage import Outage
from switchboard.kernel.telemetry import KEPT_SIGNALS

# A sender that got no answer sends again within seconds; this is some of them at a high rate.
MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept outside Postgres at the moment.

    `oldest_seconds` is the age of the oldest signal, None without any. `most_bytes` is all the room there is,
    `set_aside` the files that could not be brought in whole. `error` says why nothing can be kept, empty when it can.
    """

    where: Literal["disk", "redis"]
    signals: int = 0
    bytes: int = 0
    most_bytes: int = 0
    oldest_seconds: float | None = None
    set_aside: int = 0
    error: str = ""

    @property
    def share_percent(self) -> int:
        """How much of the room is taken; 100 without any room."""
        return min(100, round(100 * self.bytes / self.most_bytes)) if self.most_bytes else 100

    @property
    def takes_more(self) -> bool:
        """Whether there is room for another signal."""
        return not self.error and self.bytes < self.most_bytes


class Place(Protocol):
    """One way to keep signals outside Postgres."""

    @property
    def is_away(self) -> bool:
        """Whether it has failed a moment ago, so that it is not worth asking."""
        ...

    async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> None:
        """Keep the signals of some requests durably, all or none; raises UnavailableError for none."""
        ...

    async def measure(self) -> Kept:
        """What is kept here now."""
        ...


class Reserve:
    """The place beside Postgres. With `is_first` everything goes through it, not only while Postgres is away."""

    def __init__(self, place: Place, outage: Outage, *, is_first: bool = False) -> None:
        self.place = place
        self.outage = outage
        self._is_first = is_first
        self._remembered: OrderedDict[tuple[UUID, UUID], UUID] = OrderedDict()

    @property
    def takes_over(self) -> bool:
        """Whether signals go here at this moment."""
        return self.outage.is_on or (self._is_first and not self.place.is_away)

    async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> list[list[Accepted]]:
        """Keep the signals; returns one answer a signal, by request. Raises UnavailableError when none is kept."""
        answers: list[list[Accepted]] = []
        fresh: list[list[NewSignal]] = []
        added: dict[tuple[UUID, UUID], UUID] = {}
        for signals in requests:
            new, answer = self._sort_out(signals, added)
            answers.append(answer)
            if new:
                fresh.append(new)
        if fresh:
            await self.place.keep(fresh)
        self._remember(added)
        KEPT_SIGNALS.inc(len(added))
        return answers

    def _sort_out(
        self, signals: Sequence[NewSignal], added: dict[tuple[UUID, UUID], UUID]
    ) -> tuple[list[NewSignal], list[Accepted]]:
        new: list[NewSignal] = []
        answers: list[Accepted] = []
        for signal in signals:
            key = (signal.source_id, signal.key)
            known = self._remembered.get(key) or added.get(key)
            if known is None:
                added[key] = signal.id
                new.append(signal)
            answers.append(Accepted(known or signal.id, known is not None))
        return new, answers

    def _remember(self, added: dict[tuple[UUID, UUID], UUID]) -> None:
        self._remembered.update(added)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
