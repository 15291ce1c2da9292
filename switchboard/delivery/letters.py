"""Making a mail of a message: what it needs is gathered in the claiming transaction, and written outside of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec

from switchboard.accounts.models import Member, Workspace
from switchboard.accounts.service import list_members
from switchboard.delivery import repository_templates
from switchboard.delivery.channels.base import Envelope
from switchboard.delivery.composing import Mailbox, OutgoingEmail, compose_email, envelope_address
from switchboard.delivery.gate_facts import GateReader
from switchboard.delivery.models import LeadFacts, LoadLeadFacts, Message
from switchboard.delivery.rendering import (
    Rendered,
    Template,
    TemplateError,
    find_nouns,
    find_parts,
    render_template,
)
from switchboard.delivery.rendering_skeleton import Cut
from switchboard.delivery.unsubscribing import make_token
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import in_order
from switchboard.kernel.secrets import load_app_secret
from switchboard.kernel.settings import Settings
from switchboard.people import service as people
from switchboard.people.models import Recipient
from switchboard.routing import service as routing

TEMPLATES_KEPT = 256
# Mail to contacts that no person wrote offers the way out.
_CAN_BE_UNSUBSCRIBED = frozenset({"marketing", "transactional"})
# What a template names when it is about the lead, and when it is about who has it.
_OF_LEADS = frozenset({"lead", "source"})
_OF_OWNERS = frozenset({"owner"})
# What of a contact is slow to find, so that it is asked for only where a template names it.
_SLOW_TO_FIND = frozenset({"email", "phone", "fields"})

Templates = Mapping[tuple[UUID, int], Template]


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all mail of this instance shares.

    `sender` is the address for workspaces that were given one below `mail_domain`, empty to use that one.
    """

    public_url: str
    secret: bytes
    mail_domain: str
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings have it."""
        sender = settings.smtp_from if settings.email_provider == "smtp" else ""
        return cls(settings.public_url, load_app_secret(settings), settings.mail_domain, sender)

    def unsubscribe_url(self, workspace_id: UUID, message_id: UUID) -> str:
        """Where the reader of a message ends them."""
        return f"{self.public_url}/u/{make_token(self.secret, workspace_id, message_id)}"

    def addresses_of(self, workspace: Workspace) -> tuple[str, str | None]:
        """The workspace's sender, and where answers go when that is another address."""
        is_given = workspace.mail_from.endswith((f".{self.mail_domain}", f"@{self.mail_domain}"))
        return (self.sender, workspace.mail_from) if self.sender and is_given else (workspace.mail_from, None)


class Content(msgspec.Struct, frozen=True):
    """Everything a mail is written from, so that writing needs no database."""

    workspace_id: UUID
    message: Message
    template: Template | None
    variables: Mapping[str, object]
    sender: Mailbox
    to: Mailbox
    reply_to: Mailbox | None
    unsubscribe_url: str | None
    date: datetime


class Outgoing(msgspec.Struct, frozen=True):
    """One message as it was taken, with the token its outcome is written with, and why it goes although it is late.

    `attempts` counts this try too.
    """

    token: int
    attempts: int
    workspace_id: UUID
    message: Message
    desk: "Desk"
    late_reason: str | None = None
    late_detail: str | None = None

    @property
    def content(self) -> Content:
        """What its mail is written from: put together only now, since the claim holds locks."""
        return self.desk.content_of(self.message)


class Written(msgspec.Struct, frozen=True):
    """A mail ready for its channel, and the texts that are kept of it: of `html` only the `cut`, where there is one."""

    envelope: Envelope
    subject: str
    text: str
    html: str | None
    cut: Cut | None = None


class TemplateShelf:
    """The versions of templates that one process has used lately; a version never changes."""

    def __init__(self) -> None:
        self._templates: dict[tuple[UUID, int], Template] = {}

    async def load(self, tx: Tx, messages: Sequence[Message]) -> Templates:
        """The versions that these messages are made from; raises LookupError where one is not there."""
        # Numbers are hashed much faster than ids are, and most letters of a batch are made from the same.
        wanted = {
            (one.template_id.int, one.template_version): (one.template_id, one.template_version)
            for one in messages
            if one.template_id and one.template_version
        }
        keys = set(wanted.values())
        missing = keys - self._templates.keys()
        if missing:
            if len(self._templates) > TEMPLATES_KEPT:
                self._templates = {}
                missing = keys
            self._templates |= await repository_templates.load_versions(tx, missing)
            if not keys <= self._templates.keys():
                raise LookupError("a message is to be made from a version of a template that is not there")
        return {key: self._templates[key] for key in keys}


def asked_of_contacts(templates: Templates) -> frozenset[str]:
    """What these ask of a contact among that which is slow to find."""
    return frozenset().union(*(_asked_of_contact(template) for template in templates.values()))


async def prepare(
    tx: Tx,
    letterhead: Letterhead,
    reader: GateReader,
    messages: Sequence[Message],
    templates: Templates,
    *,
    load_lead_facts: LoadLeadFacts,
) -> "Desk":
    """Read what these messages are written from besides their templates."""
    lead_ids = _leads_of(messages, templates, _OF_LEADS)
    facts = await load_lead_facts(tx, lead_ids) if lead_ids else {}
    owners = await _load_owners(tx, _leads_of(messages, templates, _OF_OWNERS))
    needs_members = owners or any(message.created_by or message.user_id for message in messages)
    known = await tx.remember("members", list_members) if needs_members else []
    members = {member.user_id: member for member in known}
    return Desk(letterhead, reader, templates, facts, owners, members)


def make_key(workspace_id: UUID, message_id: UUID) -> str:
    """The key that providers know a message by, the same at every try."""
    return f"{workspace_id.hex}.{message_id.hex}"


def read_key(key: str) -> tuple[UUID, UUID]:
    """Workspace and message that a key of `make_key` names."""
    workspace, _, message = key.partition(".")
    return UUID(workspace), UUID(message)


def write(content: Content) -> Written:
    """The mail; raises InvalidError when its template cannot be rendered or an address cannot be used."""
    message = content.message
    texts = Rendered(message.subject, message.body_html or "", message.body_text)
    if content.template is not None:
        texts = render_template(content.template, content.variables)
    email = OutgoingEmail(
        message_id=message.header_id,
        date=content.date,
        sender=content.sender,
        to=[content.to],
        subject=texts.subject,
        text=texts.text,
        html=texts.html or None,
        reply_to=content.reply_to,
        in_reply_to=message.in_reply_to,
        references=message.reference_ids,
        unsubscribe_url=content.unsubscribe_url,
        automatic=message.purpose != "reply",
        cut=texts.cut,
    )
    envelope = Envelope(
        key=make_key(content.workspace_id, message.id),
        sender=envelope_address(content.sender.email),
        recipient=envelope_address(message.address),
        raw=compose_email(email),
        subject=texts.subject,
        text=texts.text,
        html=texts.html or None,
    )
    return Written(envelope, texts.subject, texts.text, texts.html or None, texts.cut)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a batch of letters is written from: read in the claiming transaction, needed until the last is written."""

    letterhead: Letterhead
    reader: GateReader
    templates: Templates
    facts: Mapping[UUID, LeadFacts]
    owners: Mapping[UUID, UUID]
    members: Mapping[UUID, Member]
    _mailboxes: dict[str, tuple[Mailbox, Mailbox | None]] = field(default_factory=dict)

    def content_of(self, message: Message) -> Content:
        """What one of these messages is written from."""
        workspace = self.reader.workspace
        contact = self.reader.contacts.get(message.contact_id) if message.contact_id else None
        url = None
        if message.contact_id is not None and message.purpose in _CAN_BE_UNSUBSCRIBED:
            url = self.letterhead.unsubscribe_url(workspace.id, message.id)
        sender, reply_to = self._mailboxes_of(self._sender_name(message))
        return Content(
            workspace_id=workspace.id,
            message=message,
            template=self._template_of(message),
            variables=self._variables_of(message, contact, url),
            sender=sender,
            to=Mailbox(message.address, contact.name if contact else self._member_name(message.user_id)),
            reply_to=reply_to,
            unsubscribe_url=url,
            date=self.reader.now,
        )

    def _mailboxes_of(self, name: str) -> tuple[Mailbox, Mailbox | None]:
        """The mail's sender, and who gets answers when that is somebody else."""
        if name not in self._mailboxes:
            sender, reply_to = self.letterhead.addresses_of(self.reader.workspace)
            self._mailboxes[name] = Mailbox(sender, name), Mailbox(reply_to, name) if reply_to else None
        return self._mailboxes[name]

    def _template_of(self, message: Message) -> Template | None:
        if message.template_id is None or message.template_version is None:
            return None
        return self.templates[message.template_id, message.template_version]

    def _sender_name(self, message: Message) -> str:
        # A person's answer bears their name; everything else comes from the workspace.
        name = self._member_name(message.created_by) if message.purpose == "reply" else ""
        return name or self.reader.workspace.name

    def _member_name(self, user_id: UUID | None) -> str:
        member = self.members.get(user_id) if user_id else None
        return member.name if member else ""

    def _variables_of(self, message: Message, contact: Recipient | None, url: str | None) -> dict[str, object]:
        owner_id = self.owners.get(message.lead_id) if message.lead_id else None
        owner = self.members.get(owner_id) if owner_id else None
        facts = self.facts.get(message.lead_id, {}) if message.lead_id else {}
        return {
            **facts,
            "contact": people.contact_facts(contact) if contact else {},
            "owner": {"name": owner.name, "email": owner.email} if owner else {},
            "workspace": {"name": self.reader.workspace.name, "email": self.reader.workspace.mail_from},
            "unsubscribe_url": url or "",
        }


def _leads_of(messages: Sequence[Message], templates: Templates, nouns: frozenset[str]) -> list[UUID]:
    """The leads of those messages whose templates speak of any of these nouns: most letters ask nothing of a lead."""
    speaking = {key for key, template in templates.items() if _speaks_of(template, nouns)}
    if not speaking:
        return []
    return in_order(
        {
            message.lead_id
            for message in messages
            if message.lead_id and (message.template_id, message.template_version) in speaking
        }
    )


def _asked_of_contact(template: Template) -> frozenset[str]:
    try:
        named = find_parts(template, "contact")
    except TemplateError:
        return frozenset()
    return _SLOW_TO_FIND if named is None else _SLOW_TO_FIND & named


def _speaks_of(template: Template, nouns: frozenset[str]) -> bool:
    try:
        return not nouns.isdisjoint(find_nouns(template))
    except TemplateError:
        # What is wrong with it is said where the letter is written.
        return False


async def _load_owners(tx: Tx, lead_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    if not lead_ids:
        return {}
    found = await routing.find_assignments(tx, lead_ids)
    return {lead_id: one.owner_id for lead_id, one in found.items() if one.owner_id is not None}
