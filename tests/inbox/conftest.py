"""A team that gets mail: its address, a person who writes to it, and the jobs that read what comes in."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.delivery.models import Draft, Message
from switchboard.inbox.models import Conversation, ConversationSummary, View
from switchboard.inbox.receiving import receive_mail
from switchboard.inbox.service import list_conversations
from switchboard.inbox.wiring import job_handlers
from switchboard.kernel import events
from switchboard.kernel.db import Database
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.settings import load_settings
from switchboard.people import service as people
from switchboard.people.models import Sighting
from switchboard.routing import service as routing
from tests.rows import read_rows

SETTINGS = load_settings({"APP_URL": "https://acme.example", "APP_SECRET": "a" * 32})


@dataclass(frozen=True, slots=True)
class Team:
    """One workspace's side of the mail."""

    database: Database
    workspace_id: UUID
    address: str

    async def receive(self, mail: EmailMessage | bytes, *, mail_from: str = "ann@x.example", to: str = "") -> UUID:
        """Mail comes in and is read at once."""
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        mail_id = await receive_mail(self.database, raw, mail_from, to or self.address)
        await run_jobs(self.database)
        return mail_id

    async def conversations(self, caller: Caller, view: View = "open") -> list[ConversationSummary]:
        async with self.database.transaction(self.workspace_id) as tx:
            return await list_conversations(tx, caller, view)

    async def conversation(self, caller: Caller, view: View = "open") -> Conversation:
        (row,) = await self.conversations(caller, view)
        return row.conversation

    async def messages(self, contact_id: UUID) -> list[Message]:
        async with self.database.transaction(self.workspace_id) as tx:
            return await delivery.list_messages_of_contact(tx, contact_id)

    async def find_contact(self, address: str) -> UUID | None:
        async with self.database.transaction(self.workspace_id) as tx:
            return await people.find_contact_by_email(tx, address)

    async def recognise(self, name: str, address: str) -> UUID:
        async with self.database.transaction(self.workspace_id) as tx:
            (found,) = await people.recognise(tx, [Sighting(name=name, email=address)], "DE")
        assert found.contact_id is not None
        return found.contact_id

    async def ask(self, contact_id: UUID) -> UUID:
        """The contact opens a lead, as far as the inbox hears of it."""
        lead_id = new_id()
        async with self.database.transaction(self.workspace_id) as tx:
            await events.append(tx, [Event("lead.created", lead_id, contact_id, lead_id)])
        return lead_id

    async def give(self, contact_id: UUID, caller: Caller) -> UUID:
        """The contact opens a lead that is offered to a member."""
        lead_id = new_id()
        async with self.database.transaction(self.workspace_id) as tx:
            await routing.assign(
                tx,
                [lead_id],
                user_id=caller.user_id,
                accept_within=None,
                trigger="a test",
                contact_ids={lead_id: contact_id},
            )
        return lead_id

    async def write_to(self, contact_id: UUID, **more: Any) -> Message:
        """A message of ours to a contact, as a flow or a person would have it sent."""
        draft = Draft(
            **{"purpose": "transactional", "subject": "Welcome", "text": "Hello.", **more}, contact_id=contact_id
        )
        async with self.database.transaction(self.workspace_id) as tx:
            (message_id,) = await delivery.queue_messages(tx, [draft])
            return (await delivery.load_messages(tx, [message_id]))[message_id]

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        async with self.database.transaction(self.workspace_id) as tx:
            return await read_rows(tx, sql)

    async def outcomes(self) -> list[str | None]:
        return [row["outcome"] for row in await self.rows("SELECT outcome FROM app.inbound_mail ORDER BY id")]

    async def events(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.rows("SELECT kind, subject_id, contact_id, lead_id, data FROM app.event ORDER BY id")
        return [row for row in rows if row["kind"] == kind]


def make_mail(
    body: str = "Yes please, call me.",
    *,
    sender: str = "Ann Xu <ann@x.example>",
    to: str = "hello@acme.example",
    subject: str = "Question",
    message_id: str | None = None,
    in_reply_to: str = "",
    references: Sequence[str] = (),
    html: str = "",
    headers: Sequence[tuple[str, str]] = (),
) -> EmailMessage:
    """A mail as a person's mail program writes it; with a Message-ID of its own unless it is empty."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    if message_id != "":
        mail["Message-ID"] = message_id or f"<{uuid4().hex}@x.example>"
    if in_reply_to:
        mail["In-Reply-To"] = in_reply_to
    if references:
        mail["References"] = " ".join(references)
    for name, value in headers:
        mail[name] = value
    mail.set_content(body)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


async def run_jobs(database: Database) -> None:
    """Run what is due of the inbox's jobs; a failure of one fails the test."""
    loop = JobLoop(database, job_handlers(SETTINGS))
    while (await loop.tick()).has_more:
        pass
    async with database.queue_loop() as tx:
        failed = await tx.fetch_tuples("SELECT kind, last_error FROM app.job WHERE last_error IS NOT NULL")
    assert failed == []


@pytest.fixture
async def team(database: Database, workspace_id: UUID) -> Team:
    async with database.transaction(workspace_id) as tx:
        address = (await accounts.get_workspace(tx)).mail_from
    return Team(database, workspace_id, address)
