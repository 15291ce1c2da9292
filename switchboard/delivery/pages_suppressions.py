"""The list of addresses that nothing is sent to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.delivery import suppressing
from switchboard.delivery.models import SuppressedAddress
from switchboard.delivery.paging import find_place
from switchboard.kernel.errors import InvalidError

REASONS: Mapping[str, str] = {
    "unsubscribed": "Unsubscribed",
    "bounced": "Mail came back",
    "complained": "Reported as spam",
    "manual": "Put here by hand",
}


@dataclass(frozen=True, slots=True)
class SuppressionsPage:
    """The suppression list."""

    rows: Sequence[SuppressedAddress] = field(metadata={"help": "The addresses, newest first."})
    search: str = field(metadata={"help": "What the addresses shown begin with."})
    reasons: Mapping[str, str] = field(metadata={"help": "Reasons in words."})
    typed: str = field(metadata={"help": "The address as typed in the form."})
    error: str = field(metadata={"help": "What is wrong with it."})
    next_href: str = field(metadata={"help": "Older entries, empty at the end."})
    now: datetime = field(metadata={"help": "The request's time."})


async def list_suppressed(visit: Visit) -> Response:
    """Addresses that are suppressed, newest first, and why; `q` searches by their beginning."""
    return await _render(visit)


async def add_suppressed(visit: Visit) -> Response:
    """Put an address on the list, or show what is wrong with it."""
    typed = visit.form.text("address")
    try:
        value = await suppressing.suppress_by_hand(visit.tx, visit.caller, typed)
    except InvalidError as error:
        return await _render(visit, typed=typed, error=error.problems[0].message, status=error.status)
    return visit.done("/suppressions", f"Nothing is sent to {value} any more.")


async def remove_suppressed(visit: Visit) -> Response:
    """Take an address off the list."""
    kind, value = visit.form.required("kind"), visit.form.required("value")
    await suppressing.unsuppress(visit.tx, visit.caller, kind, value, visit.form.text("proof"))
    return visit.done("/suppressions", f"Mail may go to {value} again.")


async def _render(visit: Visit, *, typed: str = "", error: str = "", status: int = 200) -> Response:
    search = visit.query("q")
    rows = await suppressing.list_suppressed(
        visit.tx, visit.caller, search=search, before=find_place(visit.query("before"))
    )
    last = rows[-1] if len(rows) == suppressing.PAGE_ROWS else None
    older = {"q": search, "before": f"{last.created_at.isoformat()} {last.value}"} if last else {}
    context = SuppressionsPage(
        rows=rows,
        search=search,
        reasons=REASONS,
        typed=typed,
        error=error,
        next_href=f"/suppressions?{urlencode(older)}" if older else "",
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/suppressions.html", context, active="mailbox", status=status)


routes = [
    Route("/suppressions", page(list_suppressed), methods=["GET"]),
    Route("/suppressions", action(add_suppressed), methods=["POST"]),
    Route("/suppressions/remove", action(remove_suppressed), methods=["POST"]),
]
