"""What the intake room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

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


class NewSignal(msgspec.Struct, frozen=True):
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
class RefusedSignal:
    """A kept signal that Postgres will not store, and why not."""

    signal: NewSignal
    reason: str


class Accepted(msgspec.Struct, frozen=True):
    """What became of one sent row: its id, or the id of the signal that it repeats."""

    id: UUID
    is_duplicate: bool


class DueSignal(msgspec.Struct, frozen=True):
    """A claimed row of the signals queue."""

    signal_id: UUID
    workspace_id: UUID
    source_id: UUID
    received_at: datetime
    import_id: UUID | None
    import_row: int | None
    attempts: int


class SignalOutcome(msgspec.Struct, frozen=True):
    """What recognition made of one signal."""

    signal_id: UUID
    received_at: datetime
    source_id: UUID
    outcome: Outcome
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    problems: tuple[Mapping[str, object], ...] = ()


class StoredSignal(msgspec.Struct, frozen=True):
    """A signal with its payload as received, decoded; one from a file names its import and its row in the sheet."""

    id: UUID
    source_id: UUID
    received_at: datetime
    payload: object
    import_id: UUID | None
    import_row: int | None


@dataclass(frozen=True, slots=True)
class LoggedSignal:
    """A signal in the payload log with its last outcome, None when it was never recognised; `is_due` when it waits."""

    id: UUID
    source_id: UUID
    received_at: datetime
    payload: object
    import_id: UUID | None
    import_row: int | None
    outcome: Outcome | None
    contact_id: UUID | None
    lead_id: UUID | None
    problems: list[dict[str, object]] | None
    is_due: bool


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """One time a signal was recognised."""

    at: datetime
    outcome: Outcome
    contact_id: UUID | None
    lead_id: UUID | None
    problems: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class SignalStep:
    """One event on a lead's way that a signal began."""

    kind: str
    at: datetime
    data: dict[str, object]


ImportState = Literal["uploaded", "ready", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Import:
    """A file on its way in: uploaded, examined (`ready`), running until every row is recognised, done.

    `columns` is the mapping as JSON, `sample` what the preview is made of, `is_read` whether the file has been read
    to its end. `rows_read` of `rows_total` rows have become signals or problems; the four counts after it say what
    became of them. `detail` says why it failed.
    """

    id: UUID
    workspace_id: UUID
    source_id: UUID
    file_name: str
    size_bytes: int
    state: ImportState
    encoding: str | None
    delimiter: str | None
    sample: dict[str, object]
    columns: dict[str, object]
    rows_total: int | None
    rows_read: int
    is_read: bool
    rows_new: int
    rows_updated: int
    rows_duplicate: int
    rows_failed: int
    detail: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def rows_settled(self) -> int:
        """Rows of which is known what became of them."""
        return self.rows_new + self.rows_updated + self.rows_duplicate + self.rows_failed

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in {"done", "failed", "cancelled"}
