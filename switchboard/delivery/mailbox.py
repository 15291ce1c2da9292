"""The local mailbox: mail that was kept here instead of going out into the world, shown as a mail program would."""

from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery import repository_mailbox as repository
from switchboard.delivery.channels.base import Envelope
from switchboard.delivery.channels.mailbox.transport import StoreMail
from switchboard.delivery.errors import MailNotFoundError
from switchboard.delivery.letters import read_key
from switchboard.delivery.models import Mail, MailSummary
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id

PAGE_ROWS = 50

_SHOWN_HEADERS = ("From", "Reply-To", "To", "Subject", "Date")


@dataclass(frozen=True, slots=True)
class OpenedMail:
    """A mail taken apart. `unsubscribe_url` is what the mail's header offers for one click, empty when nothing."""

    headers: tuple[tuple[str, str], ...] = field(metadata={"help": "Name and decoded value, in a reader's order."})
    text: str = field(metadata={"help": "The text part."})
    html: str = field(metadata={"help": "The HTML part as it was sent, empty when there is none."})
    source: str = field(metadata={"help": "The whole mail as it went over the wire."})
    unsubscribe_url: str = field(metadata={"help": "Address of the button that mail programs show beside the sender."})


async def list_mails(
    tx: Tx, caller: Caller, *, before: UUID | None = None, recipient: str = "", limit: int = PAGE_ROWS
) -> list[MailSummary]:
    """Mails, newest first, those older than the mail `before`; to addresses with `recipient` in them only."""
    caller.require("viewer")
    return await repository.list_mails(tx, before, recipient.lower(), limit)


async def access_mail(tx: Tx, caller: Caller, mail_id: UUID) -> Mail:
    """The mail; raises MailNotFoundError."""
    caller.require("viewer")
    found = await repository.find_mail(tx, mail_id)
    if found is None:
        raise MailNotFoundError
    return found


def open_mail(raw: bytes) -> OpenedMail:
    """Take apart a mail that we have written ourselves."""
    mail = _parse(raw)
    return OpenedMail(
        headers=tuple((name, str(mail[name])) for name in _SHOWN_HEADERS if mail[name]),
        text=_content_of(mail, "plain"),
        html=_content_of(mail, "html"),
        source=raw.decode("utf-8", "replace"),
        unsubscribe_url=str(mail["List-Unsubscribe"] or "").partition(">")[0].strip().removeprefix("<"),
    )


def store_mail(database: Database) -> StoreMail:
    """How the mailbox's channel keeps a mail of a workspace: once a message, however often it is handed over."""

    async def store(envelope: Envelope) -> str:
        workspace_id, message_id = read_key(envelope.key)
        mail_id = new_id()
        subject = str(_parse(envelope.raw)["Subject"] or "")
        async with database.transaction(workspace_id) as tx:
            await repository.insert_mail(
                tx,
                mail_id,
                message_id,
                mail_from=envelope.sender,
                recipient=envelope.recipient,
                subject=subject,
                raw=envelope.raw,
            )
            await events.append(tx, [Event("mail.delivered", mail_id)])
        return str(mail_id)

    return store


def _parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=default)


def _content_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    return "" if part is None else str(part.get_content())
