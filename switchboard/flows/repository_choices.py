"""SQL on what a campaign can be made of: flows about contacts, and files whose people get it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Tx

_IMPORT = "id, file_name, rows_new + rows_updated AS people, created_at"


@dataclass(frozen=True, slots=True)
class FlowChoice:
    """A flow that a campaign can send."""

    id: UUID
    name: str
    title: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class ImportChoice:
    """A file that was imported; `people` counts the rows that made or found somebody."""

    id: UUID
    file_name: str
    people: int
    created_at: datetime


async def list_flows(tx: Tx, limit: int) -> list[FlowChoice]:
    """The flows about contacts, by title."""
    # The prefix of the unique index on workspace and name; a workspace has some dozens.
    return await tx.fetch_all(
        FlowChoice,
        """
        SELECT id, name, title, is_active FROM app.flow
        WHERE workspace_id = %s AND subject_kind = 'contact' ORDER BY title, id LIMIT %s
        """,
        (tx.workspace_id, limit),
    )


async def load_flows(tx: Tx, flow_ids: Sequence[UUID]) -> dict[UUID, FlowChoice]:
    """These flows by id."""
    # By primary key.
    found = await tx.fetch_all(
        FlowChoice,
        "SELECT id, name, title, is_active FROM app.flow WHERE workspace_id = %s AND id = ANY(%s)",
        (tx.workspace_id, list(flow_ids)),
    )
    return {one.id: one for one in found}


async def list_imports(tx: Tx, limit: int) -> list[ImportChoice]:
    """The newest imports that made or found somebody, and whose signals are still kept."""
    # Walks the index import_list, after one row by primary key.
    return await tx.fetch_all(
        ImportChoice,
        f"""
        SELECT {_IMPORT} FROM app.import
        WHERE workspace_id = %s AND state IN ('done', 'cancelled')
          AND created_at >= coalesce((SELECT kept_since FROM app.log_keeping WHERE log = 'signal'), '-infinity')
        ORDER BY id DESC LIMIT %s
        """,
        (tx.workspace_id, limit),
    )


async def find_import(tx: Tx, import_id: UUID) -> ImportChoice | None:
    """One import."""
    # By primary key.
    return await tx.find_one(
        ImportChoice,
        f"SELECT {_IMPORT} FROM app.import WHERE workspace_id = %s AND id = %s",
        (tx.workspace_id, import_id),
    )
