"""What the inbox hears, and the jobs and loops it runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from switchboard.inbox import repository
from switchboard.inbox.reading import read_mail
from switchboard.inbox.receiving import READ_JOB
from switchboard.inbox.service import WAKE_JOB, wake_snoozed
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event, Hub
from switchboard.kernel.jobs import JobHandler
from switchboard.kernel.settings import Settings

LEAD_EVENTS = ("lead.created", "lead.joined", "lead.assigned", "lead.accepted")
FAILURES = ("message.failed", "message.bounced", "message.dropped", "message.held")


def subscribe(hub: Hub) -> None:
    """Hear who owns a contact's lead, and which answers did not get through."""
    hub.subscribe(LEAD_EVENTS, follow_leads)
    hub.subscribe(FAILURES, wait_again)


def job_handlers(settings: Settings) -> Mapping[str, JobHandler]:
    """The jobs of this room by kind."""
    return {READ_JOB: partial(read_mail, public_url=settings.public_url), WAKE_JOB: _wake}


async def follow_leads(tx: Tx, told: Sequence[Event]) -> None:
    """A conversation is about its contact's newest lead, and belongs to the lead's owner until somebody has it."""
    newest = {
        event.contact_id: (event.lead_id, event.find_id("owner_id"))
        for event in told
        if event.contact_id is not None and event.lead_id is not None and event.contact_id not in tx.newcomers
    }
    if newest:
        leads = [lead_id for lead_id, _ in newest.values()]
        owners = [owner_id for _, owner_id in newest.values()]
        await repository.follow_leads(tx, list(newest), leads, owners)


async def wait_again(tx: Tx, told: Sequence[Event]) -> None:
    """An answer that did not get through is none: its conversation is open and waits again."""
    replies = [event for event in told if event.data.get("purpose") == "reply"]
    unanswered = {found for reply in replies if (found := reply.find_id("conversation_id")) is not None}
    if not unanswered:
        return
    for conversation in await repository.set_waiting_again(tx, sorted(unanswered)):
        data = {"owner_id": conversation.owner_id}
        contact_id, lead_id = conversation.contact_id, conversation.lead_id
        actor = Actor("contact", contact_id)
        await events.append(tx, [Event("conversation.waiting", conversation.id, contact_id, lead_id, actor, data)])


async def _wake(tx: Tx, payload: Mapping[str, object]) -> None:
    await wake_snoozed(tx, UUID(str(payload["conversation_id"])))
