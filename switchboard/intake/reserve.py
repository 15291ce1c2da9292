"""Where signals are kept while Postgres is away, and what is answered for them.

Kept signals are acknowledged like stored ones. Whether one repeats a signal in Postgres cannot be known meanwhile: it
counts as accepted, and is suppressed by its key when it is brought in. What this process has kept itself it remembers.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from msgspec.structs import replace

from switchboard.intake.models import Accepted, NewSignal
from switchboard.intake.outage import Outage
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.telemetry import KEPT_SIGNALS

# A sender that got no answer sends again within seconds; this is some of them at a high rate.
MOST_REMEMBERED = 50_000

_Key = tuple[UUID, UUID]
_Ids = OrderedDict[_Key, UUID]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept outside Postgres at the moment.

    `oldest_seconds` is the age of the oldest signal, None without any. `most_bytes` is all the room there is,
    `set_aside` the files or entries that could not be brought in whole. `error` says why nothing can be kept, `warning`
    when what is kept could be lost all the same; both are empty when all is well.
    """

    where: Literal["disk", "redis"]
    signals: int = 0
    bytes: int = 0
    most_bytes: int = 0
    oldest_seconds: float | None = None
    set_aside: int = 0
    error: str = ""
    warning: str = ""

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

    async def close(self) -> None:
        """Let go; what is kept stays for whoever starts next."""
        ...


class Reserve:
    """The place beside Postgres. With `is_first` everything goes through it, not only while Postgres is away."""

    def __init__(self, place: Place, outage: Outage, *, is_first: bool = False) -> None:
        self.place = place
        self.outage = outage
        self._is_first = is_first
        self._remembered: _Ids = OrderedDict()
        self._in_doubt: _Ids = OrderedDict()

    @property
    def takes_over(self) -> bool:
        """Whether signals go here at this moment."""
        return self.outage.is_on or (self._is_first and not self.place.is_away)

    async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> list[list[Accepted]]:
        """Keep the signals; returns one answer a signal, by request. Raises UnavailableError when none is kept."""
        answers: list[list[Accepted]] = []
        fresh: list[list[NewSignal]] = []
        added: dict[_Key, UUID] = {}
        for signals in requests:
            new, answer = self._sort_out(signals, added)
            answers.append(answer)
            if new:
                fresh.append(new)
        try:
            if fresh:
                await self.place.keep(fresh)
        except UnavailableError:
            # The answer may have been lost, and not the signals: who sends them again is told the ids they then have.
            _remember(self._in_doubt, added)
            raise
        _remember(self._remembered, added)
        KEPT_SIGNALS.inc(len(added))
        return answers

    def recall(self, signals: Sequence[NewSignal]) -> None:
        """These were kept by a process that has ended: whoever sends them again is told their ids."""
        _remember(self._remembered, {(signal.source_id, signal.key): signal.id for signal in signals})

    def _sort_out(
        self, signals: Sequence[NewSignal], added: dict[_Key, UUID]
    ) -> tuple[list[NewSignal], list[Accepted]]:
        new: list[NewSignal] = []
        answers: list[Accepted] = []
        for signal in signals:
            key = (signal.source_id, signal.key)
            known = self._remembered.get(key) or added.get(key)
            signal_id = known or self._in_doubt.get(key, signal.id)
            if known is None:
                added[key] = signal_id
                new.append(replace(signal, id=signal_id))
            answers.append(Accepted(signal_id, known is not None))
        return new, answers


def _remember(ids: _Ids, added: Mapping[_Key, UUID]) -> None:
    ids.update(added)
    while len(ids) > MOST_REMEMBERED:
        ids.popitem(last=False)
