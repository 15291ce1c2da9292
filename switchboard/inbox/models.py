"""What the inbox speaks of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

EMAIL = "email"

ConversationState = Literal["open", "snoozed", "closed"]
View = Literal["open", "mine", "unassigned", "snoozed", "closed"]
VIEWS: tuple[View, ...] = ("open", "mine", "unassigned", "snoozed", "closed")

MailOutcome = Literal["received", "automatic", "bounce", "own_mail", "duplicate", "no_sender", "to_notice"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages with one contact over one channel, and what is to be done about them.

    `waiting_since` is when the contact wrote what nobody has answered yet. `reply_address` is where they want the
    answer, empty until they have written.
    """

    id: UUID
    contact_id: UUID
    channel: str
    subject: str
    preview: str
    state: ConversationState
    owner_id: UUID | None
    lead_id: UUID | None
    reply_address: str
    snoozed_until: datetime | None
    waiting_since: datetime | None
    last_message_at: datetime

    @property
    def is_waiting(self) -> bool:
        """Whether the contact waits for an answer that is due now."""
        return self.state == "open" and self.waiting_since is not None


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A conversation as a row of a list, with the names that its ids stand for."""

    conversation: Conversation
    contact_title: str
    owner_name: str | None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a list goes on: after this conversation, in order of the last message, newest first."""

    last_message_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a message that came in does to the conversation with its contact."""

    contact_id: UUID
    lead_id: UUID | None
    owner_id: UUID | None
    subject: str
    preview: str
    reply_address: str
    channel: str = EMAIL


@dataclass(frozen=True, slots=True)
class InboundMail:
    """One mail as it came in, kept whole. `outcome` is None until it is read."""

    id: UUID
    mail_from: str
    recipient: str
    raw: bytes
    header_id: str
    message_id: UUID | None
    outcome: MailOutcome | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, without its content."""

    id: UUID
    message_id: UUID
    name: str
    content_type: str
    size_bytes: int
    content_id: str | None


@dataclass(frozen=True, slots=True)
class AttachmentContent:
    """A file that came with a message."""

    name: str
    content_type: str
    content_id: str | None
    content: bytes
