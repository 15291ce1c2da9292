"""What the intake room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.intake.formats.base import Format
from switchboard.intake.mapping import FieldMapping

Outcome = Literal["opened", "joined", "junk", "test", "failed"]


@dataclass(frozen=True, slots=True)
class Source:
    """A place signals come from. `settings` holds `redirect_hosts`, the hosts a web form may send people back to."""

    id: UUID
    workspace_id: UUID
    name: str
    format: str
    token: str
    signing_secret: str | None
    mapping: dict[str, object]
    mapping_version: int
    settings: dict[str, object]
    created_at: datetime
    paused_at: datetime | None


@dataclass(frozen=True, slots=True)
class Door:
    """What accepting a signal needs to know of its source; kept in memory for a moment."""

    workspace_id: UUID
    source_id: UUID
    format: Format
    mapping: FieldMapping
    signing_secret: str | None
    redirect_hosts: frozenset[str]
    is_paused: bool


@dataclass(frozen=True, slots=True)
class NewSignal:
    """One row on its way into the database. `key` is what makes it the same as another for `window_seconds`.

    A row of an imported file names the import and its number in the sheet.
    """

    id: UUID
    workspace_id: UUID
    source_id: UUID
    key: UUID
    window_seconds: int
    payload: str
    import_id: UUID | None = None
    import_row: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one sent row: its id, or the id of the signal that it repeats."""

    id: UUID
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class DueSignal:
    """A claimed row of the signals queue."""

    signal_id: UUID
    workspace_id: UUID
    source_id: UUID
    received_at: datetime
    import_id: UUID | None
    import_row: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Received:
    """A signal with its payload as received, decoded."""

    id: UUID
    source_id: UUID
    received_at: datetime
    payload: object


@dataclass(frozen=True, slots=True)
class SignalOutcome:
    """What recognition made of one signal."""

    signal_id: UUID
    received_at: datetime
    source_id: UUID
    outcome: Outcome
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    problems: tuple[Mapping[str, object], ...] = field(default_factory=tuple)
