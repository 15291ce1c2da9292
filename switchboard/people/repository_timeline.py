"""The statements about what happened to a contact."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID


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
    """A lead as the log knows it, with its title and the title and kind of its stage as far as they are known."""

    id: UUID
    opened_at: datetime
    title: str
    stage: str
    stage_kind: str


@dataclass(frozen=True, slots=True)
class Named:
    """What a row is called. `template` is the letter a message was written from, empty for anything else."""

    id: UUID
    name: str
    template: str


class Wanted(NamedTuple):
    """Ids of what a timeline names; `flows` may be of flows or of their runs."""

    sources: set[UUID]
    flows: set[UUID]
    rotas: set[UUID]
    messages: set[UUID]


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
              AND id < %(before)s
              AND (%(lead)s::uuid IS NULL OR lead_id = %(lead)s)
            ORDER BY id DESC LIMIT %(limit)s
        ) e
        ORDER BY e.id DESC LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "contacts": list(contact_ids),
            "lead": lead_id,
            "before": before or HIGHEST_ID,
            "limit": limit,
        },
    )


async def list_opened_leads(tx: Tx, contact_ids: Collection[UUID], limit: int) -> list[OpenedLead]:
    """The leads that these contacts opened, newest first."""
    # By the index event_by_contact; the leads found, and their stages by primary key.
    return await tx.fetch_all(
        OpenedLead,
        """
        SELECT e.id, e.opened_at, coalesce(l.title, '') AS title,
               CASE WHEN l.is_junk THEN 'Junk' ELSE coalesce(s.title, l.stage, '') END AS stage,
               CASE WHEN l.is_junk THEN 'lost' ELSE coalesce(s.kind, 'open') END AS stage_kind
        FROM (
            SELECT lead_id AS id, min(at) AS opened_at FROM app.event
            WHERE workspace_id = %s AND contact_id = ANY(%s) AND kind = 'lead.created' AND lead_id IS NOT NULL
            GROUP BY lead_id ORDER BY lead_id DESC LIMIT %s
        ) e
        LEFT JOIN app.lead l ON l.id = e.id
        LEFT JOIN app.stage s ON s.workspace_id = l.workspace_id AND s.key = l.stage
        ORDER BY e.id DESC
        """,
        (tx.workspace_id, list(contact_ids), limit),
    )


async def load_named(tx: Tx, wanted: Wanted) -> list[Named]:
    """What the sources, flows, rotas and messages of a timeline are called; a run goes by the name of its flow."""
    # One statement for a whole page, though it reads names of rooms above; each part goes by its primary key.
    return await tx.fetch_all(
        Named,
        """
        SELECT id, name, '' AS template FROM app.source WHERE id = ANY(%(sources)s)
        UNION ALL SELECT id, title, '' FROM app.flow WHERE id = ANY(%(flows)s)
        UNION ALL SELECT r.id, f.title, '' FROM app.run r JOIN app.flow f ON f.id = r.flow_id
                  WHERE r.id = ANY(%(flows)s)
        UNION ALL SELECT r.id, f.title, '' FROM app.run_ended r JOIN app.flow f ON f.id = r.flow_id
                  WHERE r.id = ANY(%(flows)s)
        UNION ALL SELECT id, name, '' FROM app.rota WHERE id = ANY(%(rotas)s)
        UNION ALL SELECT m.id, left(m.subject, 120), coalesce(t.name, '') FROM app.message m
                  LEFT JOIN app.template t ON t.id = m.template_id WHERE m.id = ANY(%(messages)s)
        """,
        {name: list(ids) for name, ids in wanted._asdict().items()},
    )
