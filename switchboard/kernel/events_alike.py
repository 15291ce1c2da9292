"""Events that differ only in whom they are about: written in one statement, without an object for each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from switchboard.kernel.columns import Column, read_ids
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, ActorKind, Event, append, notify_live
from switchboard.kernel.ids import new_moment


@dataclass(frozen=True, slots=True)
class AlikeEvents:
    """One event of `kind` for each row of the columns, which are of uuids and of one length.

    `cause_ids` are what made them happen, each once: each event's data has its own under the name `cause`, beside the
    `data` that all share. `actor_id` None means that the cause itself is the actor.
    """

    kind: str
    cause: str
    cause_ids: Column
    subject_ids: Column
    contact_ids: Column
    lead_ids: Column
    actor_kind: ActorKind
    actor_id: UUID | None
    data: Mapping[str, object]
    moment: bytes = field(default_factory=new_moment)


# Writes a batch of events; the primary key (id, at) and the partial index event_by_contact are touched. An id is a
# fresh moment and the lower half of the cause's id, because random bytes cost Postgres more than the row does.
_INSERT = """
INSERT INTO app.event (id, workspace_id, at, kind, contact_id, lead_id, subject_id, actor_kind, actor_id, data)
SELECT encode(overlay(uuid_send(cause_id) PLACING %(moment)s FROM 1 FOR 8), 'hex')::uuid, %(workspace)s, app.now(),
       %(kind)s, contact_id, lead_id, subject_id, %(actor_kind)s, coalesce(%(actor_id)s::uuid, cause_id),
       %(data)s::jsonb || jsonb_build_object(%(cause)s::text, cause_id)
FROM unnest(%(causes)s::uuid[], %(subjects)s::uuid[], %(contacts)s::uuid[], %(leads)s::uuid[])
     AS new (cause_id, subject_id, contact_id, lead_id)
"""


async def append_alike(tx: Tx, told: AlikeEvents) -> None:
    """Write the events of the transaction's workspace, tell the subscribers, and wake live pages on commit.

    Where events are gathered these are, too: there they are few.
    """
    if tx.gathered_events is not None:
        await append(tx, as_events(told))
        return
    await tx.execute(
        _INSERT,
        {
            "workspace": tx.workspace_id,
            "moment": told.moment,
            "kind": told.kind,
            "actor_kind": told.actor_kind,
            "actor_id": told.actor_id,
            "data": json.dumps(told.data, default=str),
            "cause": told.cause,
            "causes": told.cause_ids,
            "subjects": told.subject_ids,
            "contacts": told.contact_ids,
            "leads": told.lead_ids,
        },
    )
    await notify_live(tx, {told.kind.partition(".")[0]})
    await tx.hub.deliver_alike(tx, told)
    if tx.hub.is_heard(told.kind, told.data):
        await tx.hub.deliver_one_by_one(tx, as_events(told))


def as_events(told: AlikeEvents) -> list[Event]:
    """An object for each, as subscribers want them."""
    rows = zip(
        *(read_ids(column) for column in (told.cause_ids, told.subject_ids, told.contact_ids, told.lead_ids)),
        strict=True,
    )
    return [_as_event(told, cause_id, *about) for cause_id, *about in rows if cause_id is not None]


def _as_event(
    told: AlikeEvents, cause_id: UUID, subject_id: UUID | None, contact_id: UUID | None, lead_id: UUID | None
) -> Event:
    return Event(
        told.kind,
        subject_id,
        contact_id,
        lead_id,
        Actor(told.actor_kind, told.actor_id or cause_id),
        {**told.data, told.cause: cause_id},
        UUID(bytes=told.moment + cause_id.bytes[8:]),
    )
