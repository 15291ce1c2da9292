"""The list of addresses that nothing is sent to, and what puts an address on it."""

from datetime import datetime
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery import repository, repository_suppressions
from switchboard.delivery.bounces import Bounce
from switchboard.delivery.errors import SuppressionNotFoundError
from switchboard.delivery.models import Message, SuppressedAddress, SuppressionReason
from switchboard.delivery.queueing import message_event
from switchboard.kernel import events
from switchboard.kernel.addresses import Rejected, parse_email, parse_phone
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor, Event
from switchboard.people import service as people

PAGE_ROWS = 50


async def suppress(
    tx: Tx,
    kind: str,
    value: str,
    reason: SuppressionReason,
    message_id: UUID | None = None,
    *,
    actor: Actor = events.SYSTEM,
) -> bool:
    """Put an address in its normal form on the list; False when it is there already. Safe to repeat."""
    if not await repository_suppressions.insert_suppression(tx, kind, value, reason, message_id):
        return False
    data = {"kind": kind, "reason": reason}
    await events.append(tx, [Event("suppression.added", message_id, actor=actor, data=data)])
    return True


async def suppress_by_hand(tx: Tx, caller: Caller, text: str) -> str:
    """Put an address that a colleague typed on the list and return its normal form; raises InvalidError."""
    caller.require("agent")
    kind, value = _parse_address(text)
    await suppress(tx, kind, value, "manual", actor=caller.actor)
    return value


async def unsuppress(tx: Tx, caller: Caller, kind: str, value: str, proof: str) -> None:
    """Take an address off the list; `proof` says why that is right, and is kept.

    A contact who opted out stays opted out. Raises SuppressionNotFoundError, InvalidError without a proof.
    """
    caller.require("admin")
    if not proof.strip():
        raise InvalidError("Say why mail may go there again.", problems=[Problem("proof", "fill this in")])
    if not await repository_suppressions.delete_suppression(tx, kind, value):
        raise SuppressionNotFoundError
    data = {"kind": kind, "proof": proof.strip()[:500]}
    await events.append(tx, [Event("suppression.removed", actor=caller.actor, data=data)])


async def is_suppressed(tx: Tx, kind: str, value: str) -> bool:
    """Whether nothing is sent to that address."""
    return bool(await repository_suppressions.find_of_addresses(tx, kind, [value]))


async def list_suppressed(
    tx: Tx, caller: Caller, *, search: str = "", before: tuple[datetime, str] | None = None
) -> list[SuppressedAddress]:
    """A page of the list, newest first, after the row with the time and address `before`."""
    caller.require("viewer")
    return await repository_suppressions.list_suppressions(tx, search=search.lower(), before=before, limit=PAGE_ROWS)


async def record_bounce(tx: Tx, bounce: Bounce) -> Message | None:
    """Write down that a message of ours came back, and suppress its address when it did so for good.

    None when it names no message of ours: anybody can write a mail that looks like a report, but only the mail system
    that got our mail knows its Message-ID. A complaint also opts the contact out. Safe to repeat.
    """
    message = None
    if bounce.original_message_id is not None:
        message = await repository.find_by_header_ids(tx, [bounce.original_message_id])
    if message is None or message.direction != "out":
        return None
    if bounce.kind == "soft":
        await _note(tx, message, message.state, "delayed", bounce)
        return message
    reason: SuppressionReason = "complained" if bounce.kind == "complaint" else "bounced"
    if message.state != "bounced":
        await _note(tx, message, "bounced", reason, bounce)
        data = {"bounce": bounce.kind, "status": bounce.status}
        await events.append(tx, [message_event("message.bounced", message, data)])
    await suppress(tx, "email", message.address, reason, message.id)
    if bounce.kind == "complaint" and message.contact_id is not None:
        actor = Actor("contact", message.contact_id)
        await people.opt_out(tx, message.contact_id, actor, f"Reported message {message.id} as spam")
    return message


async def _note(tx: Tx, message: Message, state: str, reason: str, bounce: Bounce) -> None:
    words = " ".join(part for part in (bounce.status, bounce.diagnostic) if part) or bounce.kind
    detail = f"The mail system of {message.address} reports: {words}"[:500]
    await repository.set_states(tx, [{"id": message.id, "state": state, "reason": reason, "detail": detail}])


def _parse_address(text: str) -> tuple[str, str]:
    if "@" in text:
        email = parse_email(text)
        if not isinstance(email, Rejected):
            return "email", email
        raise InvalidError("That is not an address.", problems=[Problem("address", email.reason)])
    phone = parse_phone(text, "ZZ")
    if isinstance(phone, Rejected):
        message = "expected an e-mail address, or a phone number that begins with + and the country's prefix"
        raise InvalidError("That is not an address.", problems=[Problem("address", message)])
    return "phone", phone
