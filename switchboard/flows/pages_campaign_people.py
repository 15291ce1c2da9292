"""The ledger of a campaign: who got it, who did not, and why; page by page, one person, or all as a file."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from switchboard.accounts.models import Caller
from switchboard.accounts.web import Visit, page
from switchboard.delivery import letter_templates
from switchboard.delivery.wording import Words
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import (
    MISSED_STATES,
    RECIPIENT_STATES,
    Campaign,
    Recipient,
    RecipientState,
)
from switchboard.flows.campaign_standing import RECIPIENT_WORDS, WHY, sum_counts
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.http import path_id
from switchboard.kernel.spreadsheets import guard_formula
from switchboard.people import service as people

COLUMNS = ("contact_id", "name", "email", "state", "reason", "variant", "turn", "since", "message_id")


@dataclass(frozen=True, slots=True)
class StateChip:
    """One state to narrow the ledger to."""

    state: str = field(metadata={"help": "The state, empty for all."})
    label: str = field(metadata={"help": "What it is called."})
    count: str = field(metadata={"help": "How many recipients stand in it."})
    href: str = field(metadata={"help": "Its address."})
    on: bool = field(metadata={"help": "Whether it is chosen."})
    icon: str | None = field(default=None, metadata={"help": "No icon."})


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """One line of the ledger."""

    recipient: Recipient = field(metadata={"help": "The line."})
    title: str = field(metadata={"help": "What to call the person."})
    words: Words = field(metadata={"help": "What the state is called."})
    why: str = field(metadata={"help": "Why they stand there, in words; empty when there is no reason."})


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of the ledger."""

    campaign: Campaign = field(metadata={"help": "Whose ledger it is."})
    rows: list[RecipientRow] = field(metadata={"help": "The lines, in the order of contacts."})
    chips: list[StateChip] = field(metadata={"help": "States to narrow it to."})
    state: str = field(metadata={"help": "The state chosen, empty for all."})
    label: str = field(metadata={"help": "What that is called."})
    query: str = field(metadata={"help": "Whom the caller looks for."})
    missed: Sequence[tuple[RecipientState, int]] = field(
        metadata={"help": "What can be sent once more: the chosen state, with how many they are."}
    )
    words: Mapping[RecipientState, Words] = field(metadata={"help": "What each state is called."})
    has_variants: bool = field(metadata={"help": "Whether there is more than one variant."})
    first_href: str = field(metadata={"help": "Address of the first lines, empty when these are they."})
    next_href: str = field(metadata={"help": "Address of the next lines, empty when there are none."})
    export_href: str = field(metadata={"help": "Address of these lines as a file."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_people(visit: Visit) -> Response:
    """The ledger by state, in the order of contacts, or the line of the one who is looked for."""
    tx, caller = visit.tx, visit.caller
    campaign = await campaigns.get_campaign(tx, caller, path_id(visit.request))
    here, state, after = f"/campaigns/{campaign.id}/people", _state(visit.query("state")), visit.query_id("after")
    query = visit.query("q")
    found = await _find_one(visit, campaign, query) if query else await _list(visit, campaign, state, after)
    shown = found[: campaigns.PAGE_ROWS]
    totals = sum_counts(await campaigns.count_by_state(tx, caller, campaign.id))
    context = PeoplePage(
        campaign=campaign,
        rows=await _rows(tx, shown),
        chips=_chips(here, totals, state),
        state=state or "",
        label=RECIPIENT_WORDS[state].text if state else "Everybody",
        query=query,
        missed=_missed(caller, campaign, totals, state),
        words=RECIPIENT_WORDS,
        has_variants=len(await campaigns.list_variants(tx, caller, campaign.id)) > 1,
        first_href=_href(here, state=state) if after else "",
        next_href=_href(here, state=state, after=shown[-1].contact_id) if len(found) > len(shown) else "",
        export_href=_href(f"{here}.csv", state=state),
        now=await tx.now(),
    )
    return await visit.render("flows/campaigns/people.html", context, active="campaigns")


async def export_people(visit: Visit) -> Response:
    """The ledger as CSV, streamed as it is read; cells that a spreadsheet could execute are guarded."""
    visit.caller.require("agent")
    campaign = await campaigns.get_campaign(visit.tx, visit.caller, path_id(visit.request))
    state = _state(visit.query("state"))
    lines = _lines(visit.state.database, visit.caller, campaign.id, state)
    name = f"{campaign.name}{'-' + state if state else ''}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(
    database: Database, caller: Caller, campaign_id: UUID, state: RecipientState | None
) -> AsyncIterator[bytes]:
    """The file piece by piece, each read in a transaction of its own: none stays open while a slow reader reads."""
    # Without the byte order mark Excel takes the file for the local encoding.
    yield _csv([COLUMNS]).encode("utf-8-sig")
    after: UUID | None = None
    while True:
        async with database.transaction(caller.workspace_id) as tx:
            rows = await campaigns.list_recipients(
                tx, caller, campaign_id, state, after=after, limit=campaigns.MOST_ROWS
            )
            emails = await _emails(tx, rows)
        yield _csv([_cells(row, emails) for row in rows]).encode()
        if len(rows) < campaigns.MOST_ROWS:
            return
        after = rows[-1].contact_id


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([[guard_formula(cell) for cell in row] for row in rows])
    return text.getvalue()


def _cells(row: Recipient, emails: Mapping[UUID, str]) -> tuple[object, ...]:
    return (
        row.contact_id,
        row.name,
        emails.get(row.contact_id, ""),
        row.state,
        _why(row),
        row.variant,
        row.due_at.isoformat() if row.due_at else "",
        row.updated_at.isoformat(),
        row.message_id,
    )


async def _emails(tx: Tx, rows: Sequence[Recipient]) -> dict[UUID, str]:
    contacts = await people.load_contacts(tx, [row.contact_id for row in rows])
    return {contact_id: contact.email or "" for contact_id, contact in contacts.items()}


async def _list(visit: Visit, campaign: Campaign, state: RecipientState | None, after: UUID | None) -> list[Recipient]:
    limit = campaigns.PAGE_ROWS + 1
    return await campaigns.list_recipients(visit.tx, visit.caller, campaign.id, state, after=after, limit=limit)


async def _find_one(visit: Visit, campaign: Campaign, query: str) -> list[Recipient]:
    contact = await letter_templates.find_preview_contact(visit.tx, visit.caller, query)
    if contact is None:
        return []
    found = await campaigns.find_recipient(visit.tx, visit.caller, campaign.id, contact.id)
    return [found] if found else []


async def _rows(tx: Tx, found: Sequence[Recipient]) -> list[RecipientRow]:
    contacts = await people.load_contacts(tx, [row.contact_id for row in found])
    return [
        RecipientRow(
            row,
            contacts[row.contact_id].title if row.contact_id in contacts else row.name or "Nameless contact",
            RECIPIENT_WORDS[row.state],
            _why(row),
        )
        for row in found
    ]


def _why(row: Recipient) -> str:
    # Of those who got it the reason is how the gate came to let it go, which says nothing more.
    return WHY.get(row.reason, row.reason.replace("_", " ")) if row.reason else ""


def _chips(here: str, totals: Mapping[str, int], chosen: RecipientState | None) -> list[StateChip]:
    everybody = StateChip("", "Everybody", f"{sum(totals.values()):,}", here, chosen is None)
    chips = [
        StateChip(state, RECIPIENT_WORDS[state].text, f"{totals[state]:,}", _href(here, state=state), state == chosen)
        for state in RECIPIENT_STATES
        if totals.get(state)
    ]
    return [everybody, *chips]


def _missed(
    caller: Caller, campaign: Campaign, totals: Mapping[str, int], state: RecipientState | None
) -> Sequence[tuple[RecipientState, int]]:
    if not caller.may("admin") or campaign.state not in ("running", "paused", "finished", "cancelled"):
        return ()
    return [(one, totals[one]) for one in MISSED_STATES if totals.get(one) and state in (None, one)]


def _state(text: str) -> RecipientState | None:
    return next((state for state in RECIPIENT_STATES if state == text), None)


def _href(path: str, *, state: str | None = None, after: UUID | None = None) -> str:
    named = {name: value for name, value in (("state", state), ("after", after)) if value}
    return f"{path}?{urlencode(named)}" if named else path


routes = [
    Route("/campaigns/{id}/people", page(show_people), methods=["GET"]),
    Route("/campaigns/{id}/people.csv", page(export_people), methods=["GET"]),
]
