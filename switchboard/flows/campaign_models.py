"""What campaigns speak of: a flow, its audience, when it starts, and what became of each recipient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

from switchboard.delivery.models import CampaignPriority
from switchboard.kernel.columns import Column

CampaignState = Literal["draft", "scheduled", "starting", "running", "paused", "finished", "cancelled"]
AudienceKind = Literal["segment", "import", "everybody", "missed"]
StartKind = Literal["now", "at", "local_hour"]
WhenPassed = Literal["now", "skip", "tomorrow"]
WinnerRule = Literal["none", "manual", "answered", "opt_outs"]
Sweep = Literal["resume", "spread", "cancel"]
RecipientState = Literal[
    "waiting", "queued", "sent", "answered", "bounced", "opted_out", "held", "dropped", "failed", "in_doubt",
    "excluded", "cancelled",
]  # fmt: skip

RECIPIENT_STATES: tuple[RecipientState, ...] = (
    "waiting", "queued", "sent", "answered", "bounced", "opted_out", "held", "dropped", "failed", "in_doubt",
    "excluded", "cancelled",
)  # fmt: skip
# To whom a campaign may be sent once more: those it never reached, or of whom nobody knows.
MISSED_STATES: tuple[RecipientState, ...] = (
    "failed", "dropped", "held", "bounced", "in_doubt", "excluded", "cancelled",
)  # fmt: skip
# Stands among the states of tallies for the runs that have not ended.
UNDER_WAY = "under_way"
# Why a campaign's runs were called back.
CANCELLED = "the campaign was cancelled"


@dataclass(frozen=True, slots=True)
class Variant:
    """What a share of the recipients gets. `flow_version` is None until the campaign has started."""

    number: int
    flow_id: UUID
    share_percent: int
    flow_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignForm:
    """A campaign as somebody wants it. `variants` are flow ids with their shares of 100; one of 100 is the usual.

    Shares that leave a rest need a `winner_rule`: the rest gets the winner's flow, chosen `winner_after` the test's
    part went out, or by hand. `start_at` is for `at`; `local_date` and `local_hour` are for `local_hour`.
    """

    name: str
    title: str = ""
    variants: Sequence[tuple[UUID, int]]
    audience_kind: AudienceKind = "segment"
    audience_id: UUID | None = None
    start_kind: StartKind = "now"
    start_at: datetime | None = None
    local_date: date | None = None
    local_hour: time | None = None
    when_passed: WhenPassed = "now"
    throttle_per_minute: int | None = None
    priority: CampaignPriority = "normal"
    winner_rule: WinnerRule = "none"
    winner_after: timedelta | None = None
    pause_at_percent: int = 5


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it stands. `winner` is the number of the variant that the rest gets, None while none is chosen.

    `is_taken_in` says that everybody of the audience has a line in the ledger; `sweep` names a walk over the ledger
    that is going on. `pause_reason` is a sentence for people.
    """

    id: UUID
    name: str
    title: str
    state: CampaignState
    flow_id: UUID
    audience_kind: AudienceKind
    audience_id: UUID | None
    root_id: UUID
    sends_to_missed_of: UUID | None
    missed_states: Sequence[RecipientState]
    start_kind: StartKind
    start_at: datetime | None
    local_date: date | None
    local_hour: time | None
    when_passed: WhenPassed
    throttle_per_minute: int | None
    priority: CampaignPriority
    winner_rule: WinnerRule
    winner_after: timedelta | None
    winner_due_at: datetime | None
    winner: int | None
    pause_at_percent: int
    seen_sent: int
    seen_bad: int
    cursor: UUID | None
    is_taken_in: bool
    spread_from: datetime | None
    spread: Mapping[str, int]
    sweep: Sweep | None
    sweep_cursor: UUID | None
    held_since: datetime | None
    pause_reason: str | None
    started_at: datetime | None
    paused_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun and has not come to its end."""
        return self.state in ("starting", "running", "paused")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many recipients of one variant stand in each state; `under_way` counts its runs that have not ended."""

    variant: int
    states: Mapping[str, int]
    under_way: int


@dataclass(frozen=True, slots=True)
class CampaignSummary:
    """A campaign as a row of the list, with its recipients by state."""

    campaign: Campaign
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One line of the ledger. `due_at` is when it is their turn; `reason` is a word of ours for where they stand."""

    contact_id: UUID
    name: str
    variant: int
    state: RecipientState
    reason: str | None
    run_id: UUID | None
    message_id: UUID | None
    due_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one recipient: the state they come to, and why."""

    campaign_id: UUID
    contact_id: UUID
    state: RecipientState
    reason: str | None = None
    run_id: UUID | None = None
    message_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AlikeChanges:
    """The same that happened to many recipients of one campaign, each with their run, and message where there is one.

    The columns are of uuids and of one length.
    """

    campaign_id: UUID
    state: RecipientState
    reason: str | None
    contact_ids: Column
    run_ids: Column
    message_ids: Column


@dataclass(frozen=True, slots=True)
class Slice:
    """What taking in a part of the audience came to: how far it went, how many were looked at, how many began.

    `spread` says how many of them go from each moment, by its seconds since 1970.
    """

    cursor: UUID | None
    looked_at: int
    begun: int
    spread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DryRow:
    """What one person would get: `action` is send, defer, hold, drop or exclude, with its reason and a sentence."""

    contact_id: UUID
    name: str
    address: str
    variant: int
    template: str
    subject: str
    due_at: datetime | None
    action: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """A campaign tried on real people, nothing sent. `totals` are by `send` or why not.

    They are of the whole audience, unless it is larger than is counted: then of its first part (`is_whole` False).
    `after` is where the next page of `rows` begins, None at the end.
    """

    totals: Mapping[str, int]
    is_whole: bool
    rows: Sequence[DryRow]
    after: UUID | None
