"""What the pages of the inbox show: the list of conversations, one of them beside it, and the talk with a contact."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from starlette.responses import Response

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Member
from switchboard.accounts.web import Visit
from switchboard.inbox import service
from switchboard.inbox.cursors import read_position, write_position
from switchboard.inbox.models import VIEWS, Conversation, ConversationSummary, View
from switchboard.inbox.snoozing import SnoozeChoice, list_snooze_choices
from switchboard.inbox.talk import TalkItem, load_talk
from switchboard.kernel.http import path_id
from switchboard.kernel.ids import new_id
from switchboard.kernel.localtime import to_local
from switchboard.people import service as people
from switchboard.people.models import Contact

LABELS: dict[View, str] = {
    "open": "Open",
    "mine": "Mine",
    "unassigned": "Unassigned",
    "snoozed": "Snoozed",
    "closed": "Closed",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One view above the list."""

    label: str
    href: str
    on: bool
    count: int | None = None
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Composer:
    """The box an answer is written in."""

    action: str = field(metadata={"help": "Where the form goes."})
    key: UUID = field(metadata={"help": "Names this form, so that it is sent once."})
    generation: str = field(metadata={"help": "Changes when an answer was sent, so that the box is emptied."})
    body: str = field(metadata={"help": "The draft, or what was typed when the form was refused."})
    address: str = field(metadata={"help": "Where the answer goes; empty when there is no address."})
    error: str = field(metadata={"help": "Why the form was refused; empty at first."})
    draft_action: str = field(metadata={"help": "Where drafts are kept; empty before the first word."})
    note_action: str = field(metadata={"help": "Where the text goes as a note."})
    asks_subject: bool = field(metadata={"help": "Whether the first mail needs a subject."})
    subject: str = field(metadata={"help": "The subject as typed."})
    lead_id: str = field(metadata={"help": "The lead that is written about; empty for none."})


@dataclass(frozen=True, slots=True)
class OpenConversation:
    """The conversation in the middle and its contact on the right."""

    conversation: Conversation = field(metadata={"help": "Its row."})
    contact: Contact = field(metadata={"help": "Whom it is with."})
    owner_name: str = field(metadata={"help": "Who has it; empty for nobody."})
    answer_by: datetime | None = field(metadata={"help": "When the answer is overdue; None when nobody waits."})
    talk: tuple[TalkItem, ...] = field(metadata={"help": "Messages and notes, oldest first."})
    composer: Composer = field(metadata={"help": "The box for the answer."})
    next_id: str = field(metadata={"help": "The conversation to open after this one is closed; empty for none."})
    snoozes: list[SnoozeChoice] = field(metadata={"help": "Until when it can be put off."})
    first_day: str = field(metadata={"help": "The first day that it can be put off to, as an ISO date."})
    members: list[Member] = field(metadata={"help": "Who may answer."})
    snoozed_until: str = field(metadata={"help": "When it comes back, in words; empty when it is not put off."})


@dataclass(frozen=True, slots=True)
class InboxPage:
    """The list and, when one is open, a conversation."""

    now: datetime = field(metadata={"help": "The present."})
    view: View = field(metadata={"help": "Which conversations are listed."})
    chips: list[Chip] = field(metadata={"help": "The views."})
    rows: list[ConversationSummary] = field(metadata={"help": "One page of the list."})
    next_href: str = field(metadata={"help": "The older page; empty at the end."})
    is_first_page: bool = field(metadata={"help": "Whether nothing newer is left out."})
    patience: timedelta = field(metadata={"help": "How long a contact may wait for an answer."})
    opened: OpenConversation | None = field(metadata={"help": "The open conversation, if any."})


@dataclass(frozen=True, slots=True)
class ContactTalk:
    """The conversation with one contact as a region of another page."""

    now: datetime = field(metadata={"help": "The present."})
    contact: Contact = field(metadata={"help": "Whom it is with."})
    talk: tuple[TalkItem, ...] = field(metadata={"help": "Messages and notes, oldest first."})
    composer: Composer = field(metadata={"help": "The box for the answer."})
    conversation: Conversation | None = field(metadata={"help": "The conversation, once there is one."})
    is_region: bool = field(metadata={"help": "Whether it stands in another page, which its forms must not replace."})


async def render_list(visit: Visit) -> Response:
    """The conversations of one view, newest first, with none open."""
    return await visit.render("inbox/inbox.html", await _page(visit, None), active="inbox")


async def render_conversation(
    visit: Visit, conversation: Conversation, *, error: str = "", body: str | None = None, status: int = 200
) -> Response:
    """The page of a conversation; with `error`, as an answer to a form that was refused."""
    shown = await _page(visit, conversation, error=error, body=body)
    return await visit.render("inbox/inbox.html", shown, active="inbox", status=status)


async def render_of_contact(visit: Visit, *, error: str = "", toast: str = "", status: int = 200) -> Response:
    """The conversation with the contact in the path, as a region for other pages or a page of its own.

    With `error` it answers a form that was refused, with `toast` one that was done.
    """
    contact = await people.access_contact(visit.tx, visit.caller, path_id(visit.request, "contact_id"))
    conversation = await service.find_of_contact(visit.tx, visit.caller, contact.id)
    talk = await load_talk(visit.tx, visit.caller, contact.id, title=contact.title)
    composer = await _composer_of_contact(visit, contact, conversation, talk, error=error)
    shown = ContactTalk(await visit.tx.now(), contact, talk, composer, conversation, visit.is_partial)
    if not visit.is_partial:
        return await visit.render("inbox/contact.html", shown, active="inbox", status=status)
    region = visit.render_partial("inbox/of_contact.html", shown)
    region.status_code = status
    if toast:
        region.headers["HX-Trigger"] = json.dumps({"toast": {"text": toast}})
    return region


async def _page(
    visit: Visit, conversation: Conversation | None, *, error: str = "", body: str | None = None
) -> InboxPage:
    view = read_view(visit)
    after = read_position(visit.query("after"))
    rows = await service.list_conversations(visit.tx, visit.caller, view, after=after)
    workspace = await accounts.get_workspace(visit.tx)
    patience = timedelta(minutes=workspace.first_response_minutes)
    opened = None
    if conversation is not None:
        opened = await _open(visit, conversation, rows, patience, workspace.time_zone, error=error, body=body)
    is_full = len(rows) == service.PAGE_ROWS
    return InboxPage(
        now=await visit.tx.now(),
        view=view,
        chips=[Chip(LABELS[one], f"/inbox?view={one}", one == view) for one in VIEWS],
        rows=rows,
        next_href=f"/inbox?view={view}&after={write_position(rows[-1].conversation)}" if is_full else "",
        is_first_page=after is None,
        patience=patience,
        opened=opened,
    )


async def _open(
    visit: Visit,
    conversation: Conversation,
    rows: list[ConversationSummary],
    patience: timedelta,
    zone: str,
    *,
    error: str,
    body: str | None,
) -> OpenConversation:
    tx, now = visit.tx, await visit.tx.now()
    contact = await people.access_contact(tx, visit.caller, conversation.contact_id)
    members = [member for member in await accounts.list_members(tx) if member.role != "viewer"]
    talk = await load_talk(tx, visit.caller, contact.id, title=contact.title)
    waiting = conversation.waiting_since if conversation.is_waiting else None
    return OpenConversation(
        conversation=conversation,
        contact=contact,
        owner_name=next((one.name for one in members if one.user_id == conversation.owner_id), ""),
        answer_by=waiting + patience if waiting else None,
        talk=talk,
        composer=await _composer(visit, conversation, contact, talk, error=error, body=body),
        next_id=_next_id(conversation, rows),
        snoozes=list_snooze_choices(now, zone),
        first_day=(to_local(now, zone).date() + timedelta(days=1)).isoformat(),
        members=members,
        snoozed_until=write_local(conversation.snoozed_until, zone),
    )


def read_view(visit: Visit) -> View:
    """The view named in the query or the form; the open conversations otherwise."""
    wanted = visit.query("view") or visit.form.text("view")
    return next((view for view in VIEWS if view == wanted), "open")


def read_body(visit: Visit) -> str:
    """The text of the composer as it was typed."""
    typed = visit.form.data.get("body", "")
    return typed if isinstance(typed, str) else ""


def write_local(at: datetime | None, zone: str) -> str:
    """`Mon 23 Nov, 09:00` in the workspace's time; empty for None."""
    return to_local(at, zone).strftime("%a %d %b, %H:%M") if at else ""


def _next_id(conversation: Conversation, rows: list[ConversationSummary]) -> str:
    ids = [row.conversation.id for row in rows]
    if conversation.id not in ids:
        return str(ids[0]) if ids else ""
    place = ids.index(conversation.id)
    others = ids[place + 1 :] or ids[:place]
    return str(others[0]) if others else ""


async def _composer(
    visit: Visit,
    conversation: Conversation,
    contact: Contact,
    talk: tuple[TalkItem, ...],
    *,
    error: str,
    body: str | None,
) -> Composer:
    href = f"/inbox/{conversation.id}"
    draft = await service.find_draft(visit.tx, visit.caller, conversation.id) if body is None else body
    return Composer(
        action=f"{href}/reply",
        key=new_id(),
        generation=_generation(talk),
        body=draft,
        address=conversation.reply_address or contact.email,
        error=error,
        draft_action=f"{href}/draft",
        note_action=f"{href}/note",
        asks_subject=False,
        subject="",
        lead_id=str(conversation.lead_id or ""),
    )


async def _composer_of_contact(
    visit: Visit, contact: Contact, conversation: Conversation | None, talk: tuple[TalkItem, ...], *, error: str
) -> Composer:
    typed = read_body(visit) if error else ""
    if conversation is not None and not error:
        typed = await service.find_draft(visit.tx, visit.caller, conversation.id)
    href = f"/inbox/of-contact/{contact.id}"
    return Composer(
        action=f"{href}/reply",
        key=new_id(),
        generation=_generation(talk),
        body=typed,
        address=(conversation.reply_address if conversation else "") or contact.email,
        error=error,
        draft_action=f"/inbox/{conversation.id}/draft" if conversation else "",
        note_action=f"{href}/note",
        asks_subject=not any(item.kind == "in" for item in talk) and not (conversation and conversation.subject),
        subject=visit.form.text("subject", longest=300) if error else "",
        lead_id=visit.query("lead") or visit.form.text("lead_id"),
    )


def _generation(talk: tuple[TalkItem, ...]) -> str:
    """The newest thing we said: when it changes, the box was sent."""
    return next((str(item.id) for item in reversed(talk) if item.kind != "in"), "first")
