"""Reading a mail that came in: whose it is, what it answers, and what follows from it.

Bounces go to delivery. What a machine wrote is kept with the contact's messages and changes nothing. What a person
wrote opens the conversation, stops the runs it answers, and wakes the owner.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog

from switchboard.accounts import service as accounts
from switchboard.delivery import service as delivery
from switchboard.delivery.composing import Mailbox
from switchboard.delivery.models import InboundMessage, Message
from switchboard.inbox import repository, repository_mail
from switchboard.inbox.answering import MESSAGES_LOOKED_AT, make_preview
from switchboard.inbox.folding import fold_quoted
from switchboard.inbox.models import EMAIL, Conversation, InboundMail, Incoming, MailOutcome
from switchboard.inbox.notices import wake_owner
from switchboard.inbox.opt_outs import find_opt_out
from switchboard.inbox.parsing import ParsedEmail, parse_email
from switchboard.kernel import addresses, events
from switchboard.kernel.addresses import Rejected
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.people import service as people
from switchboard.people.models import Sighting
from switchboard.routing import service as routing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Read:
    """A mail on its way through: `sender` is where an answer belongs unless it says otherwise."""

    mail: InboundMail
    parsed: ParsedEmail
    sender: Mailbox
    answered: Message | None


async def read_mail(tx: Tx, payload: Mapping[str, object], *, public_url: str) -> None:
    """The job `inbox.read`: make a message of one stored mail, once."""
    mail = await repository_mail.lock_mail(tx, UUID(str(payload["mail_id"])))
    if mail is None or mail.outcome is not None:
        return
    # Taking 25 MB apart takes a while; other work goes on meanwhile.
    parsed = await asyncio.to_thread(parse_email, mail.raw)
    outcome, message_id = await _sort(tx, mail, parsed, public_url)
    await repository_mail.set_outcome(tx, mail.id, outcome, message_id)
    log.info("inbox.mail_read", mail_id=str(mail.id), outcome=outcome)


async def _sort(tx: Tx, mail: InboundMail, parsed: ParsedEmail, public_url: str) -> tuple[MailOutcome, UUID | None]:
    if parsed.bounces:
        for bounce in parsed.bounces:
            await delivery.record_bounce(tx, bounce)
        return "bounce", None
    known = await delivery.find_message_by_header_ids(tx, [mail.header_id])
    if known is not None:
        return ("own_mail", None) if known.direction == "out" else ("duplicate", known.id)
    sender = parsed.sender or (Mailbox(mail.mail_from) if "@" in mail.mail_from else None)
    if sender is None:
        return "no_sender", None
    thread = [parsed.in_reply_to, *reversed(parsed.references)]
    answered = await delivery.find_message_by_header_ids(tx, [one for one in thread if one is not None])
    refusal = await _find_refusal(tx, sender, answered)
    if refusal is not None:
        return refusal, None
    read = _Read(mail, parsed, sender, answered)
    # A report that nobody could read as one also comes from the empty sender, and no person writes from there.
    if parsed.is_automatic or not mail.mail_from:
        return "automatic", await _keep_automatic(tx, read)
    return "received", await _keep_written(tx, read, public_url)


async def _find_refusal(tx: Tx, sender: Mailbox, answered: Message | None) -> MailOutcome | None:
    """Why a mail is from no contact: two machines talk, or a member answers a notice that says nobody reads it."""
    value = addresses.parse_email(sender.email)
    found = None if isinstance(value, Rejected) else await accounts.find_address(tx, "mail", value)
    if found is not None and found[0] == tx.workspace_id:
        return "own_mail"
    return "to_notice" if answered is not None and answered.user_id is not None else None


async def _keep_automatic(tx: Tx, read: _Read) -> UUID:
    contact_id = await _find_contact(tx, read)
    conversation = await repository.find_by_contact(tx, contact_id, EMAIL) if contact_id else None
    return await _record(tx, read, contact_id, conversation, is_automatic=True)


async def _keep_written(tx: Tx, read: _Read, public_url: str) -> UUID:
    contact_id = await _find_contact(tx, read) or await _recognise(tx, read.sender)
    # First of all locks, as everywhere: a merge that runs beside this ends before or begins after.
    await people.lock_contact(tx, contact_id)
    reply, _ = fold_quoted(read.parsed.text)
    if words := find_opt_out(reply, read.parsed.subject):
        await people.opt_out(tx, contact_id, Actor("contact", contact_id), f"wrote “{words}” by e-mail")
    lead_id, owner_id = await _find_lead(tx, read.answered, contact_id)
    incoming = Incoming(
        contact_id=contact_id,
        lead_id=lead_id,
        owner_id=owner_id,
        subject=read.parsed.subject[:300],
        preview=make_preview(reply or read.parsed.text),
        reply_address=(read.parsed.reply_to or read.sender).email,
    )
    conversation = await repository.receive(tx, new_id(), incoming)
    message_id = await _record(tx, read, contact_id, conversation)
    await _tell_replied(tx, conversation, message_id)
    contact = (await people.load_contacts(tx, [contact_id]))[contact_id]
    await wake_owner(tx, conversation, message_id, who=contact.title, public_url=public_url)
    return message_id


async def _find_contact(tx: Tx, read: _Read) -> UUID | None:
    """Whom the answered message went to or came from, else whose address it is.

    People answer from other addresses of theirs, so the thread says more than the sender does.
    """
    if read.answered is not None and read.answered.contact_id is not None:
        return read.answered.contact_id
    return await people.find_contact_by_email(tx, read.sender.email)


async def _recognise(tx: Tx, sender: Mailbox) -> UUID:
    region = (await accounts.get_workspace(tx)).default_region
    (found,) = await people.recognise(tx, [Sighting(name=sender.name, email=sender.email)], region)
    if found.contact_id is None:
        # An address that mail can come from and that is none by our rules: the name made of it still is somebody.
        (found,) = await people.recognise(tx, [Sighting(name=sender.name or sender.email)], region)
    if found.contact_id is None:
        raise RuntimeError("a sighting with a name was not recognised")
    return found.contact_id


async def _find_lead(tx: Tx, answered: Message | None, contact_id: UUID) -> tuple[UUID | None, UUID | None]:
    """The lead that is written about and who owns it: that of the answered mail, else the one that is open, else that
    of an earlier mail. Without a lead, whoever wrote what is answered.
    """
    lead_id = answered.lead_id if answered else None
    if lead_id is None and (standing := await routing.find_open_assignment(tx, contact_id)) is not None:
        return standing.subject_id, standing.owner_id or (answered.created_by if answered else None)
    if lead_id is None:
        earlier = await delivery.list_messages_of_contact(tx, contact_id, limit=MESSAGES_LOOKED_AT)
        lead_id = next((one.lead_id for one in earlier if one.lead_id is not None), None)
    writer_id = answered.created_by if answered else None
    if lead_id is None:
        return None, writer_id
    assignment = (await routing.find_assignments(tx, [lead_id])).get(lead_id)
    return lead_id, assignment.owner_id if assignment else writer_id


async def _record(
    tx: Tx, read: _Read, contact_id: UUID | None, conversation: Conversation | None, *, is_automatic: bool = False
) -> UUID:
    message = InboundMessage(
        address=read.sender.email,
        header_id=read.mail.header_id,
        subject=read.parsed.subject,
        text=read.parsed.text,
        html=read.parsed.html,
        is_automatic=is_automatic,
        contact_id=contact_id,
        lead_id=conversation.lead_id if conversation else None,
        conversation_id=conversation.id if conversation else None,
        in_reply_to=read.parsed.in_reply_to,
        reference_ids=read.parsed.references,
    )
    message_id = await delivery.record_inbound(tx, message)
    await repository_mail.insert_attachments(tx, message_id, read.parsed.attachments)
    return message_id


async def _tell_replied(tx: Tx, conversation: Conversation, message_id: UUID) -> None:
    contact_id = conversation.contact_id
    data = {"conversation_id": conversation.id, "channel": conversation.channel}
    actor = Actor("contact", contact_id)
    await events.append(tx, [Event("message.replied", message_id, contact_id, conversation.lead_id, actor, data)])
