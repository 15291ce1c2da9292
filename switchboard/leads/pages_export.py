"""Leads as a file for a spreadsheet: what the list shows, all pages of it."""

import csv
import io
from collections.abc import AsyncIterator
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.kernel.money import format_amount
from switchboard.kernel.spreadsheets import guard_formula
from switchboard.leads import listing
from switchboard.leads.list_query import read_query, resolve
from switchboard.leads.models import LeadSummary

MOST_EXPORTED = 100_000
EXPORTED_AT_ONCE = 1_000
COLUMNS = (
    "id", "name", "company", "title", "stage", "owner", "source", "value", "currency", "junk", "created_at",
    "closed_at",
)  # fmt: skip


async def export_leads(visit: Visit) -> Response:
    """The leads of the list's filters as CSV, newest first; cells that a spreadsheet could execute are guarded."""
    visit.caller.require("agent")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    async for lead in _all_leads(visit):
        writer.writerow(guard_formula(cell) for cell in _cells(lead))
    headers = {"Content-Disposition": 'attachment; filename="leads.csv"', "Cache-Control": "no-store"}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


async def _all_leads(visit: Visit) -> AsyncIterator[LeadSummary]:
    names = await listing.load_names(visit.tx)
    chosen = await resolve(visit.tx, read_query(visit), visit.caller.user_id)
    before: UUID | None = None
    for _ in range(MOST_EXPORTED // EXPORTED_AT_ONCE):
        found = await listing.list_leads(visit.tx, visit.caller, chosen, names, before=before, limit=EXPORTED_AT_ONCE)
        for lead in found.leads:
            yield lead
        before = found.older_than
        if before is None:
            return


def _cells(lead: LeadSummary) -> tuple[object, ...]:
    return (
        lead.id,
        lead.name,
        lead.company,
        lead.title,
        lead.stage_title,
        lead.owner_name,
        lead.source_name,
        format_amount(lead.value_minor, lead.currency),
        lead.currency,
        "yes" if lead.is_junk else "",
        lead.created_at.isoformat(),
        lead.closed_at.isoformat() if lead.closed_at else "",
    )


routes = [Route("/leads/export", page(export_leads), methods=["GET"])]
