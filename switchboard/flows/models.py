"""What the flows room speaks of when flows run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from switchboard.flows.compiled import CompiledStep
from switchboard.flows.definition import Flow

Phase = Literal["ready", "waiting", "woken"]
Outcome = Literal["finished", "stopped", "failed"]
VersionKey = tuple[UUID, int]
"""A flow's id and the number of one of its versions."""

WHOLE = -1
"""Stands for the whole flow where tallies name a step."""

# What tallies of the whole flow count, beside `finished` and `failed`; after STOPPED stands the reason.
STARTED = "started"
STOPPED = "stopped: "
LEFT = "left: "


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """A flow as a workspace has it; `version` is the newest, which new runs take."""

    id: UUID
    name: str
    title: str
    subject_kind: str
    version: int
    is_active: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """One version as listed; `saved_by` is the name of who saved it, None for the library and the command line."""

    version: int
    saved_by: str | None
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class SourceText:
    """The YAML of one version."""

    flow_id: UUID
    version: int
    source: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version ready to run. `reads_event` says whether a step asks what the event said that began the run."""

    flow_id: UUID
    version: int
    flow: Flow
    steps: tuple[CompiledStep, ...]
    reads_event: bool

    @property
    def key(self) -> VersionKey:
        """Flow and version."""
        return (self.flow_id, self.version)


@dataclass(frozen=True, slots=True)
class Run:
    """One subject on its way through one version.

    `lead_id` is the lead it is about, which for a contact is the lead of the event that began the run. `depth` counts
    how many flows set each other off before this one. `campaign_id` is the campaign that began it, if one did.
    """

    id: UUID
    workspace_id: UUID
    flow_id: UUID
    version: int
    subject_kind: str
    subject_id: UUID
    contact_id: UUID | None
    lead_id: UUID | None
    step: int
    revision: int
    phase: Phase
    due_at: datetime | None
    awaits: str | None
    rounds: int
    attempts: int
    event_data: dict[str, str]
    campaign_id: UUID | None = None

    @property
    def version_key(self) -> VersionKey:
        """Flow and version."""
        return (self.flow_id, self.version)


class NewRun(msgspec.Struct, frozen=True):
    """A run about to begin."""

    id: UUID
    subject_kind: str
    subject_id: UUID
    contact_id: UUID | None
    lead_id: UUID | None
    depth: int
    event_data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, at the step it stood on."""

    id: UUID
    flow_id: UUID
    version: int
    subject_id: UUID
    contact_id: UUID | None
    lead_id: UUID | None
    step: int
    outcome: Outcome
    reason: str
    campaign_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run ends. `step` None means where it stands now."""

    run_id: UUID
    outcome: Outcome
    reason: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One line of a run's history."""

    run_id: UUID
    revision: int
    step: int
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class RunPosition:
    """Where a run stands after a batch."""

    run_id: UUID
    step: int
    revision: int
    phase: Phase
    due_at: datetime | None
    awaits: str | None
    rounds: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs left a step in one way; step -1 is the whole flow."""

    step: int
    outcome: str
    runs: int


@dataclass(frozen=True, slots=True)
class WholeTally:
    """How many runs of a flow began or ended in one way: ever, and of late."""

    flow_id: UUID
    outcome: str
    runs: int
    runs_lately: int


@dataclass(frozen=True, slots=True)
class FlowSummary:
    """A flow as a row of the list. `running` is now; the other numbers are of the last 30 days, `stopped` by reason."""

    id: UUID
    name: str
    title: str
    subject_kind: str
    version: int
    is_active: bool
    updated_at: datetime
    running: int
    started: int
    finished: int
    failed: int
    stopped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StandingRun:
    """Somebody who is at a step now."""

    id: UUID
    flow_id: UUID
    version: int
    step: int
    subject_kind: str
    subject_id: UUID
    contact_id: UUID | None
    lead_id: UUID | None
    phase: Phase
    due_at: datetime | None
    awaits: str | None
    parked: str | None
    attempts: int
    last_error: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that could not go on and needs somebody to look.

    `ended_at` is the present for a run that is still tried again.
    """

    id: UUID
    flow_id: UUID
    flow_title: str
    contact_id: UUID | None
    lead_id: UUID | None
    reason: str
    ended_at: datetime
