"""The dry run of a campaign: who would get what and when, who is held back and why, and one letter as it would be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service as accounts
from switchboard.accounts.web import Visit, page
from switchboard.delivery.pages_mailbox import frame_response
from switchboard.delivery.rendering import TemplateError
from switchboard.delivery.wording import Words
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import Campaign, DryRow, DryRun
from switchboard.flows.campaign_standing import WHY
from switchboard.flows.campaign_terms import has_rest
from switchboard.flows.campaign_trials import dry_run, preview_letter
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id
from switchboard.kernel.localtime import to_local

# A page waits for the totals; of more people than these only the first are counted.
MOST_COUNTED = 20_000
MOST_NUMBER_DIGITS = 2
ACTION_WORDS: Mapping[str, Words] = {
    "send": Words("Gets it", "ok"),
    "defer": Words("Later", "wait"),
    "hold": Words("Held", "wait"),
    "drop": Words("Not sent", "outline"),
    "fail": Words("Fails", "bad"),
    "exclude": Words("Left out", "outline"),
}


@dataclass(frozen=True, slots=True)
class TriedRow:
    """One person of the dry run."""

    row: DryRow = field(metadata={"help": "What they would get."})
    title: str = field(metadata={"help": "What to call them."})
    words: Words = field(metadata={"help": "What would become of it."})
    due_at: datetime | None = field(metadata={"help": "When, in the workspace's zone."})
    href: str = field(metadata={"help": "This page with them, and their letter, beside the list."})


@dataclass(frozen=True, slots=True)
class DryRunPage:
    """A campaign tried on real people; nothing was sent."""

    campaign: Campaign = field(metadata={"help": "Which it is."})
    tried: DryRun = field(metadata={"help": "Totals and where the next page begins."})
    rows: list[TriedRow] = field(metadata={"help": "The people of this page."})
    left_out: list[tuple[str, int]] = field(metadata={"help": "Why people are left out, and how many."})
    shown: TriedRow | None = field(metadata={"help": "Who is shown beside the list."})
    letter_href: str = field(metadata={"help": "Address of that letter."})
    list_href: str = field(metadata={"help": "This page without a letter."})
    first_href: str = field(metadata={"help": "Address of the first people, empty when these are they."})
    next_href: str = field(metadata={"help": "Address of the next people, empty when there are none."})
    has_rest: bool = field(metadata={"help": "Whether those who are not in the test wait for its winner."})
    has_variants: bool = field(metadata={"help": "Whether there is more than one variant."})
    zone: str = field(metadata={"help": "The workspace's time zone."})


async def show_dry_run(visit: Visit) -> Response:
    """Who would get what and when, who is held back and why, over the real people of the audience."""
    tx, caller = visit.tx, visit.caller
    campaign = await campaigns.get_campaign(tx, caller, path_id(visit.request))
    after, here = visit.query_id("after"), f"/campaigns/{campaign.id}/dry-run"
    tried = await dry_run(tx, caller, campaign.id, after=after, most_counted=MOST_COUNTED)
    zone = (await accounts.get_workspace(tx)).time_zone
    variants = await campaigns.list_variants(tx, caller, campaign.id)
    rows = [_row(row, zone, here, after) for row in tried.rows]
    wanted = visit.query_id("show")
    shown = next((row for row in rows if row.row.contact_id == wanted), None)
    context = DryRunPage(
        campaign=campaign,
        tried=tried,
        rows=rows,
        left_out=[(_why(reason), number) for reason, number in tried.totals.items() if reason != "send"],
        shown=shown,
        letter_href=_letter_href(campaign.id, shown.row) if shown else "",
        list_href=_href(here, after=after),
        first_href=here if after else "",
        next_href=_href(here, after=tried.after) if tried.after else "",
        has_rest=has_rest(campaign, variants),
        has_variants=len(variants) > 1,
        zone=zone,
    )
    return await visit.render("flows/campaigns/dry_run.html", context, active="campaigns")


async def show_letter(visit: Visit) -> Response:
    """The first letter of a variant as `contact` would get it, for its frame."""
    campaign_id, number = path_id(visit.request), visit.query("variant")
    variant = int(number) if number.isascii() and number.isdigit() and len(number) <= MOST_NUMBER_DIGITS else 1
    try:
        letter = await preview_letter(
            visit.tx, visit.caller, campaign_id, contact_id=visit.query_id("contact"), variant=variant
        )
    except (TemplateError, InvalidError) as error:
        problems = error.problems or (Problem("", error.message),)
        shown = visit.state.renderer.render("delivery/preview_problems.html", {"problems": problems})
        return frame_response(visit, shown)
    return frame_response(visit, letter.html)


def _row(row: DryRow, zone: str, here: str, after: UUID | None) -> TriedRow:
    return TriedRow(
        row=row,
        title=row.name or row.address or "Nameless contact",
        words=ACTION_WORDS[row.action],
        due_at=to_local(row.due_at, zone) if row.due_at else None,
        href=_href(here, after=after, show=row.contact_id),
    )


def _why(reason: str) -> str:
    return WHY.get(reason, reason.replace("_", " "))


def _letter_href(campaign_id: UUID, row: DryRow) -> str:
    return f"/campaigns/{campaign_id}/letter?{urlencode({'contact': row.contact_id, 'variant': row.variant})}"


def _href(path: str, **named: UUID | None) -> str:
    given = {name: value for name, value in named.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


routes = [
    Route("/campaigns/{id}/dry-run", page(show_dry_run), methods=["GET"]),
    Route("/campaigns/{id}/letter", page(show_letter), methods=["GET"]),
]
