"""What the leads room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

StageKind = Literal["open", "won", "lost"]
View = Literal["open", "waiting", "mine", "closed", "junk"]

LONGEST_SUBJECT = 120
VIEWS: tuple[View, ...] = ("open", "waiting", "mine", "closed", "junk")


@dataclass(frozen=True, slots=True)
class Stage:
    """One column of the board. `key` never changes; a lead in a stage of kind won or lost is closed."""

    key: str
    title: str
    position: int
    kind: StageKind

    @property
    def is_open(self) -> bool:
        """Whether a lead in this stage still wants something done."""
        return self.kind == "open"

    @property
    def mark(self) -> str:
        """The kind of mark that pages draw before it."""
        return {"won": "ok", "lost": "quiet", "open": "new" if self.position == 1 else "open"}[self.kind]

    @property
    def outcome(self) -> str:
        """`won`, `lost`, or empty while it is open."""
        return "" if self.kind == "open" else self.kind


class Enquiry(msgspec.Struct, frozen=True):
    """What one signal asks for. `value_minor` is in minor units of `currency`; `stage` is a key or a title as sent.

    `occurred_at` is when the person asked, zone-aware, never in the future.
    """

    contact_id: UUID
    source_id: UUID
    occurred_at: datetime
    title: str = ""
    value_minor: int | None = None
    currency: str | None = None
    utm: Mapping[str, object] = {}
    fields: Mapping[str, object] = {}
    stage: str | None = None
    is_junk: bool = False
    junk_reason: str | None = None


class Opened(msgspec.Struct, frozen=True):
    """The lead an enquiry became part of. Only an open one wants an owner: junk and past deals are closed at once."""

    lead_id: UUID
    is_new: bool
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Lead:
    """A contact's enquiry. Open while `closed_at` is None; times are zone-aware.

    `respond_by` is when the first answer is due; `joined_into` names the lead that went on after a merge.
    """

    id: UUID
    contact_id: UUID
    source_id: UUID
    stage: str
    title: str
    value_minor: int | None
    currency: str | None
    utm: dict[str, object]
    fields: dict[str, object]
    signals: int
    owner_id: UUID | None
    is_junk: bool
    junk_reason: str | None
    created_at: datetime
    updated_at: datetime
    respond_by: datetime | None
    accepted_at: datetime | None
    first_responded_at: datetime | None
    closed_at: datetime | None
    joined_into: UUID | None

    @property
    def is_open(self) -> bool:
        """Whether it still wants something done."""
        return self.closed_at is None

    @property
    def subject(self) -> str:
        """The first line of what they want, short enough for a row."""
        line = self.title.strip().split("\n", 1)[0]
        return line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads a list shows. `contact_ids` are those a text was found for, None when nothing was searched."""

    view: View = "open"
    stage: str = ""
    owner_id: UUID | None = None
    is_unowned: bool = False
    source_id: UUID | None = None
    contact_ids: tuple[UUID, ...] | None = None

    @property
    def narrows(self) -> bool:
        """Whether it leaves out leads of a stage."""
        return (self.owner_id, self.source_id, self.contact_ids) != (None, None, None) or self.is_unowned


@dataclass(frozen=True, slots=True)
class LeadSummary:
    """A lead with what a row or a card of it shows. `clock` is the next escalation: accept by, else answer by."""

    id: UUID
    contact_id: UUID
    name: str
    company: str
    title: str
    stage: str
    stage_title: str
    stage_kind: StageKind | None
    owner_id: UUID | None
    owner_name: str
    source_id: UUID
    source_name: str
    value_minor: int | None
    currency: str | None
    is_junk: bool
    is_accepted: bool
    created_at: datetime
    closed_at: datetime | None
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class LeadPage:
    """One page of a list, newest first; the cursors lead to the pages beside it, None where there is none."""

    leads: tuple[LeadSummary, ...]
    newer_than: UUID | None
    older_than: UUID | None


@dataclass(frozen=True, slots=True)
class Reversal:
    """The events of one change, as a range that `undo` takes back: `first` and `last` are event ids."""

    first: UUID
    last: UUID
    count: int
