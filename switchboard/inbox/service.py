"""Conversations: finding them, and saying whose they are and what is to be done.

Taking mail in is in `receiving`, making messages of it in `reading`, answering in `answering`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.inbox import repository, repository_mail
from switchboard.inbox.answering import find_draft, reply, reply_to_contact, save_draft
from switchboard.inbox.errors import ConversationNotFoundError
from switchboard.inbox.models import Conversation, ConversationSummary, Position, View
from switchboard.inbox.receiving import receive_mail
from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import SYSTEM, Actor, Event
from switchboard.people import service as people

__all__ = [
    "access_conversation",
    "assign",
    "close",
    "count_waiting",
    "find_draft",
    "find_of_contact",
    "list_conversations",
    "list_overdue",
    "note",
    "receive_mail",
    "reopen",
    "reply",
    "reply_to_contact",
    "save_draft",
    "snooze",
    "wake_snoozed",
]

PAGE_ROWS = 50
MOST_COUNTED = 100
WAKE_JOB = "inbox.wake"


async def list_conversations(
    tx: Tx, caller: Caller, view: View, *, after: Position | None = None, limit: int = PAGE_ROWS
) -> list[ConversationSummary]:
    """The conversations of a view by their last message, newest first; `mine` are those of the caller."""
    caller.require("viewer")
    found = await repository.list_conversations(tx, view, me=caller.user_id, after=after, limit=limit)
    return await _summarise(tx, found)


async def list_overdue(tx: Tx, limit: int = 10) -> list[ConversationSummary]:
    """Those who have waited for an answer longer than the workspace allows, the longest first."""
    minutes = (await accounts.get_workspace(tx)).first_response_minutes
    return await _summarise(tx, await repository.list_overdue(tx, timedelta(minutes=minutes), limit))


async def count_waiting(tx: Tx) -> int:
    """How many open conversations wait for an answer; counted up to 100."""
    return await repository.count_waiting(tx, MOST_COUNTED)


async def access_conversation(tx: Tx, caller: Caller, conversation_id: UUID) -> Conversation:
    """The conversation, or the one it became part of by a merge; raises ConversationNotFoundError."""
    caller.require("viewer")
    found = await repository.find_conversation(tx, conversation_id)
    if found is None:
        raise ConversationNotFoundError
    return found


async def find_of_contact(tx: Tx, caller: Caller, contact_id: UUID, channel: str = "email") -> Conversation | None:
    """The conversation with a contact, or None before the first word."""
    caller.require("viewer")
    return await repository.find_by_contact(tx, contact_id, channel)


async def assign(tx: Tx, caller: Caller, conversation_id: UUID, owner_id: UUID | None) -> None:
    """Give a conversation to a member, or to nobody; raises InvalidError when they may not answer."""
    conversation = await _lock(tx, caller, conversation_id)
    if conversation.owner_id == owner_id:
        return
    await _require_answerer(tx, owner_id)
    await repository.set_owner(tx, conversation.id, owner_id)
    await _tell(tx, "conversation.assigned", conversation, caller.actor, owner_id=owner_id)


async def snooze(tx: Tx, caller: Caller, conversation_id: UUID, until: datetime) -> None:
    """Put a conversation off; it is open again at that instant, or as soon as the contact writes."""
    conversation = await _lock(tx, caller, conversation_id)
    now = await tx.now()
    if until <= now:
        problems = [Problem("until", "choose a time to come")]
        raise InvalidError("It cannot be put off until then.", problems=problems)
    await repository.set_state(tx, conversation.id, "snoozed", until)
    # A job for each time it is put off: the one of the time that counts finds it due, the others find nothing to do.
    key = f"{conversation.id}:{until.timestamp()}"
    await jobs.enqueue(tx, WAKE_JOB, {"conversation_id": conversation.id}, key=key, after=until - now)
    await _tell(tx, "conversation.snoozed", conversation, caller.actor, until=until)


async def wake_snoozed(tx: Tx, conversation_id: UUID) -> None:
    """Open a conversation that was put off until now; nothing when it was opened, closed or put off again."""
    conversation = await repository.wake_due(tx, conversation_id)
    if conversation is not None:
        await _tell(tx, "conversation.woken", conversation, SYSTEM, owner_id=conversation.owner_id)


async def close(tx: Tx, caller: Caller, conversation_id: UUID) -> None:
    """Nothing more is to be done, until the contact writes again."""
    conversation = await _lock(tx, caller, conversation_id)
    if conversation.state != "closed":
        await repository.set_state(tx, conversation.id, "closed", None)
        await _tell(tx, "conversation.closed", conversation, caller.actor)


async def reopen(tx: Tx, caller: Caller, conversation_id: UUID) -> None:
    """There is something to be done after all, or now already; who waited before waits since then."""
    conversation = await _lock(tx, caller, conversation_id)
    if conversation.state != "open":
        await repository.set_state(tx, conversation.id, "open", None)
        await _tell(tx, "conversation.reopened", conversation, caller.actor)


async def note(tx: Tx, caller: Caller, conversation_id: UUID, body: str) -> UUID:
    """Write a note beside the conversation, which the contact never sees; raises InvalidError for an empty one."""
    conversation = await access_conversation(tx, caller, conversation_id)
    note_id = await people.add_note(tx, caller, conversation.contact_id, body)
    await _tell(tx, "conversation.noted", conversation, caller.actor, note_id=note_id)
    return note_id


async def forget_originals(tx: Tx, before: datetime, most: int) -> int:
    """Delete mail of the workspace as it came in before then, at most so much; the messages read from it stay."""
    return await repository_mail.delete_originals(tx, before, most)


async def _lock(tx: Tx, caller: Caller, conversation_id: UUID) -> Conversation:
    caller.require("agent")
    conversation = await access_conversation(tx, caller, conversation_id)
    locked = await repository.lock_conversation(tx, conversation.id)
    if locked is None:
        raise ConversationNotFoundError
    return locked


async def _require_answerer(tx: Tx, user_id: UUID | None) -> None:
    if user_id is None:
        return
    members = {member.user_id: member for member in await accounts.list_members(tx)}
    member = members.get(user_id)
    if member is None or member.role == "viewer":
        problems = [Problem("owner_id", "choose a member who may answer")]
        raise InvalidError("It cannot be given to them.", problems=problems)


async def _summarise(tx: Tx, found: Sequence[Conversation]) -> list[ConversationSummary]:
    contacts = await people.load_contacts(tx, [one.contact_id for one in found])
    names = {member.user_id: member.name for member in await accounts.list_members(tx)} if found else {}
    return [
        ConversationSummary(one, contacts[one.contact_id].title, names.get(one.owner_id) if one.owner_id else None)
        for one in found
        if one.contact_id in contacts
    ]


async def _tell(tx: Tx, kind: str, conversation: Conversation, actor: Actor, **data: object) -> None:
    event = Event(kind, conversation.id, conversation.contact_id, conversation.lead_id, actor, data)
    await events.append(tx, [event])
