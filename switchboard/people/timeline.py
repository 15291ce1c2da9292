"""What happened to a contact, as people read it; with what happened to those who were merged into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.accounts.service import list_members
from switchboard.kernel.db import Tx
from switchboard.people import repository_consents, repository_timeline
from switchboard.people.repository_timeline import EventRow, Named, OpenedLead, Wanted
from switchboard.people.wording import Tone, name_message, say

Names = Mapping[str, Named]

_FLOW_TRIGGER = "flow "
_ACTORS = {"flow": "A flow", "source": "A source", "contact": "They", "system": "Switchboard"}


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One line of a timeline: `actor` did `text`. `body` is what was written, empty when nothing was.

    `subject_id` is the row that changed: the message of `message.sent`, the note of `note.added`; `href` its page, or
    empty.
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
    href: str


async def list_timeline(
    tx: Tx, contact_id: UUID, before: UUID | None = None, limit: int = 50, *, lead_id: UUID | None = None
) -> list[TimelineItem]:
    """What happened to a contact, newest first; `before` is the id of the last item seen.

    With `lead_id` only what concerns that lead. Events of contacts merged into this one are among them.
    """
    contact_ids = await repository_timeline.list_ids_with_merged(tx, contact_id)
    rows = await repository_timeline.list_events(tx, contact_ids, lead_id=lead_id, before=before, limit=limit)
    members = {str(member.user_id): member.name for member in await list_members(tx)}
    named = await _load_names(tx, rows)
    bodies = await _note_bodies(tx, rows)
    return [_item(row, members, named, bodies) for row in rows]


async def list_opened_leads(tx: Tx, contact_id: UUID, limit: int = 20) -> list[OpenedLead]:
    """The leads of a contact, and of those who were merged into it, newest first."""
    contact_ids = await repository_timeline.list_ids_with_merged(tx, contact_id)
    return await repository_timeline.list_opened_leads(tx, contact_ids, limit)


async def _note_bodies(tx: Tx, rows: Sequence[EventRow]) -> dict[UUID, str]:
    note_ids = [row.subject_id for row in rows if row.kind == "note.added" and row.subject_id is not None]
    return await repository_consents.load_note_bodies(tx, note_ids) if note_ids else {}


async def _load_names(tx: Tx, rows: Sequence[EventRow]) -> dict[str, Named]:
    """By id: the sources and flows that acted, the rotas that were asked, and the messages."""
    wanted = Wanted(
        sources={row.actor_id for row in rows if row.actor_kind == "source" and row.actor_id is not None},
        flows={row.actor_id for row in rows if row.actor_kind == "flow" and row.actor_id is not None},
        rotas={UUID(str(rota_id)) for row in rows if (rota_id := row.data.get("rota_id"))},
        messages={row.subject_id for row in rows if _is_about_message(row) and row.subject_id is not None},
    )
    named = await repository_timeline.load_named(tx, wanted) if any(wanted) else []
    return {str(one.id): one for one in named}


def _item(row: EventRow, members: Mapping[str, str], named: Names, bodies: Mapping[UUID, str]) -> TimelineItem:
    wording, text = say(row.kind, {**row.data, **_put_together(row, members, named)}, members)
    is_call = row.kind == "note.added" and row.data.get("is_call") is True
    return TimelineItem(
        id=row.id,
        at=row.at,
        kind=row.kind,
        icon="phone" if is_call else wording.icon,
        tone=wording.tone,
        actor=_actor(row, members, named),
        text="called them" if is_call else text,
        body=bodies.get(row.subject_id, "") if row.subject_id is not None else "",
        lead_id=row.lead_id,
        subject_id=row.subject_id,
        data=row.data,
        href=f"/messages/{row.subject_id}" if str(row.subject_id) in named and _is_about_message(row) else "",
    )


def _is_about_message(row: EventRow) -> bool:
    return row.kind.startswith("message.")


def _put_together(row: EventRow, members: Mapping[str, str], named: Names) -> dict[str, str]:
    if not _is_about_message(row):
        return {"by": _decided_by(row, named)}
    message = named.get(str(row.subject_id))
    template = message.template if message else str(row.data.get("template", ""))
    return {"message": name_message(message.name if message else "", template), "way": _way(row, members)}


def _way(row: EventRow, members: Mapping[str, str]) -> str:
    channel = str(row.data.get("channel", ""))
    way = f"by {'e-mail' if channel == 'email' else channel}" if channel else ""
    user_id = row.data.get("user_id")
    return f"{way} to {members.get(str(user_id), 'a former member')}" if user_id is not None else way


def _decided_by(row: EventRow, named: Names) -> str:
    """The rule and the rota that chose somebody, as far as they did."""
    rota = named.get(str(row.data.get("rota_id")))
    rule = row.data.get("rule")
    parts = [f"the rule {rule}" if rule else "", f"the rota {rota.name}" if rota else ""]
    return f"by {' and '.join(filter(None, parts))}" if any(parts) else ""


def _actor(row: EventRow, members: Mapping[str, str], named: Names) -> str:
    if row.actor_kind == "user":
        return members.get(str(row.actor_id), "A former member")
    trigger = str(row.data.get("trigger", ""))
    if row.actor_kind == "system" and trigger.startswith(_FLOW_TRIGGER):
        return trigger.removeprefix(_FLOW_TRIGGER)
    known = named.get(str(row.actor_id))
    flow = str(row.data.get("flow", "")) if row.actor_kind == "flow" else ""
    return known.name if known else flow or _ACTORS.get(row.actor_kind, row.actor_kind)
