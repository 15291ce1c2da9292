"""Putting messages into the outbox, and taking them out again before they go."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from switchboard.accounts.models import Member, Workspace
from switchboard.accounts.service import get_workspace, list_members
from switchboard.delivery import repository, repository_outbox, repository_templates
from switchboard.delivery.models import LANE_REPLY, Draft, Message
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import SYSTEM, Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import wake
from switchboard.people import service as people
from switchboard.people.models import Contact

OUTBOX = "outbox"
OUTBOX_URGENT = "outbox-urgent"

# What an event about a message says of whom it belongs to, where that is known.
_BELONGS_TO = ("run_id", "campaign_id", "conversation_id", "user_id", "created_by")
_belongings_of = attrgetter(*_BELONGS_TO)
_WHY_STOPPED = "It was called back before it went out: {reason}."


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a batch of drafts refers to."""

    workspace: Workspace
    contacts: Mapping[UUID, Contact]
    members: Mapping[UUID, Member]
    templates: Mapping[str, tuple[UUID, int]]


async def queue_messages(tx: Tx, drafts: Sequence[Draft]) -> list[UUID]:
    """Queue messages of the transaction's workspace and return their ids, in the order of the drafts.

    A step of a run that has written its message gets that one's id again. A draft to somebody without an address, or
    from a template that is not there, becomes a message that is dropped or failed at once and says so.
    """
    if not drafts:
        return []
    around = await _load_surroundings(tx, drafts)
    rows = [_make_row(draft, around) for draft in drafts]
    added = await repository.insert_messages(tx, rows)
    new = [(draft, row) for draft, row in zip(drafts, rows, strict=True) if row["id"] in added]
    await _make_due(tx, [(draft, row) for draft, row in new if row["state"] == "queued"])
    await events.append(tx, [_event_of(draft, row) for draft, row in new])
    if len(added) == len(rows):
        return [_id_of(row) for row in rows]
    known = await repository.find_ids_of_steps(tx, drafts)
    return [
        _id_of(row) if row["id"] in added else _known_id(draft, known) for draft, row in zip(drafts, rows, strict=True)
    ]


async def make_messages(tx: Tx, drafts: Sequence[Draft]) -> list[Message]:
    """The messages that these drafts would become, in their order; nothing is written."""
    around = await _load_surroundings(tx, drafts)
    unsent = {"stop_reason": None, "sent_anyway_by": None, "created_at": await tx.now(), "sent_at": None}
    rows: list[dict[str, Any]] = [{**_make_row(draft, around), **unsent} for draft in drafts]
    return [Message(**row) for row in rows]


async def wake_outbox(tx: Tx, lanes: Iterable[int]) -> None:
    """Wake, on commit, the loops that take from these lanes."""
    for name in {OUTBOX_URGENT if lane <= LANE_REPLY else OUTBOX for lane in lanes}:
        await wake(tx, name)


async def drop_queued(tx: Tx, run_ids: Sequence[UUID], reason: str) -> list[UUID]:
    """Take back the messages of these runs that have not gone; returns the ids of those dropped.

    A message that is just going out has gone as far as a run can tell; should the try fail, it is not tried again.
    `reason` is a phrase for people, such as `they answered`.
    """
    if not run_ids:
        return []
    dropped = await repository_outbox.delete_queued_of_runs(tx, run_ids)
    await repository_outbox.mark_stopped(tx, run_ids, reason)
    messages = await repository.lock_messages(tx, dropped) if dropped else []
    await drop_stopped(tx, [(message, reason) for message in messages])
    return dropped


async def drop_stopped(tx: Tx, stopped: Sequence[tuple[Message, str]]) -> None:
    """Mark messages as dropped because they were called back, each with its reason; the outbox knows them no more."""
    if not stopped:
        return
    await repository.set_states(
        tx,
        [
            {"id": message.id, "state": "dropped", "reason": "stopped", "detail": _WHY_STOPPED.format(reason=reason)}
            for message, reason in stopped
        ],
    )
    await events.append(
        tx, [message_event("message.dropped", message, {"reason": "stopped"}) for message, _ in stopped]
    )


def message_event(kind: str, message: Message, data: Mapping[str, object] | None = None) -> Event:
    """An event about a message; its data always names channel, purpose and whom it belongs to."""
    named: dict[str, object] = {"channel": message.channel, "purpose": message.purpose}
    belongings = zip(_BELONGS_TO, _belongings_of(message), strict=True)
    named |= {name: value for name, value in belongings if value is not None}
    if data:
        named.update(data)
    return Event(kind, message.id, message.contact_id, message.lead_id, data=named)


async def _load_surroundings(tx: Tx, drafts: Sequence[Draft]) -> _Surroundings:
    contact_ids = {draft.contact_id for draft in drafts if draft.contact_id and not draft.address}
    members = await tx.remember("members", list_members) if any(draft.user_id for draft in drafts) else []
    return _Surroundings(
        workspace=await tx.remember("workspace", get_workspace),
        contacts=await people.load_contacts(tx, contact_ids),
        members={member.user_id: member for member in members},
        templates=await find_templates(tx, drafts),
    )


async def find_templates(tx: Tx, drafts: Sequence[Draft]) -> Mapping[str, tuple[UUID, int]]:
    """Id and present version of the templates that these drafts name, by name; those in use only."""
    names = sorted({draft.template_name for draft in drafts if draft.template_name})

    async def read(tx: Tx) -> dict[str, tuple[UUID, int]]:
        return await repository_templates.find_by_names(tx, names)

    return await tx.remember(f"templates {names}", read) if names else {}


def _make_row(draft: Draft, around: _Surroundings) -> dict[str, object]:
    """The columns of a draft's message."""
    message_id = new_id()
    template = around.templates.get(draft.template_name or "")
    address = _find_address(draft, around)
    state, reason, detail = first_state(draft, address, has_template=template is not None)
    domain = around.workspace.mail_from.rpartition("@")[2]
    return {
        "id": message_id,
        "direction": "out",
        "channel": draft.channel,
        "purpose": draft.purpose,
        "state": state,
        "reason": reason,
        "detail": detail,
        "contact_id": draft.contact_id,
        "lead_id": draft.lead_id,
        "user_id": draft.user_id,
        "conversation_id": draft.conversation_id,
        "run_id": draft.run_id,
        "run_revision": draft.run_revision,
        "campaign_id": draft.campaign_id,
        "template_id": template[0] if template else None,
        "template_version": template[1] if template else None,
        "address": address,
        "subject": draft.subject,
        "body_text": draft.text,
        "body_html": draft.html,
        # Made from the row, so that it is the same at every try.
        "header_id": f"<{message_id.hex}.{around.workspace.id.hex}@{domain}>",
        "in_reply_to": draft.in_reply_to,
        "reference_ids": list(draft.reference_ids),
        "is_urgent": draft.is_urgent,
        "not_after": draft.not_after,
        "when_late": draft.when_late,
        "created_by": draft.created_by,
    }


def _find_address(draft: Draft, around: _Surroundings) -> str:
    if draft.address:
        return draft.address
    if draft.user_id is not None:
        member = around.members.get(draft.user_id)
        return member.email if member else ""
    contact = around.contacts.get(draft.contact_id) if draft.contact_id else None
    if contact is None:
        return ""
    return contact.email if draft.channel == "email" else contact.phone


def first_state(draft: Draft, address: str, *, has_template: bool) -> tuple[str, str | None, str | None]:
    """State, reason and detail of a message as it is written."""
    if not address:
        whom = "The contact has" if draft.contact_id else "The member has"
        return "dropped", "no_address", f"{whom} no address for {draft.channel}."
    if draft.template_name and not has_template:
        return "failed", "no_template", f"There is no template called {draft.template_name}."
    return "queued", None, None


async def _make_due(tx: Tx, queued: Sequence[tuple[Draft, Mapping[str, object]]]) -> None:
    if queued:
        ids = [_id_of(row) for _, row in queued]
        await repository_outbox.insert_outbox(
            tx,
            ids,
            [draft.channel for draft, _ in queued],
            [draft.lane for draft, _ in queued],
            [draft.campaign_id for draft, _ in queued],
        )
        await wake_outbox(tx, (draft.lane for draft, _ in queued))


def _event_of(draft: Draft, row: Mapping[str, object]) -> Event:
    actor = (
        Actor("user", draft.created_by) if draft.created_by else Actor("flow", draft.run_id) if draft.run_id else SYSTEM
    )
    data = event_data(draft, row["reason"])
    return Event(f"message.{row['state']}", _id_of(row), draft.contact_id, draft.lead_id, actor, data)


def event_data(draft: Draft, reason: object) -> dict[str, object]:
    """What the event says by which a message begins."""
    data = {
        "channel": draft.channel,
        "purpose": draft.purpose,
        "template": draft.template_name,
        "run_id": draft.run_id,
        "campaign_id": draft.campaign_id,
        "conversation_id": draft.conversation_id,
        "user_id": draft.user_id,
        "reason": reason,
    }
    return {name: value for name, value in data.items() if value is not None}


def _known_id(draft: Draft, known: Mapping[tuple[UUID, int], UUID]) -> UUID:
    if draft.run_id is None or draft.run_revision is None:
        raise RuntimeError("only a step of a run writes a message twice")
    return known[draft.run_id, draft.run_revision]


def _id_of(row: Mapping[str, object]) -> UUID:
    found = row["id"]
    if not isinstance(found, UUID):
        raise TypeError("a message's id is a UUID")
    return found
