"""What the routing room speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import msgspec

Strategy = Literal["round_robin", "weighted", "least_loaded", "sticky"]
State = Literal["waiting", "offered", "accepted", "released"]

STRATEGIES: Mapping[Strategy, str] = {
    "round_robin": "Round robin: each in turn",
    "weighted": "Weighted: each in turn, by weight",
    "least_loaded": "Least loaded: whoever has the fewest open",
    "sticky": "Sticky owner: whoever had the contact before, else each in turn",
}


class RoutingSubject(msgspec.Struct, frozen=True):
    """What somebody must own: a lead, later an incident. `facts` are nested as the names in RULE_FIELDS are."""

    id: UUID
    kind: str
    contact_id: UUID | None
    facts: Mapping[str, object] = {}


class Outcome(msgspec.Struct, frozen=True):
    """Where one subject stands after routing. `note` says it in words when it did not go as asked.

    `is_last_resort` is set by a hand-on that found nobody left to try: it went to a supervisor, or stayed.
    """

    subject_id: UUID
    state: State
    owner_id: UUID | None
    rota_id: UUID | None
    accept_by: datetime | None
    note: str = ""
    is_last_resort: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has a subject now. `owner_id` stays after release, so that the next lead may stick to them."""

    subject_id: UUID
    subject_kind: str
    contact_id: UUID | None
    state: State
    owner_id: UUID | None
    rota_id: UUID | None
    rule_id: UUID | None
    hand_ons: int
    passed_over: list[UUID]
    offered_at: datetime | None
    accept_within: timedelta | None
    accept_by: datetime | None
    accepted_at: datetime | None
    waiting_since: datetime | None

    @property
    def is_held(self) -> bool:
        """Whether it counts against its owner's capacity."""
        return self.state in ("offered", "accepted") and self.owner_id is not None


class Candidate(msgspec.Struct, frozen=True):
    """One person who was looked at, and the reason as of then: a stable `code` and the words."""

    user_id: UUID
    name: str
    code: str
    text: str

    @property
    def is_chosen(self) -> bool:
        """Whether this is who got it."""
        return self.code == "chosen"


class RuleMatch(msgspec.Struct, frozen=True):
    """The rule that decided, as it was then."""

    rule_id: UUID | None
    name: str
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why this person: rule, rota and candidates as they were at `at`."""

    id: UUID
    at: datetime
    trigger: str
    state: State
    rule: RuleMatch | None
    rota_id: UUID | None
    rota_name: str | None
    strategy: str | None
    chosen_id: UUID | None
    note: str
    candidates: tuple[Candidate, ...]

    @property
    def chosen(self) -> Candidate | None:
        """Who got it, or None while it waits."""
        return next((candidate for candidate in self.candidates if candidate.is_chosen), None)


@dataclass(frozen=True, slots=True)
class Rota:
    """Who is on, when. `holiday_country` is an ISO 3166 code such as `DE` or, with its region, `DE-BY`."""

    id: UUID
    name: str
    time_zone: str
    strategy: Strategy
    holiday_country: str | None
    supervisor_id: UUID | None
    version: int


@dataclass(frozen=True, slots=True)
class RotaMember:
    """One person's place in a rota. `capacity` is the most open subjects they hold in all rotas, None for no limit.

    `last_turn` numbers the rota's turns; `credit` is what smooth weighting owes them.
    """

    rota_id: UUID
    user_id: UUID
    position: int
    weight: int
    capacity: int | None
    assigned: int
    last_assigned_at: datetime | None
    last_turn: int
    credit: int


@dataclass(frozen=True, slots=True)
class Shift:
    """Weekly hours in the rota's zone; weekday 1 is Monday; an end at or before the start is on the next day."""

    rota_id: UUID
    user_id: UUID
    weekday: int
    starts: time
    ends: time


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody is on, or off, whatever the shifts say; of two at once the newer holds."""

    id: UUID
    rota_id: UUID
    user_id: UUID
    is_on: bool
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day of the rota's own on which no shift begins."""

    rota_id: UUID
    day: date
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Where subjects go for which the CEL `condition` holds; exactly one of `rota_id` and `user_id` is set.

    `version` counts changes to the name, the condition and the target. The default rule is always the last.
    """

    id: UUID
    position: int
    name: str
    condition: str
    rota_id: UUID | None
    user_id: UUID | None
    is_enabled: bool
    is_default: bool
    version: int


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """Where a rule sends: a rota, or one member."""

    rota_id: UUID | None = None
    user_id: UUID | None = None


def ids_of(assignments: Sequence[Assignment]) -> list[UUID]:
    """The subjects' ids, in order."""
    return [assignment.subject_id for assignment in assignments]
