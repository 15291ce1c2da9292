"""What is said of segments: named sets of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.people.models import ContactSummary

SegmentState = Literal["building", "live"]
CROWD_KINDS = ("import", "segment", "tag", "condition")


@dataclass(frozen=True, slots=True)
class Segment:
    """A named set of contacts: those who meet `condition`, or a list kept by hand where there is none.

    `reads` are the nouns of the events after which a contact may belong or not, such as `lead`; `reads_clock` says that
    time alone may change it. While `state` is `building` the members are not all there yet: `checked` contacts have
    been looked at. `generation` grows with each change of the condition. `looked_at` is when all contacts had last been
    looked at, None for a list. While there is a `problem` nobody enters or leaves.
    """

    id: UUID
    name: str
    title: str
    condition: str | None
    reads: list[str]
    reads_clock: bool
    state: SegmentState
    generation: int
    checked: int
    looked_at: datetime | None
    problem: str | None
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    members: int

    @property
    def is_list(self) -> bool:
        """Whether people are put in by hand."""
        return self.condition is None

    @property
    def is_building(self) -> bool:
        """Whether members may still be missing."""
        return self.state == "building"


@dataclass(frozen=True, slots=True)
class SegmentForm:
    """A segment as a person typed it. Without a `name` one is made of the title; without a condition it is a list."""

    title: str
    name: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class SegmentMember:
    """A contact in a segment, since `added_at`."""

    contact: ContactSummary
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many people: `kind` is one of CROWD_KINDS, `of` the id of an import or a segment, a tag, or a condition."""

    kind: str
    of: str


@dataclass(frozen=True, slots=True)
class MemberOf:
    """A segment that a contact is in, since `added_at`."""

    id: UUID
    name: str
    title: str
    is_list: bool
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """How many contacts meet a condition, estimated where counting would take too long, and some of them."""

    count: int
    is_exact: bool
    sample: list[ContactSummary]


@dataclass(frozen=True, slots=True)
class Kept:
    """A segment as the loop that keeps its members wants it."""

    id: UUID
    name: str
    title: str
    condition: str
    reads: list[str]


@dataclass(frozen=True, slots=True)
class Changes:
    """Who has entered and who has left one segment."""

    segment: Kept | Segment
    entered: Sequence[UUID] = ()
    left: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Dirty:
    """Something happened with a contact that a segment may read; `is_backfill` when it is of the past."""

    workspace_id: UUID
    contact_id: UUID
    noun: str
    is_backfill: bool
    at: datetime
