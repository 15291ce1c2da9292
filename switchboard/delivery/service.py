"""Messages: queueing, finding and looking after them.

Templates (`letter_templates`), suppressions and the mailbox have modules of their own.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from switchboard.accounts.models import Caller
from switchboard.delivery import repository, repository_outbox
from switchboard.delivery.errors import MessageNotFoundError, MessageUnderWayError
from switchboard.delivery.holding import hold_campaign, release_campaign
from switchboard.delivery.letter_templates import install_templates
from switchboard.delivery.models import (
    TROUBLED,
    Attempt,
    ChannelBreak,
    Draft,
    InboundMessage,
    Message,
    State,
    Trouble,
    TroubleCount,
)
from switchboard.delivery.queueing import drop_queued, message_event, queue_messages, wake_outbox
from switchboard.delivery.queueing_alike import queue_alike
from switchboard.delivery.repository_alike import Recipients
from switchboard.delivery.suppressing import record_bounce, suppress, unsuppress
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import lowest_id, new_id

__all__ = [
    "Recipients",
    "access_message",
    "count_troubles",
    "drop_queued",
    "find_message_by_header_ids",
    "hold_campaign",
    "install_templates",
    "list_attempts",
    "list_breaks",
    "list_messages_of_contact",
    "list_troubles",
    "load_messages",
    "may_be_sent_again",
    "may_be_sent_anyway",
    "queue_alike",
    "queue_messages",
    "record_bounce",
    "record_inbound",
    "release_campaign",
    "send_again",
    "send_anyway",
    "suppress",
    "unsuppress",
]

PAGE_ROWS = 50
TROUBLES_COUNTED = timedelta(days=7)
MOST_ATTEMPTS_SHOWN = 50
# What a person may send again; of the rest nothing has to be, or it came back for good.
CAN_BE_SENT_AGAIN: frozenset[State] = frozenset({"failed", "held", "dropped", "in_doubt"})
# What keeps back an answer that a person may let through: the recipient's own wish, and nothing else.
CAN_BE_OVERRULED = frozenset({"unsubscribed", "opted_out"})


async def access_message(tx: Tx, caller: Caller, message_id: UUID) -> Message:
    """The message; raises MessageNotFoundError."""
    caller.require("viewer")
    found = await repository.load_messages(tx, [message_id])
    if not found:
        raise MessageNotFoundError
    return found[0]


async def load_messages(tx: Tx, message_ids: Collection[UUID]) -> dict[UUID, Message]:
    """These messages by id; those of strangers are missing."""
    found = await repository.load_messages(tx, message_ids) if message_ids else []
    return {message.id: message for message in found}


async def list_messages_of_contact(
    tx: Tx, contact_id: UUID, *, before: UUID | None = None, limit: int = PAGE_ROWS
) -> list[Message]:
    """A contact's messages both ways, newest first, those older than the message `before`."""
    return await repository.list_of_contact(tx, contact_id, before, limit)


async def find_message_by_header_ids(tx: Tx, header_ids: Sequence[str]) -> Message | None:
    """The newest message with one of these Message-IDs, which carry their angle brackets."""
    return await repository.find_by_header_ids(tx, header_ids) if header_ids else None


async def record_inbound(tx: Tx, inbound: InboundMessage) -> UUID:
    """Keep a message that came in and return its id; one whose Message-ID is known already is the message it was.

    Appends message.received.
    """
    message_id = new_id()
    row = {
        "id": message_id,
        "direction": "in",
        "channel": inbound.channel,
        "purpose": "reply",
        "state": "received",
        "reason": "automatic" if inbound.is_automatic else None,
        "contact_id": inbound.contact_id,
        "lead_id": inbound.lead_id,
        "conversation_id": inbound.conversation_id,
        "address": inbound.address,
        "subject": inbound.subject,
        "body_text": inbound.text,
        "body_html": inbound.html,
        "header_id": inbound.header_id,
        "in_reply_to": inbound.in_reply_to,
        "reference_ids": list(inbound.reference_ids),
        "is_urgent": False,
        "when_late": "skip",
    }
    if not await repository.insert_messages(tx, [row]):
        known = await repository.find_id_by_header(tx, inbound.header_id)
        if known is None:
            raise MessageNotFoundError
        return known
    data = {"channel": inbound.channel, "conversation_id": inbound.conversation_id}
    received = events.Event("message.received", message_id, inbound.contact_id, inbound.lead_id, data=data)
    await events.append(tx, [received])
    return message_id


async def list_attempts(tx: Tx, message_id: UUID) -> list[Attempt]:
    """A message's tries, newest first."""
    return await repository.list_attempts(tx, message_id, MOST_ATTEMPTS_SHOWN)


async def list_troubles(
    tx: Tx,
    *,
    states: Sequence[State] = TROUBLED,
    reason: str = "",
    before: UUID | None = None,
    limit: int = PAGE_ROWS,
    is_unseen: bool = False,
) -> list[Trouble]:
    """Messages that did not simply go out, newest first; with `is_unseen` only those that nobody took note of."""
    return await repository.list_troubles(tx, states, reason=reason, before=before, limit=limit, is_unseen=is_unseen)


async def see(tx: Tx, caller: Caller, message_id: UUID) -> None:
    """Take note of a message that did not go out, so that nobody is asked to look again.

    Raises MessageNotFoundError, MessageUnderWayError when it is not in trouble.
    """
    caller.require("agent")
    message = await access_message(tx, caller, message_id)
    if message.state not in TROUBLED:
        raise MessageUnderWayError
    if await repository.mark_seen(tx, message_id):
        await events.append(tx, [replace(message_event("message.seen", message), actor=caller.actor)])


async def count_troubles(tx: Tx) -> list[TroubleCount]:
    """How many messages of the last seven days are in trouble, by state and reason, the most first."""
    return await repository.count_troubles(tx, lowest_id(await tx.now() - TROUBLES_COUNTED))


async def list_breaks(tx: Tx) -> list[ChannelBreak]:
    """The channels that do not send at the moment, because their server refuses us."""
    return await repository_outbox.list_breaks(tx)


def may_be_sent_again(message: Message) -> bool:
    """Whether a person may put this message back into the outbox."""
    return message.state in CAN_BE_SENT_AGAIN and bool(message.address) and message.direction == "out"


async def send_again(tx: Tx, caller: Caller, message_id: UUID) -> None:
    """Put a message that was given up, held or dropped back into the outbox; the gate looks at it anew.

    Raises MessageNotFoundError, MessageUnderWayError when there is nothing to send again.
    """
    caller.require("agent")
    found = await repository.lock_messages(tx, [message_id])
    if not found:
        raise MessageNotFoundError
    message = found[0]
    if not may_be_sent_again(message):
        raise MessageUnderWayError
    await _put_back(tx, caller, message, sent_anyway_by=message.sent_anyway_by)


def may_be_sent_anyway(message: Message) -> bool:
    """Whether this is an answer held because its recipient wants no mail, which a person may let through."""
    is_overruled = message.purpose == "reply" and message.reason in CAN_BE_OVERRULED
    return message.state == "held" and is_overruled and may_be_sent_again(message)


async def send_anyway(tx: Tx, caller: Caller, message_id: UUID) -> None:
    """Send an answer although its recipient opted out; the message keeps who decided so.

    Raises MessageNotFoundError, MessageUnderWayError unless it is held for that alone.
    """
    caller.require("agent")
    if caller.user_id is None:
        raise InvalidError("Only a person can send it anyway. Sign in as a member.")
    found = await repository.lock_messages(tx, [message_id])
    if not found:
        raise MessageNotFoundError
    if not may_be_sent_anyway(found[0]):
        raise MessageUnderWayError
    await _put_back(tx, caller, found[0], sent_anyway_by=caller.user_id)


async def _put_back(tx: Tx, caller: Caller, message: Message, *, sent_anyway_by: UUID | None) -> None:
    token = await repository.find_last_token(tx, message.id)
    lane = Draft(purpose=message.purpose, is_urgent=message.is_urgent, campaign_id=message.campaign_id).lane
    # The new row goes on counting tokens, so that a try from before it was given up still finds the fence.
    if not await repository_outbox.insert_again(tx, message, lane, token):
        raise MessageUnderWayError
    await repository.release(tx, message.id, sent_anyway_by)
    anyway = {} if sent_anyway_by is None else {"is_anyway": True}
    queued = message_event("message.queued", message, {"again": True, **anyway})
    await events.append(tx, [replace(queued, actor=caller.actor)])
    await wake_outbox(tx, [lane])
