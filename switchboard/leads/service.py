"""Leads as people work on them: accept, assign, move, value, junk, reopen, and take a change back.

Opening is in `opening`, lists in `listing`, stages in `stages`; what flows do goes through `subject`.
"""

from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.leads import changes, repository
from switchboard.leads.errors import ClosedError, LeadNotFoundError
from switchboard.leads.facts import LEAD_FIELDS, load_facts
from switchboard.leads.models import Lead, Reversal
from switchboard.leads.opening import open_and_route, open_or_join
from switchboard.leads.stages import first_open, get_stage, install_stages, list_stages
from switchboard.people import service as people
from switchboard.routing import service as routing

__all__ = [
    "LEAD_FIELDS",
    "accept",
    "access_lead",
    "add_note",
    "assign",
    "change_stage",
    "install_stages",
    "list_stages",
    "load_facts",
    "mark_junk",
    "open_and_route",
    "open_or_join",
    "reopen",
    "set_value",
]

MOST_AT_ONCE = 200
MOST_VALUE_MINOR = 10**15
LONGEST_REASON = 200
# The part of an id that is not its time.
_WITHIN = (1 << 80) - 1


async def access_lead(tx: Tx, caller: Caller, lead_id: UUID) -> Lead:
    """The lead; raises LeadNotFoundError."""
    caller.require("viewer")
    found = (await repository.load(tx, [lead_id])).get(lead_id)
    if found is None:
        raise LeadNotFoundError
    return found


async def accept(tx: Tx, caller: Caller, lead_id: UUID) -> None:
    """Take a lead for good, whoever it was offered to; the same person may accept twice.

    Raises LeadNotFoundError, ClosedError, and routing's AcceptedAlreadyError when a colleague was quicker.
    """
    (lead,) = await _lock(tx, caller, [lead_id])
    if not lead.is_open:
        raise ClosedError
    if caller.user_id is not None and lead.id not in await routing.find_assignments(tx, [lead.id]):
        await changes.give(tx, caller.actor, [lead], user_id=caller.user_id, trigger=routing.by_hand(caller))
    await routing.accept(tx, caller, lead_id)


async def assign(
    tx: Tx, caller: Caller, lead_ids: Sequence[UUID], *, user_id: UUID | None = None, rota_id: UUID | None = None
) -> Reversal:
    """Give open leads to a member, or to the next ones of a rota.

    Who takes leads themselves has accepted them. Raises InvalidError for anybody who is no member, ClosedError.
    """
    leads = await _lock(tx, caller, lead_ids)
    if any(not lead.is_open for lead in leads):
        raise ClosedError
    await routing.check_target(tx, user_id=user_id, rota_id=rota_id)
    first = new_id()
    await changes.give(tx, caller.actor, leads, user_id=user_id, rota_id=rota_id, trigger=routing.by_hand(caller))
    if user_id is not None and user_id == caller.user_id:
        for lead in leads:
            await routing.accept(tx, caller, lead.id)
    # Ids of one millisecond have no order, so the range takes in the whole of the first and of the last.
    return Reversal(UUID(int=first.int & ~_WITHIN), UUID(int=new_id().int | _WITHIN), len(leads))


async def change_stage(tx: Tx, caller: Caller, lead_ids: Sequence[UUID], stage: str) -> Reversal | None:
    """Move leads to the stage with that key; None when all stand there already.

    A stage of kind won or lost closes them, an open one opens them again. Raises LeadNotFoundError, StageUnknownError,
    OpenAlreadyError.
    """
    leads = await _lock(tx, caller, lead_ids)
    target = await get_stage(tx, stage)
    moving = [lead for lead in leads if lead.stage != target.key]
    return _reversal(await changes.move_to_stage(tx, caller.actor, moving, target))


async def set_value(
    tx: Tx, caller: Caller, lead_id: UUID, value_minor: int | None, currency: str | None
) -> Reversal | None:
    """Say what a lead is worth, in minor units of an ISO 4217 currency; None for both takes the value away."""
    (lead,) = await _lock(tx, caller, [lead_id])
    _check_value(value_minor, currency)
    if (lead.value_minor, lead.currency) == (value_minor, currency):
        return None
    return _reversal(await changes.write_value(tx, caller.actor, [lead], value_minor, currency))


async def mark_junk(tx: Tx, caller: Caller, lead_ids: Sequence[UUID], reason: str) -> Reversal | None:
    """Close leads as junk, with the reason; they are kept and can be reopened. Raises InvalidError without one."""
    leads = await _lock(tx, caller, lead_ids)
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= LONGEST_REASON:
        problem = Problem("reason", f"say why in at most {LONGEST_REASON} characters")
        raise InvalidError("A reason is missing.", problems=[problem])
    fresh = [lead for lead in leads if not lead.is_junk]
    return _reversal(await changes.write_junk(tx, caller.actor, fresh, reason))


async def reopen(tx: Tx, caller: Caller, lead_ids: Sequence[UUID]) -> Reversal | None:
    """Work on closed leads again: out of junk, or back from won or lost to the first stage.

    Raises LeadNotFoundError, OpenAlreadyError when the contact has another open lead.
    """
    leads = await _lock(tx, caller, lead_ids)
    junk = [lead for lead in leads if lead.is_junk]
    unjunked = await changes.clear_junk(tx, caller.actor, junk)
    stage = first_open(await list_stages(tx))
    ended = [lead for lead in leads if not lead.is_junk and not lead.is_open]
    return _reversal([*unjunked, *await changes.move_to_stage(tx, caller.actor, ended, stage)])


async def add_note(tx: Tx, caller: Caller, lead_id: UUID, body: str, *, is_call: bool = False) -> UUID:
    """Write a note about a lead's contact; a call counts as the first answer. Raises LeadNotFoundError."""
    lead = await access_lead(tx, caller, lead_id)
    return await people.add_note(tx, caller, lead.contact_id, body, is_call=is_call)


async def _lock(tx: Tx, caller: Caller, lead_ids: Sequence[UUID]) -> list[Lead]:
    caller.require("agent")
    wanted = list(dict.fromkeys(lead_ids))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        problem = Problem("ids", f"select from 1 to {MOST_AT_ONCE} leads")
        raise InvalidError("Select the leads first.", problems=[problem])
    found = await repository.lock(tx, wanted)
    if len(found) < len(wanted):
        raise LeadNotFoundError
    return [found[lead_id] for lead_id in wanted]


def _check_value(value_minor: int | None, currency: str | None) -> None:
    if (value_minor is None) != (currency is None):
        raise InvalidError("A value needs a currency.", problems=[Problem("currency", "expected three letters: EUR")])
    if value_minor is not None and not 0 <= value_minor <= MOST_VALUE_MINOR:
        raise InvalidError("That value cannot be.", problems=[Problem("value", "expected a number from 0 on")])
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise InvalidError("That is no currency.", problems=[Problem("currency", "expected three letters: EUR")])


def _reversal(changed: Sequence[Event]) -> Reversal | None:
    if not changed:
        return None
    ids = [event.id for event in changed]
    return Reversal(min(ids), max(ids), len(changed))
