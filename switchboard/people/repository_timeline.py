"""The statements about what happened to a contact."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of a contact."""

    id: UUID
    at: datetime
    kind: str
    lead_id: UUID | None
    subject_id: UUID | None
    actor_kind: str
    actor_id: UUID | None
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class OpenedLead:
    """A lead as the log knows it."""

    id: UUID
    opened_at: datetime


async def list_ids_with_merged(tx: Tx, contact_id: UUID) -> list[UUID]:
    """The contact and all that are merged into it."""
    # By the index contact_merged.
    rows = await tx.fetch_tuples("SELECT id FROM app.contact WHERE merged_into = %s ORDER BY id", (contact_id,))
    return [contact_id, *(row[0] for row in rows)]


async def list_events(
    tx: Tx,
    contact_ids: Collection[UUID],
    *,
    lead_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> list[EventRow]:
    """What happened to these contacts, newest first, before the event `before`; of one lead only, where it is given."""
    # Walks the index event_by_contact backwards, once a contact.
    return await tx.fetch_all(
        EventRow,
        """
        SELECT e.id, e.at, e.kind, e.lead_id, e.subject_id, e.actor_kind, e.actor_id, e.data
        FROM unnest(%(contacts)s::uuid[]) AS c (id)
        CROSS JOIN LATERAL (
            SELECT id, at, kind, lead_id, subject_id, actor_kind, actor_id, data FROM app.event
            WHERE workspace_id = %(workspace)s AND contact_id = c.id
              AND (%(before)s::uuid IS NULL OR id < %(before)s)
              AND (%(lead)s::uuid IS NULL OR lead_id = %(lead)s)
            ORDER BY id DESC LIMIT %(limit)s
        ) e
        ORDER BY e.id DESC LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "contacts": list(contact_ids),
            "lead": lead_id,
            "before": before,
            "limit": limit,
        },
    )


async def list_opened_leads(tx: Tx, contact_ids: Collection[UUID], limit: int) -> list[OpenedLead]:
    """The leads that these contacts opened, newest first."""
    # By the index event_by_contact.
    return await tx.fetch_all(
        OpenedLead,
        """
        SELECT lead_id AS id, min(at) AS opened_at FROM app.event
        WHERE workspace_id = %s AND contact_id = ANY(%s) AND kind = 'lead.created' AND lead_id IS NOT NULL
        GROUP BY lead_id ORDER BY lead_id DESC LIMIT %s
        """,
        (tx.workspace_id, list(contact_ids), limit),
    )
