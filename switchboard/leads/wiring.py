"""What the leads room hears: who owns a lead now, that somebody answered, and that a workspace is new.

And what it lets segments ask of leads.
"""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event, Hub
from switchboard.leads import repository
from switchboard.leads.repository import Ownership
from switchboard.leads.repository_vocabulary import LEADS
from switchboard.leads.stages import install_stages
from switchboard.people.segment_vocabulary import Relation
from switchboard.routing import service as routing
from switchboard.routing.locking import SUBJECT_LOCKING


def subscribe(hub: Hub) -> None:
    """Hear the rooms below."""
    hub.subscribe([SUBJECT_LOCKING], hold)
    hub.subscribe(["lead.assigned", "lead.waiting", "lead.accepted"], follow_owner)
    hub.subscribe(["message.sent", "note.added"], follow_answer)
    hub.subscribe(["workspace.created"], set_up)


def segment_relations() -> Sequence[Relation]:
    """What conditions of segments may say of a contact's leads."""
    return [LEADS]


async def hold(tx: Tx, told: Sequence[Event]) -> None:
    """Lock leads before routing locks what comes after them."""
    await repository.lock(tx, [event.subject_id for event in told if event.subject_id is not None])


async def follow_owner(tx: Tx, told: Sequence[Event]) -> None:
    """Keep owner and acceptance on the lead as routing decides them; of several decisions the last holds."""
    owners: dict[UUID, Ownership] = {}
    for event in told:
        # A lead that was written with its owner has been told of already.
        if event.lead_id is not None and event.lead_id not in tx.newcomers:
            owner_id = event.find_id("owner_id")
            owners[event.lead_id] = Ownership(event.lead_id, owner_id, event.kind == "lead.accepted")
    if owners:
        await repository.write_ownership(tx, list(owners.values()))


async def follow_answer(tx: Tx, told: Sequence[Event]) -> None:
    """A person's reply, or a call that was noted, stops the first-response clock; who called has accepted the lead."""
    answers = [event for event in told if event.data.get("purpose") == "reply" or event.data.get("is_call") is True]
    lead_ids = {event.lead_id for event in answers if event.lead_id is not None}
    contact_ids = {event.contact_id for event in answers if event.lead_id is None and event.contact_id is not None}
    if lead_ids or contact_ids:
        await repository.mark_responded(tx, lead_ids, contact_ids)
    for event in answers:
        caller_id = event.actor.id if event.actor.kind == "user" and event.data.get("is_call") is True else None
        if caller_id is not None and event.contact_id is not None:
            await routing.accept_by_acting(tx, caller_id, event.contact_id, event.lead_id, trigger="called")


async def set_up(tx: Tx, _told: Sequence[Event]) -> None:
    """Give a new workspace its stages."""
    await install_stages(tx)
