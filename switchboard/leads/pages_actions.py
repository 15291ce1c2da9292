"""The forms of leads: what a button or a key does to one lead or to all selected ones."""

from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import own_path, path_id
from switchboard.kernel.money import parse_amount
from switchboard.leads import reversing, service
from switchboard.leads.models import Reversal
from switchboard.leads.stages import get_stage

JUNK_REASONS = ("Spam", "Test", "Not a customer", "Wrong contact details", "Looking for a job")
LONGEST_BACK = 1_000


async def accept(visit: Visit) -> Response:
    """Accept one lead."""
    lead_id = path_id(visit.request)
    await service.accept(visit.tx, visit.caller, lead_id)
    return visit.done(_back(visit, f"/leads/{lead_id}"), "Accepted. It is yours.")


async def assign(visit: Visit) -> Response:
    """Give one lead to a member or a rota."""
    lead_id = path_id(visit.request)
    return await _assign(visit, [lead_id], f"/leads/{lead_id}")


async def assign_selected(visit: Visit) -> Response:
    """Give all selected leads to a member or a rota."""
    return await _assign(visit, _selected(visit), "/leads")


async def change_stage(visit: Visit) -> Response:
    """Move one lead; the board posts here too."""
    lead_id = path_id(visit.request)
    return await _change_stage(visit, [lead_id], f"/leads/{lead_id}")


async def change_stage_of_selected(visit: Visit) -> Response:
    """Move all selected leads."""
    return await _change_stage(visit, _selected(visit), "/leads")


async def mark_junk(visit: Visit) -> Response:
    """Close one lead as junk."""
    lead_id = path_id(visit.request)
    return await _mark_junk(visit, [lead_id], f"/leads/{lead_id}")


async def mark_selected_junk(visit: Visit) -> Response:
    """Close all selected leads as junk."""
    return await _mark_junk(visit, _selected(visit), "/leads")


async def reopen(visit: Visit) -> Response:
    """Work on a closed lead again."""
    lead_id = path_id(visit.request)
    made = await service.reopen(visit.tx, visit.caller, [lead_id])
    return _done(visit, f"/leads/{lead_id}", "Opened again.", made)


async def set_value(visit: Visit) -> Response:
    """Say what a lead is worth."""
    lead_id = path_id(visit.request)
    text, currency = visit.form.text("value"), visit.form.text("currency").upper()
    minor = parse_amount(text, currency) if text else None
    if text and minor is None:
        raise InvalidError("That is no amount.", problems=[Problem("value", "expected a number such as 1200.50")])
    made = await service.set_value(visit.tx, visit.caller, lead_id, minor, currency if text else None)
    return _done(visit, f"/leads/{lead_id}?tab=data", "Value saved.", made)


async def add_note(visit: Visit) -> Response:
    """Write a note, or that they were called."""
    lead_id = path_id(visit.request)
    is_call = visit.form.checked("is_call")
    body = visit.form.text("body", longest=20_000) or ("Called them." if is_call else "")
    await service.add_note(visit.tx, visit.caller, lead_id, body, is_call=is_call)
    return visit.done(_back(visit, f"/leads/{lead_id}"), "Call noted." if is_call else "Note added.")


async def undo(visit: Visit) -> Response:
    """Take back what the toast told."""
    first, last = _id_of(visit.query("first")), _id_of(visit.query("last"))
    undone = await reversing.undo(visit.tx, visit.caller, first, last)
    text = f"Taken back: {_count(undone)}." if undone else "There was nothing to take back: it has been changed since."
    return visit.done(own_path(visit.query("back"), otherwise="/leads"), text)


async def _assign(visit: Visit, lead_ids: list[UUID], default: str) -> Response:
    kind, _, target = visit.form.required("target").partition(":")
    target_id = _id_of(target)
    made = await service.assign(
        visit.tx,
        visit.caller,
        lead_ids,
        user_id=target_id if kind == "user" else None,
        rota_id=target_id if kind == "rota" else None,
    )
    return _done(visit, default, f"Assigned {_count(made.count)}.", made)


async def _change_stage(visit: Visit, lead_ids: list[UUID], default: str) -> Response:
    stage = await get_stage(visit.tx, visit.form.required("stage"))
    made = await service.change_stage(visit.tx, visit.caller, lead_ids, stage.key)
    text = f"Moved {_count(made.count)} to {stage.title}." if made else f"Already in {stage.title}."
    return _done(visit, default, text, made)


async def _mark_junk(visit: Visit, lead_ids: list[UUID], default: str) -> Response:
    reason = visit.form.text("other") or visit.form.required("reason")
    made = await service.mark_junk(visit.tx, visit.caller, lead_ids, reason)
    text = f"Marked {_count(made.count)} as junk." if made else "That is junk already."
    return _done(visit, default, text, made)


def _done(visit: Visit, default: str, text: str, made: Reversal | None) -> Response:
    back = _back(visit, default)
    undo = f"/leads/undo?first={made.first}&last={made.last}" if made else ""
    return visit.done(back, text, undo=undo)


def _selected(visit: Visit) -> list[UUID]:
    return [_id_of(text) for text in visit.form.texts("ids")]


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidError("A choice is wrong.", problems=[Problem("target", "choose one of the list")]) from None


def _count(number: int) -> str:
    return "1 lead" if number == 1 else f"{number:,} leads"


def _back(visit: Visit, default: str) -> str:
    """Where the form stood, so that filters and page stay as they were."""
    typed = visit.form.text("back", longest=LONGEST_BACK) or visit.query("back")
    return own_path(typed, otherwise=default)


routes = [
    Route("/leads/undo", action(undo), methods=["POST"]),
    Route("/leads/bulk/assign", action(assign_selected), methods=["POST"]),
    Route("/leads/bulk/stage", action(change_stage_of_selected), methods=["POST"]),
    Route("/leads/bulk/junk", action(mark_selected_junk), methods=["POST"]),
    Route("/leads/{id}/accept", action(accept), methods=["POST"]),
    Route("/leads/{id}/assign", action(assign), methods=["POST"]),
    Route("/leads/{id}/stage", action(change_stage), methods=["POST"]),
    Route("/leads/{id}/value", action(set_value), methods=["POST"]),
    Route("/leads/{id}/junk", action(mark_junk), methods=["POST"]),
    Route("/leads/{id}/reopen", action(reopen), methods=["POST"]),
    Route("/leads/{id}/notes", action(add_note), methods=["POST"]),
]
