"""One lead as the pages show it, beside the list or on its own."""

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from switchboard.accounts.web import Visit
from switchboard.kernel.money import format_amount
from switchboard.leads import listing, service
from switchboard.leads.listing import Names
from switchboard.leads.models import Lead, Stage
from switchboard.people import service as people
from switchboard.people.models import Contact
from switchboard.people.timeline import TimelineItem, list_timeline
from switchboard.routing import service as routing
from switchboard.routing.models import Decision, Rota

TIMELINE_ROWS = 40
TABS = {"timeline": "Timeline", "talk": "Talk", "why": "Why", "data": "Data", "payloads": "Payloads"}


@dataclass(frozen=True, slots=True)
class Tab:
    """One section of the item."""

    key: str = field(metadata={"help": "As it stands in the address."})
    label: str = field(metadata={"help": "As people read it."})
    href: str = field(metadata={"help": "Where it opens."})


@dataclass(frozen=True, slots=True)
class OtherLead:
    """Another lead of the same contact."""

    id: UUID = field(metadata={"help": "Its id."})
    title: str = field(metadata={"help": "What it was about, or empty."})
    stage: str = field(metadata={"help": "Where it stands."})
    is_junk: bool = field(metadata={"help": "Whether it was junk."})
    created_at: datetime = field(metadata={"help": "When it came."})


@dataclass(frozen=True, slots=True)
class LeadItem:
    """One lead with what its open section shows."""

    lead: Lead = field(metadata={"help": "The lead."})
    contact: Contact = field(metadata={"help": "Whose it is."})
    stage: Stage | None = field(metadata={"help": "Where it stands; none when the stage is gone."})
    stage_shape: str = field(metadata={"help": "The mark before the stage."})
    owner_name: str = field(metadata={"help": "Who has it, or empty."})
    source_name: str = field(metadata={"help": "Where it came from, or empty."})
    clock: datetime | None = field(metadata={"help": "The next escalation."})
    is_offer: bool = field(metadata={"help": "Whether the clock counts to the end of an offer, not to the answer."})
    tab: str = field(metadata={"help": "Key of the open section."})
    tabs: tuple[Tab, ...] = field(metadata={"help": "All sections."})
    timeline: tuple[TimelineItem, ...] = field(metadata={"help": "What happened, oldest first, newest below."})
    earlier_href: str = field(metadata={"help": "Address of earlier events, or empty."})
    decisions: tuple[Decision, ...] = field(metadata={"help": "Why it is where it is, newest first."})
    others: tuple[OtherLead, ...] = field(metadata={"help": "Other leads of the same contact."})
    rotas: tuple[Rota, ...] = field(metadata={"help": "To whose next it can be given."})
    value_text: str = field(metadata={"help": "The value as typed into its field."})


async def load_item(visit: Visit, lead_id: UUID, names: Names, base: str) -> LeadItem:
    """The lead of that id; `base` is the query of the list beside it. Raises LeadNotFoundError."""
    tx, caller = visit.tx, visit.caller
    lead = await service.access_lead(tx, caller, lead_id)
    contact = await people.access_contact(tx, caller, lead.contact_id)
    assignment = (await routing.find_assignments(tx, [lead.id])).get(lead.id)
    tab = visit.query("tab") if visit.query("tab") in TABS else "timeline"
    timeline, earlier_href = await _timeline(visit, lead, base) if tab == "timeline" else ((), "")
    clock = listing.clock_of(lead, assignment)
    stage = names.stages.get(lead.stage)
    return LeadItem(
        lead=lead,
        contact=contact,
        stage=stage,
        stage_shape=stage.mark if stage else "quiet",
        owner_name=_owner_name(lead, names),
        source_name=names.sources[lead.source_id].name if lead.source_id in names.sources else "",
        clock=clock,
        is_offer=lead.accepted_at is None and assignment is not None and clock == assignment.accept_by,
        tab=tab,
        tabs=tuple(Tab(key, label, _href(lead.id, base, tab=key)) for key, label in TABS.items()),
        timeline=timeline,
        earlier_href=earlier_href,
        decisions=tuple(await routing.list_decisions(tx, lead.id)) if tab == "why" else (),
        others=await _others(visit, lead, names) if tab == "data" else (),
        rotas=tuple(await routing.list_rotas(tx)) if caller.may("agent") else (),
        value_text=format_amount(lead.value_minor, lead.currency),
    )


def _owner_name(lead: Lead, names: Names) -> str:
    owner = names.members.get(lead.owner_id) if lead.owner_id else None
    return owner.name if owner else ""


async def _timeline(visit: Visit, lead: Lead, base: str) -> tuple[tuple[TimelineItem, ...], str]:
    earlier_than = visit.query("earlier")
    before = UUID(earlier_than) if _is_id(earlier_than) else None
    items = await list_timeline(visit.tx, lead.contact_id, before, TIMELINE_ROWS + 1)
    shown = items[:TIMELINE_ROWS]
    has_more = len(items) > TIMELINE_ROWS
    return tuple(reversed(shown)), _href(lead.id, base, earlier=str(shown[-1].id)) if has_more else ""


async def _others(visit: Visit, lead: Lead, names: Names) -> tuple[OtherLead, ...]:
    leads = await listing.list_leads_of_contact(visit.tx, visit.caller, lead.contact_id)
    return tuple(
        OtherLead(
            other.id,
            other.subject,
            names.stages[other.stage].title if other.stage in names.stages else other.stage,
            other.is_junk,
            other.created_at,
        )
        for other in leads
        if other.id != lead.id
    )


def _href(lead_id: UUID, base: str, **more: str) -> str:
    query = "&".join(part for part in (base, urlencode(more)) if part)
    return f"/leads/{lead_id}?{query}" if query else f"/leads/{lead_id}"


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
