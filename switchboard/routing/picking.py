"""Choosing one member of a rota, and saying of everybody else why not. Pure: the batch is decided in memory.

The rows behind a roster are locked while it is used, so its counters are true until the transaction ends.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import msgspec

from switchboard.routing.availability import Presence
from switchboard.routing.models import Candidate, Rota


class Refusal(NamedTuple):
    """Why somebody cannot have it now."""

    code: str
    text: str


@dataclass(slots=True)
class Standing:
    """One member as they stand in a batch; `absence` is None for those who are on and may work subjects."""

    user_id: UUID
    name: str
    position: int
    weight: int = 1
    capacity: int | None = None
    assigned: int = 0
    last_turn: int = 0
    credit: int = 0
    absence: Refusal | None = None
    has_moved: bool = False


class Choice(msgspec.Struct, frozen=True):
    """Who was chosen, or None, and everybody who was looked at in the rota's order."""

    chosen_id: UUID | None
    candidates: tuple[Candidate, ...]


@dataclass(slots=True)
class Roster:
    """A rota's members during one batch.

    `loads` counts everybody's open subjects and is shared by the rosters of a batch. `former_owners` says who had a
    contact before. `has_queue` means that older subjects wait for this rota.
    """

    rota: Rota
    standings: Sequence[Standing]
    loads: Counter[UUID]
    former_owners: dict[UUID, UUID] = field(default_factory=dict)
    has_queue: bool = False
    _explained: dict[tuple[Refusal, ...], tuple[Candidate, ...]] = field(default_factory=dict)

    def choose(self, contact_id: UUID | None, passed_over: Collection[UUID] = ()) -> Choice:
        """Pick the one whose turn it is and count it; those in `passed_over` have had their chance."""
        refusals = [self._refusal(standing, passed_over) for standing in self.standings]
        able = [standing for standing, refusal in zip(self.standings, refusals, strict=True) if refusal is None]
        if not able:
            return Choice(None, self._explain(refusals, lambda _: _NO_REASON))
        former_id = None if contact_id is None else self.former_owners.get(contact_id)
        pick = _PICKS[self.rota.strategy](_Turn(able, self.loads, former_id))
        chosen = Refusal("chosen", f"chosen: {pick.reason}")
        candidates = self._explain(
            refusals, lambda one: chosen if one is pick.chosen else Refusal("not_next", pick.others(one))
        )
        for standing in able:
            standing.has_moved = True
        self._count(pick.chosen, contact_id)
        return Choice(pick.chosen.user_id, candidates)

    def has_anybody(self) -> bool:
        """Whether a subject nobody was passed over for could be given to somebody now."""
        return any(self._refusal(standing, ()) is None for standing in self.standings)

    def count_free(self, most: int) -> int:
        """How many such subjects could be given away now, counted up to `most`."""
        able = [standing for standing in self.standings if self._refusal(standing, ()) is None]
        free = [most if s.capacity is None else s.capacity - self.loads[s.user_id] for s in able]
        return min(sum(free), most)

    def refuse_all(self, refusal: Refusal) -> tuple[Candidate, ...]:
        """Everybody with their own obstacle, and those without one with this."""
        return self._explain([self._refusal(standing, ()) for standing in self.standings], lambda _: refusal)

    def changed(self) -> list[Standing]:
        """The members whose counters moved."""
        return [standing for standing in self.standings if standing.has_moved]

    def _refusal(self, standing: Standing, passed_over: Collection[UUID]) -> Refusal | None:
        if standing.user_id in passed_over:
            return Refusal("passed_over", "passed over: did not accept")
        if standing.absence is not None:
            return standing.absence
        if standing.capacity is not None and (load := self.loads[standing.user_id]) >= standing.capacity:
            return Refusal("at_capacity", f"at capacity: {load} of {standing.capacity}")
        return None

    def _count(self, chosen: Standing, contact_id: UUID | None) -> None:
        chosen.last_turn = 1 + max(standing.last_turn for standing in self.standings)
        chosen.assigned += 1
        self.loads[chosen.user_id] += 1
        if contact_id is not None:
            self.former_owners[contact_id] = chosen.user_id

    def _explain(
        self, refusals: Sequence[Refusal | None], otherwise: Callable[[Standing], Refusal]
    ) -> tuple[Candidate, ...]:
        said = tuple(
            obstacle or otherwise(standing) for standing, obstacle in zip(self.standings, refusals, strict=True)
        )
        # Of a thousand subjects nearly all are explained alike: those share the same words, and are written once.
        known = self._explained.get(said)
        if known is None:
            told = zip(self.standings, said, strict=True)
            known = tuple(Candidate(one.user_id, one.name, refusal.code, refusal.text) for one, refusal in told)
            self._explained[said] = known
        return known


def absence_of(presence: Presence) -> Refusal | None:
    """The refusal of somebody who is not on."""
    return None if presence.is_on else Refusal(presence.code, presence.text)


_NO_REASON = Refusal("not_next", "")


class _Turn(msgspec.Struct, frozen=True):
    able: Sequence[Standing]
    loads: Mapping[UUID, int]
    former_id: UUID | None


class _Pick(msgspec.Struct, frozen=True):
    """The chosen, why, and the words for each of the others who could have had it."""

    chosen: Standing
    reason: str
    others: Callable[[Standing], str]


def _round_robin(turn: _Turn) -> _Pick:
    return _Pick(min(turn.able, key=_order), "next in turn", lambda _: "not their turn")


def _weighted(turn: _Turn) -> _Pick:
    # Smooth weighting: everybody earns their weight, the richest is chosen and pays the sum. Over one sum of turns
    # each is chosen exactly as often as they weigh, spread evenly.
    total = sum(standing.weight for standing in turn.able)
    for standing in turn.able:
        standing.credit += standing.weight
    chosen = max(turn.able, key=lambda standing: (standing.credit, -standing.position))
    chosen.credit -= total
    reason = f"next by weight, {chosen.weight} of {total}"
    return _Pick(chosen, reason, lambda other: f"not their turn, weight {other.weight} of {total}")


def _least_loaded(turn: _Turn) -> _Pick:
    chosen = min(turn.able, key=lambda standing: (turn.loads[standing.user_id], _order(standing)))
    fewest = turn.loads[chosen.user_id]

    def others(other: Standing) -> str:
        load = turn.loads[other.user_id]
        return f"as few open, {load}, not their turn" if load == fewest else f"has {load} open"

    return _Pick(chosen, f"fewest open, {fewest}", others)


def _sticky(turn: _Turn) -> _Pick:
    for standing in turn.able:
        if standing.user_id == turn.former_id:
            return _Pick(standing, "had this contact before", lambda _: "did not have this contact before")
    return _round_robin(turn)


def _order(standing: Standing) -> tuple[int, int]:
    return standing.last_turn, standing.position


_PICKS: Mapping[str, Callable[[_Turn], _Pick]] = {
    "round_robin": _round_robin,
    "weighted": _weighted,
    "least_loaded": _least_loaded,
    "sticky": _sticky,
}
