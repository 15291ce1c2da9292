"""What happened to a contact, as people read it; with what happened to those who were merged into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.accounts.service import list_members
from switchboard.kernel.db import Tx
from switchboard.people import repository_consents, repository_timeline
from switchboard.people.repository_timeline import EventRow, OpenedLead
from switchboard.people.wording import Tone, say

_ACTORS = {"flow": "A flow", "source": "A source", "contact": "They", "system": "Switchboard"}


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One line of a timeline: `actor` did `text`. `body` is what was written, empty when nothing was.

    `subject_id` is the row that changed: the message of `message.sent`, the note of `note.added`.
    """

    id: UUID
    at: datetime
    kind: str
    icon: str
    tone: Tone
    actor: str
    text: str
    body: str
    lead_id: UUID | None
    subject_id: UUID | None
    data: Mapping[str, object]


async def list_timeline(
    tx: Tx, contact_id: UUID, before: UUID | None = None, limit: int = 50, *, lead_id: UUID | None = None
) -> list[TimelineItem]:
    """What happened to a contact, newest first; `before` is the id of the last item seen.

    With `lead_id` only what concerns that lead. Events of contacts merged into this one are among them.
    """
    contact_ids = await repository_timeline.list_ids_with_merged(tx, contact_id)
    rows = await repository_timeline.list_events(tx, contact_ids, lead_id=lead_id, before=before, limit=limit)
    names = {str(member.user_id): member.name for member in await list_members(tx)}
    bodies = await _note_bodies(tx, rows)
    return [_item(row, names, bodies) for row in rows]


async def list_opened_leads(tx: Tx, contact_id: UUID, limit: int = 20) -> list[OpenedLead]:
    """The leads of a contact, and of those who were merged into it, newest first."""
    contact_ids = await repository_timeline.list_ids_with_merged(tx, contact_id)
    return await repository_timeline.list_opened_leads(tx, contact_ids, limit)


async def _note_bodies(tx: Tx, rows: Sequence[EventRow]) -> dict[UUID, str]:
    note_ids = [row.subject_id for row in rows if row.kind == "note.added" and row.subject_id is not None]
    return await repository_consents.load_note_bodies(tx, note_ids) if note_ids else {}


def _item(row: EventRow, names: Mapping[str, str], bodies: Mapping[UUID, str]) -> TimelineItem:
    wording, text = say(row.kind, row.data, names)
    is_call = row.kind == "note.added" and row.data.get("is_call") is True
    return TimelineItem(
        id=row.id,
        at=row.at,
        kind=row.kind,
        icon="phone" if is_call else wording.icon,
        tone=wording.tone,
        actor=_actor(row, names),
        text="called them" if is_call else text,
        body=bodies.get(row.subject_id, "") if row.subject_id is not None else "",
        lead_id=row.lead_id,
        subject_id=row.subject_id,
        data=row.data,
    )


def _actor(row: EventRow, names: Mapping[str, str]) -> str:
    if row.actor_kind == "user":
        return names.get(str(row.actor_id), "A former member")
    return _ACTORS.get(row.actor_kind, row.actor_kind)
