"""Lists of leads as pages and commands show them: filtered, a page at a time, each with names and clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, Member
from switchboard.kernel.db import Tx
from switchboard.leads import repository, repository_lists
from switchboard.leads.models import Lead, LeadFilter, LeadPage, LeadSummary, Stage
from switchboard.leads.repository_lists import LeadRow, SourceName
from switchboard.leads.stages import list_stages
from switchboard.people import service as people
from switchboard.people.models import Contact
from switchboard.routing import service as routing
from switchboard.routing.models import Assignment

PAGE_ROWS = 50
COLUMN_CARDS = 25
DEEP_COLUMN_CARDS = 150
MOST_FOUND = 200
MOST_OF_CONTACT = 20


@dataclass(frozen=True, slots=True)
class Names:
    """What a list calls stages, members and sources."""

    stages: Mapping[str, Stage]
    members: Mapping[UUID, Member]
    sources: Mapping[UUID, SourceName]


@dataclass(frozen=True, slots=True)
class Column:
    """One stage of the board: its newest leads, how many there are (`count` up to a bound), and whether more."""

    stage: Stage
    leads: tuple[LeadSummary, ...]
    count: int
    is_counted: bool
    has_more: bool


async def load_names(tx: Tx) -> Names:
    """Stages in their order, members and sources by name: three small queries."""
    return Names(
        {stage.key: stage for stage in await list_stages(tx)},
        {member.user_id: member for member in await accounts.list_members(tx)},
        await repository_lists.list_sources(tx),
    )


async def list_leads(
    tx: Tx,
    caller: Caller,
    chosen: LeadFilter,
    names: Names,
    *,
    before: UUID | None = None,
    after: UUID | None = None,
    limit: int = PAGE_ROWS,
) -> LeadPage:
    """One page of leads by the filter, newest first, older than `before` or newer than `after`."""
    caller.require("viewer")
    rows = await repository_lists.list_leads(tx, chosen, before=before, after=after, limit=limit + 1)
    has_more = len(rows) > limit
    shown = rows[1:] if has_more and after is not None else rows[:limit]
    leads = await summarise(tx, shown, names)
    has_newer = has_more if after is not None else before is not None
    has_older = after is not None or has_more
    return LeadPage(
        leads,
        newer_than=shown[0].id if shown and has_newer else None,
        older_than=shown[-1].id if shown and has_older else None,
    )


async def list_board(tx: Tx, caller: Caller, chosen: LeadFilter, names: Names, *, deep: str = "") -> list[Column]:
    """The board: the newest leads of every stage, more of the stage `deep`."""
    caller.require("viewer")
    keys = list(names.stages)
    limits = [DEEP_COLUMN_CARDS if key == deep else COLUMN_CARDS for key in keys]
    rows = await repository_lists.list_board(tx, keys, [limit + 1 for limit in limits], chosen)
    # Under a filter only the leads that are shown are counted: to count the others would be to read them all.
    counts = {} if chosen.narrows else await repository_lists.count_by_stage(tx, keys)
    by_stage: dict[str, list[LeadRow]] = {key: [] for key in keys}
    for row in rows:
        by_stage[row.stage].append(row)
    kept = [row for key, limit in zip(keys, limits, strict=True) for row in by_stage[key][:limit]]
    summaries = {lead.id: lead for lead in await summarise(tx, kept, names)}
    return [
        _column(names.stages[key], [summaries[row.id] for row in by_stage[key][:limit]], by_stage[key], counts.get(key))
        for key, limit in zip(keys, limits, strict=True)
    ]


def _column(stage: Stage, leads: list[LeadSummary], found: list[LeadRow], counted: int | None) -> Column:
    has_more = len(found) > len(leads)
    most = repository_lists.MOST_COUNTED
    if counted is None:
        return Column(stage, tuple(leads), len(leads), not has_more, has_more)
    return Column(stage, tuple(leads), min(counted, most), counted <= most, has_more)


async def list_unanswered(tx: Tx, caller: Caller, names: Names, limit: int) -> list[LeadSummary]:
    """Open leads that nobody has answered, the most urgent first; their clocks run."""
    caller.require("viewer")
    return list(await summarise(tx, await repository_lists.list_unanswered(tx, limit), names))


async def list_leads_of_contact(tx: Tx, caller: Caller, contact_id: UUID) -> list[Lead]:
    """The leads of one contact, newest first."""
    caller.require("viewer")
    return await repository.list_of_contact(tx, contact_id, MOST_OF_CONTACT)


async def list_open_leads_of(tx: Tx, caller: Caller, contact_ids: Sequence[UUID], limit: int) -> list[LeadSummary]:
    """Open leads of these contacts, newest first."""
    names = await load_names(tx)
    chosen = LeadFilter(contact_ids=tuple(contact_ids))
    return list((await list_leads(tx, caller, chosen, names, limit=limit)).leads)


async def find_contact_ids(tx: Tx, text: str) -> tuple[UUID, ...] | None:
    """The contacts whom a text finds, None for an empty text."""
    if not text:
        return None
    return tuple(await people.find_contact_ids(tx, text, MOST_FOUND))


async def summarise(tx: Tx, rows: Sequence[LeadRow], names: Names) -> tuple[LeadSummary, ...]:
    """Rows with names and clocks, in two queries."""
    if not rows:
        return ()
    contacts = await people.load_contacts(tx, {row.contact_id for row in rows})
    assignments = await routing.find_assignments(tx, [row.id for row in rows])
    return tuple(_summary(row, contacts.get(row.contact_id), assignments.get(row.id), names) for row in rows)


def _summary(row: LeadRow, contact: Contact | None, assignment: Assignment | None, names: Names) -> LeadSummary:
    stage = names.stages.get(row.stage)
    owner = names.members.get(row.owner_id) if row.owner_id else None
    source = names.sources.get(row.source_id)
    return LeadSummary(
        id=row.id,
        contact_id=row.contact_id,
        name=contact.title if contact else "Nameless contact",
        company=contact.company if contact else "",
        title=row.title.strip().split("\n", 1)[0][:200],
        stage=row.stage,
        stage_title=stage.title if stage else row.stage,
        stage_kind=stage.kind if stage else None,
        owner_id=row.owner_id,
        owner_name=owner.name if owner else "",
        source_id=row.source_id,
        source_name=source.name if source else "",
        value_minor=row.value_minor,
        currency=row.currency,
        is_junk=row.is_junk,
        is_accepted=row.accepted_at is not None,
        created_at=row.created_at,
        closed_at=row.closed_at,
        clock=clock_of(row, assignment),
    )


def clock_of(lead: Lead | LeadRow, assignment: Assignment | None) -> datetime | None:
    """When a lead is next escalated: until it is accepted the offer's end, else when the first answer is due."""
    if lead.closed_at is not None:
        return None
    if lead.accepted_at is None and assignment is not None and assignment.accept_by is not None:
        return assignment.accept_by
    return lead.respond_by if lead.first_responded_at is None else None
