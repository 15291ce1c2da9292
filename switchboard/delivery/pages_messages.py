"""Messages that did not simply go out, and one message with its reasons and tries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.service import list_members
from switchboard.accounts.web import Visit, action, page
from switchboard.delivery import service
from switchboard.delivery.models import TROUBLED, Attempt, ChannelBreak, Message, State, Trouble, TroubleCount
from switchboard.delivery.wording import OUTCOME_WORDS, REASON_WORDS, STATE_WORDS, Words
from switchboard.kernel.db import Tx
from switchboard.kernel.http import own_path, path_id
from switchboard.kernel.ids import find_id
from switchboard.people import service as people
from switchboard.people.models import Contact


@dataclass(frozen=True, slots=True)
class Filter:
    """A chip above the list."""

    label: str = field(metadata={"help": "The state in words."})
    href: str = field(metadata={"help": "The list with this filter."})
    on: bool = field(metadata={"help": "Whether it is the one chosen."})
    count: int | None = field(metadata={"help": "Messages of the last seven days."})
    icon: str | None = field(metadata={"help": "Nothing: states have words."}, default=None)


@dataclass(frozen=True, slots=True)
class MessagesPage:
    """Messages in trouble."""

    troubles: Sequence[Trouble] = field(metadata={"help": "The rows, newest first."})
    filters: Sequence[Filter] = field(metadata={"help": "One chip a state."})
    reasons: Sequence[TroubleCount] = field(metadata={"help": "Numbers of the last seven days by reason."})
    breaks: Sequence[ChannelBreak] = field(metadata={"help": "Channels that do not send at the moment."})
    state_words: Mapping[State, Words] = field(metadata={"help": "States in words."})
    reason_words: Mapping[str, str] = field(metadata={"help": "Reasons in words."})
    next_href: str = field(metadata={"help": "Older messages, empty at the end."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One message."""

    message: Message = field(metadata={"help": "The message."})
    contact: Contact | None = field(metadata={"help": "Whom it belongs to."})
    attempts: Sequence[Attempt] = field(metadata={"help": "Its tries, newest first."})
    state: Words = field(metadata={"help": "Its state in words."})
    reason: str = field(metadata={"help": "Its reason in words, empty when there is none."})
    outcome_words: Mapping[str, Words] = field(metadata={"help": "Outcomes of tries in words."})
    can_be_sent_again: bool = field(metadata={"help": "Whether the button is shown."})
    can_be_sent_anyway: bool = field(metadata={"help": "Whether a button is shown that overrules an opt-out."})
    sent_anyway_by: str = field(metadata={"help": "Who overruled an opt-out for it, empty for nobody."})
    now: datetime = field(metadata={"help": "The request's time."})


async def list_messages(visit: Visit) -> Response:
    """What was held, dropped, failed or came back, with numbers by reason."""
    visit.caller.require("viewer")
    state = next((one for one in TROUBLED if one == visit.query("state")), None)
    reason = visit.query("reason")
    troubles = await service.list_troubles(
        visit.tx, states=[state] if state else TROUBLED, reason=reason, before=find_id(visit.query("before"))
    )
    counts = await service.count_troubles(visit.tx)
    older = {"state": state or "", "reason": reason, "before": str(troubles[-1].id)} if troubles else {}
    context = MessagesPage(
        troubles=troubles,
        filters=_filters(counts, state),
        reasons=[one for one in counts if state is None or one.state == state],
        breaks=await service.list_breaks(visit.tx),
        state_words=STATE_WORDS,
        reason_words=REASON_WORDS,
        next_href=f"/messages?{urlencode(older)}" if len(troubles) == service.PAGE_ROWS else "",
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/messages.html", context, active="mailbox")


async def show_message(visit: Visit) -> Response:
    """One message: where it stands and why, and what was tried."""
    message = await service.access_message(visit.tx, visit.caller, path_id(visit.request))
    contacts = await people.load_contacts(visit.tx, [message.contact_id] if message.contact_id else [])
    is_agent = visit.caller.may("agent")
    can_be_sent_anyway = is_agent and service.may_be_sent_anyway(message)
    context = MessagePage(
        message=message,
        contact=contacts.get(message.contact_id) if message.contact_id else None,
        attempts=await service.list_attempts(visit.tx, message.id),
        state=STATE_WORDS[message.state],
        reason=REASON_WORDS.get(message.reason or "", ""),
        outcome_words=OUTCOME_WORDS,
        can_be_sent_again=is_agent and not can_be_sent_anyway and service.may_be_sent_again(message),
        can_be_sent_anyway=can_be_sent_anyway,
        sent_anyway_by=await _name_of(visit.tx, message.sent_anyway_by),
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/message.html", context, active="mailbox")


async def send_again(visit: Visit) -> Response:
    """Put a message back into the outbox."""
    message_id = path_id(visit.request)
    await service.send_again(visit.tx, visit.caller, message_id)
    return visit.done(f"/messages/{message_id}", "It goes out again, if nothing stands against it now.")


async def see(visit: Visit) -> Response:
    """Take note of a message that did not go out."""
    await service.see(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(
        own_path(visit.form.text("back"), otherwise="/messages"), "Seen. It is still listed under Messages."
    )


async def send_anyway(visit: Visit) -> Response:
    """Send an answer that is held because its recipient opted out, on the word of whoever asks for it."""
    message_id = path_id(visit.request)
    await service.send_anyway(visit.tx, visit.caller, message_id)
    return visit.done(f"/messages/{message_id}", "It goes out now.")


async def _name_of(tx: Tx, user_id: UUID | None) -> str:
    if user_id is None:
        return ""
    names = {member.user_id: member.name for member in await list_members(tx)}
    return names.get(user_id, "A former member")


def _filters(counts: Sequence[TroubleCount], chosen: State | None) -> list[Filter]:
    by_state = {state: sum(one.messages for one in counts if one.state == state) for state in TROUBLED}
    chips = [
        Filter(STATE_WORDS[state].text, f"/messages?state={state}", state == chosen, by_state[state])
        for state in TROUBLED
    ]
    return [Filter("All", "/messages", chosen is None, None), *chips]


routes = [
    Route("/messages", page(list_messages), methods=["GET"]),
    Route("/messages/{id}", page(show_message), methods=["GET"]),
    Route("/messages/{id}/again", action(send_again), methods=["POST"]),
    Route("/messages/{id}/seen", action(see), methods=["POST"]),
    Route("/messages/{id}/anyway", action(send_anyway), methods=["POST"]),
]
