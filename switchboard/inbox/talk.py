"""All that was said with one contact, in one column: messages both ways and notes, oldest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.delivery.models import Message
from switchboard.inbox import repository_mail
from switchboard.inbox.folding import fold_quoted
from switchboard.inbox.models import Attachment
from switchboard.kernel.db import Tx
from switchboard.people import service as people
from switchboard.people.models import Note

MOST_MESSAGES = 50
# A longer text is cut on the page; the mail as it came in is one link away.
LONGEST_SHOWN = 20_000

# State of an outgoing message -> the word shown and its meaning for the eye.
_STATES = {
    "queued": ("Waiting to go out", ""),
    "sending": ("Going out", ""),
    "sent": ("Sent", ""),
    "held": ("Held back", "wait"),
    "dropped": ("Not sent", "bad"),
    "failed": ("Failed", "bad"),
    "in_doubt": ("Perhaps sent", "wait"),
    "bounced": ("Came back", "bad"),
}


@dataclass(frozen=True, slots=True)
class TalkItem:
    """One message or note as the page shows it.

    `text` is what its writer wrote, `quoted` what they quoted. `state` is empty where there is nothing to say, and
    `trouble` the sentence that explains it.
    """

    id: UUID
    kind: Literal["in", "out", "note"]
    at: datetime
    author: str
    address: str
    subject: str
    text: str
    quoted: str
    is_cut: bool
    has_html: bool
    is_automatic: bool
    attachments: tuple[Attachment, ...]
    state: str
    state_kind: str
    trouble: str


async def load_talk(tx: Tx, caller: Caller, contact_id: UUID, *, title: str) -> tuple[TalkItem, ...]:
    """The newest messages and notes of a contact whom the page calls `title`, in a bounded number of queries."""
    caller.require("viewer")
    messages = await delivery.list_messages_of_contact(tx, contact_id, limit=MOST_MESSAGES)
    notes = await people.list_notes(tx, contact_id, MOST_MESSAGES)
    incoming = [message.id for message in messages if message.direction == "in"]
    files = await repository_mail.list_attachments(tx, incoming) if incoming else []
    names = {member.user_id: member.name for member in await accounts.list_members(tx)}
    items = [_of_message(message, files, names, title) for message in messages] + [
        _of_note(one, names) for one in notes
    ]
    return tuple(sorted(items, key=lambda item: (item.at, item.id)))


def _of_message(message: Message, files: Sequence[Attachment], names: Mapping[UUID, str], title: str) -> TalkItem:
    is_in = message.direction == "in"
    body = message.body_text[:LONGEST_SHOWN]
    text, quoted = fold_quoted(body) if is_in else (body, "")
    state, kind = ("", "") if is_in else _STATES.get(message.state, (message.state, ""))
    return TalkItem(
        id=message.id,
        kind="in" if is_in else "out",
        at=message.sent_at or message.created_at,
        author=title if is_in else _writer_of(message, names),
        address=message.address,
        subject=message.subject,
        text=text,
        quoted=quoted,
        is_cut=len(message.body_text) > LONGEST_SHOWN,
        has_html=message.body_html is not None,
        is_automatic=not is_in and message.created_by is None,
        attachments=tuple(one for one in files if one.message_id == message.id),
        state=state,
        state_kind=kind,
        trouble=(message.detail or "") if kind else "",
    )


def _writer_of(message: Message, names: Mapping[UUID, str]) -> str:
    if message.created_by is not None:
        return names.get(message.created_by, "A former member")
    return "A flow" if message.run_id is not None else "Switchboard"


def _of_note(note: Note, names: Mapping[UUID, str]) -> TalkItem:
    return TalkItem(
        id=note.id,
        kind="note",
        at=note.created_at,
        author=names.get(note.author_id, "A former member"),
        address="",
        subject="",
        text=note.body[:LONGEST_SHOWN],
        quoted="",
        is_cut=False,
        has_html=False,
        is_automatic=False,
        attachments=(),
        state="Call" if note.is_call else "Note",
        state_kind="",
        trouble="",
    )
