"""Waking the owner: somebody waits for them."""

from datetime import timedelta
from uuid import UUID

from switchboard.delivery import service as delivery
from switchboard.delivery.models import Draft
from switchboard.inbox import repository
from switchboard.inbox.models import Conversation
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event

# Whoever writes five mails in a row is one thing to look at.
NOTICE_PAUSE = timedelta(minutes=10)


async def wake_owner(tx: Tx, conversation: Conversation, message_id: UUID, *, who: str, public_url: str) -> None:
    """Say that `who` waits for an answer: to open pages, to flows, and by mail to the owner, not too often."""
    data = {"owner_id": conversation.owner_id, "message_id": message_id}
    waiting = Event(
        "conversation.waiting",
        conversation.id,
        conversation.contact_id,
        conversation.lead_id,
        Actor("contact", conversation.contact_id),
        data,
    )
    await events.append(tx, [waiting])
    if conversation.owner_id is not None and await repository.mark_notified(tx, conversation.id, NOTICE_PAUSE):
        await delivery.queue_messages(tx, [_notice(conversation, who, public_url)])


def _notice(conversation: Conversation, who: str, public_url: str) -> Draft:
    link = f"{public_url}/inbox/{conversation.id}"
    about = f"\n\n{conversation.subject}" if conversation.subject else ""
    return Draft(
        purpose="page",
        user_id=conversation.owner_id,
        subject=f"{who} wrote to you",
        text=f"{who} waits for an answer.{about}\n\nAnswer here: {link}\n\nAn answer to this mail reaches nobody.",
    )
