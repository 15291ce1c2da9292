"""Answers: what a member writes to a contact goes out through delivery like every other message."""

import re
from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.delivery.models import Draft, Message
from switchboard.inbox import repository
from switchboard.inbox.errors import ConversationNotFoundError
from switchboard.inbox.models import EMAIL, Conversation
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.people import service as people
from switchboard.people.timeline import list_opened_leads
from switchboard.routing import service as routing

LONGEST_ANSWER = 100_000
LONGEST_SUBJECT = 300
PREVIEW_LENGTH = 160
# As many as a mail may name; the first one and the newest tell a mail program most.
MAX_REFERENCES = 20
MESSAGES_LOOKED_AT = 50
MOST_LEADS = 200

_ANSWER_MARK = re.compile(r"^\s*((re|aw|sv|antw|odp|回复|答复)(\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)


async def reply(tx: Tx, caller: Caller, conversation_id: UUID, *, body: str, key: UUID) -> bool:
    """Answer in a conversation: nobody waits there any more, and the draft is gone.

    `key` names the form: the same one posted twice is one answer, and False the second time. Raises
    ConversationNotFoundError, and InvalidError when there is no text or nowhere to send it.
    """
    caller.require("agent")
    found = await repository.find_conversation(tx, conversation_id)
    if found is None:
        raise ConversationNotFoundError
    await _accept_by_answering(tx, caller, found.contact_id, found.lead_id)
    conversation = await repository.lock_conversation(tx, found.id)
    if conversation is None:
        raise ConversationNotFoundError
    return await _answer(tx, caller, conversation, body=body, subject="", key=key)


async def reply_to_contact(
    tx: Tx, caller: Caller, contact_id: UUID, *, body: str, subject: str, key: UUID, lead_id: UUID | None = None
) -> bool:
    """Write to a contact, in the conversation with them, which begins here where there is none; else as `reply`."""
    caller.require("agent")
    contact = await people.access_contact(tx, caller, contact_id)
    own_id = await _find_own_lead(tx, contact.id, lead_id)
    await _accept_by_answering(tx, caller, contact.id, own_id)
    conversation = await repository.ensure_conversation(
        tx, new_id(), contact.id, EMAIL, lead_id=own_id, owner_id=caller.user_id
    )
    return await _answer(tx, caller, conversation, body=body, subject=subject, key=key)


async def _accept_by_answering(tx: Tx, caller: Caller, contact_id: UUID, lead_id: UUID | None) -> None:
    """Whoever answers a lead that nobody has accepted has accepted it.

    Before the conversation is locked: routing locks the lead first, and the conversation when it hears whose it is.
    """
    if caller.user_id is not None:
        await routing.accept_by_acting(tx, caller.user_id, contact_id, lead_id, trigger="answered")


async def _find_own_lead(tx: Tx, contact_id: UUID, lead_id: UUID | None) -> UUID | None:
    """The lead if it is one of the contact's: a form may name any."""
    if lead_id is None:
        return None
    leads = await list_opened_leads(tx, contact_id, MOST_LEADS)
    return next((lead.id for lead in leads if lead.id == lead_id), None)


async def find_draft(tx: Tx, caller: Caller, conversation_id: UUID) -> str:
    """What the caller has written in a conversation and not sent; empty when there is nothing."""
    return await repository.find_draft(tx, conversation_id, caller.user_id) if caller.user_id else ""


async def save_draft(tx: Tx, caller: Caller, conversation_id: UUID, body: str) -> None:
    """Keep what the caller has written and not sent; an empty text forgets it."""
    caller.require("agent")
    conversation = await repository.find_conversation(tx, conversation_id)
    if conversation is None or caller.user_id is None:
        raise ConversationNotFoundError
    kept = body.replace("\x00", "")[:LONGEST_ANSWER]
    if kept.strip():
        await repository.save_draft(tx, conversation.id, caller.user_id, kept)
    else:
        await repository.delete_draft(tx, conversation.id, caller.user_id)


async def _answer(tx: Tx, caller: Caller, conversation: Conversation, *, body: str, subject: str, key: UUID) -> bool:
    text = _checked_body(body)
    address = await _address_of(tx, conversation)
    messages = await delivery.list_messages_of_contact(tx, conversation.contact_id, limit=MESSAGES_LOOKED_AT)
    answered = next((one for one in messages if one.direction == "in"), None)
    title = _subject_of(conversation, subject, answered)
    if not await repository.begin_answer(tx, conversation.id, key):
        return False
    draft = Draft(
        purpose="reply",
        contact_id=conversation.contact_id,
        lead_id=conversation.lead_id,
        conversation_id=conversation.id,
        subject=title,
        text=text,
        address=address,
        in_reply_to=answered.header_id if answered else None,
        reference_ids=references_after(answered) if answered else (),
        created_by=caller.user_id,
    )
    (message_id,) = await delivery.queue_messages(tx, [draft])
    preview = make_preview(text)
    await repository.set_answered(tx, conversation.id, owner_id=caller.user_id, subject=title, preview=preview)
    if caller.user_id is not None:
        await repository.delete_draft(tx, conversation.id, caller.user_id)
    data = {"message_id": message_id}
    contact_id, lead_id = conversation.contact_id, conversation.lead_id
    await events.append(tx, [Event("conversation.answered", conversation.id, contact_id, lead_id, caller.actor, data)])
    return True


def references_after(answered: Message) -> Sequence[str]:
    """The Message-IDs an answer names: the thread's first, and the newest up to the one it answers."""
    thread = list(dict.fromkeys([*answered.reference_ids, answered.header_id]))
    return thread if len(thread) <= MAX_REFERENCES else [thread[0], *thread[1 - MAX_REFERENCES :]]


def answer_subject(subject: str) -> str:
    """`Re: …` once, whatever marks of answers stand there already; empty stays empty."""
    bare = _ANSWER_MARK.sub("", subject).strip()
    return f"Re: {bare}"[:LONGEST_SUBJECT] if bare else ""


def make_preview(text: str) -> str:
    """The beginning of a text in one line."""
    return " ".join(text[: 4 * PREVIEW_LENGTH].split())[:PREVIEW_LENGTH]


def _subject_of(conversation: Conversation, subject: str, answered: Message | None) -> str:
    written = " ".join(subject.split())[:LONGEST_SUBJECT]
    if written:
        return written
    earlier = answered.subject if answered else conversation.subject
    title = answer_subject(earlier or conversation.subject)
    if not title and answered is None:
        raise InvalidError("A field is missing.", problems=[Problem("subject", "say in a few words what it is about")])
    return title or "Re: your message"


def _checked_body(body: str) -> str:
    text = body.replace("\x00", "").replace("\r\n", "\n").strip()
    if not text:
        raise InvalidError("There is nothing to send yet.", problems=[Problem("body", "write something first")])
    if len(text) > LONGEST_ANSWER:
        problem = Problem("body", f"at most {LONGEST_ANSWER} characters; send more as a link")
        raise InvalidError("The answer is too long.", problems=[problem])
    return text


async def _address_of(tx: Tx, conversation: Conversation) -> str:
    if conversation.reply_address:
        return conversation.reply_address
    contact = (await people.load_contacts(tx, [conversation.contact_id])).get(conversation.contact_id)
    if contact is None or not contact.email:
        problem = Problem("body", "add an e-mail address to the contact first")
        raise InvalidError("There is no address to send the answer to.", problems=[problem])
    return contact.email
