"""The pages of leads: the list with an item beside it, and the board."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.models import Member
from switchboard.accounts.web import Visit, page
from switchboard.kernel.http import path_id
from switchboard.leads import listing, pages_actions, pages_export, pages_stages
from switchboard.leads.list_query import ME, NOBODY, ListQuery, cursor, read_query, resolve
from switchboard.leads.listing import Column, Names
from switchboard.leads.models import VIEWS, LeadPage, Stage, View
from switchboard.leads.pages_actions import JUNK_REASONS
from switchboard.leads.pages_item import LeadItem, load_item
from switchboard.people import service as people
from switchboard.routing import service as routing
from switchboard.routing.models import Rota

VIEW_LABELS: dict[View, str] = {
    "open": "Open",
    "waiting": "Unaccepted",
    "mine": "Mine",
    "closed": "Closed",
    "junk": "Junk",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that can be set or taken away."""

    label: str = field(metadata={"help": "As people read it."})
    href: str = field(metadata={"help": "The list with it set, or without it."})
    on: bool = field(default=False, metadata={"help": "Whether it is set."})
    count: int | None = field(default=None, metadata={"help": "How many, where that is known."})
    icon: str | None = field(default=None, metadata={"help": "A mark before it, or none."})


@dataclass(frozen=True, slots=True)
class Filters:
    """What can be filtered by, and what is."""

    views: tuple[Chip, ...] = field(metadata={"help": "The plain views."})
    stages: tuple[Chip, ...] = field(metadata={"help": "One a stage."})
    owners: tuple[Chip, ...] = field(metadata={"help": "Nobody, and one a member."})
    sources: tuple[Chip, ...] = field(metadata={"help": "One a source."})
    chosen: tuple[Chip, ...] = field(metadata={"help": "What is set now; each takes itself away."})
    query: ListQuery = field(metadata={"help": "The state in the address."})


@dataclass(frozen=True, slots=True)
class LeadListPage:
    """The list, and the lead that is open beside it."""

    found: LeadPage = field(metadata={"help": "The rows."})
    filters: Filters = field(metadata={"help": "What is filtered."})
    here: str = field(metadata={"help": "Path and query of this page, to come back to."})
    base: str = field(metadata={"help": "Query of the list, with its question mark, for the rows' addresses."})
    list_href: str = field(metadata={"help": "The list without an open item."})
    board_href: str = field(metadata={"help": "The same leads as a board."})
    export_href: str = field(metadata={"help": "The same leads as a file."})
    most_exported: int = field(metadata={"help": "How many leads a file holds at most."})
    newer_href: str = field(metadata={"help": "The page before this one, or empty."})
    older_href: str = field(metadata={"help": "The page after this one, or empty."})
    item: LeadItem | None = field(metadata={"help": "The open lead."})
    stages: tuple[Stage, ...] = field(metadata={"help": "Where leads can be moved."})
    marks: dict[str, str] = field(metadata={"help": "The mark drawn before a stage, by its key."})
    members: tuple[Member, ...] = field(metadata={"help": "To whom leads can be given."})
    rotas: tuple[Rota, ...] = field(metadata={"help": "To whose next leads can be given."})
    junk_reasons: tuple[str, ...] = field(metadata={"help": "Reasons that are offered."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Leads by stage."""

    columns: tuple[Column, ...] = field(metadata={"help": "One a stage."})
    filters: Filters = field(metadata={"help": "What is filtered."})
    here: str = field(metadata={"help": "Path and query of this page, to come back to."})
    base: str = field(metadata={"help": "Query of the board, with its question mark, for the cards' addresses."})
    list_href: str = field(metadata={"help": "The same leads as a list."})
    more_hrefs: dict[str, str] = field(metadata={"help": "Where a column goes on, by stage."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_list(visit: Visit) -> Response:
    """Leads by view, stage, owner, source and text, newest first, 50 a page."""
    return await _list(visit, None)


async def show_lead(visit: Visit) -> Response:
    """The list with one lead open beside it; on a narrow window the lead alone."""
    return await _list(visit, path_id(visit.request))


async def _list(visit: Visit, lead_id: UUID | None) -> Response:
    query = read_query(visit)
    names = await listing.load_names(visit.tx)
    base = _query_text(query)
    item = await load_item(visit, lead_id, names, base.lstrip("?")) if lead_id else None
    chosen = await resolve(visit.tx, query, visit.caller.user_id)
    found = await listing.list_leads(
        visit.tx, visit.caller, chosen, names, before=cursor(query.before), after=cursor(query.after)
    )
    is_agent = visit.caller.may("agent")
    context = LeadListPage(
        found=found,
        filters=await _filters(visit, query, names, "/leads"),
        here=_here(visit),
        base=base,
        list_href=query.href("/leads"),
        board_href=query.href("/leads/board", view="", stage=""),
        export_href=query.href("/leads/export", before="", after=""),
        most_exported=pages_export.MOST_EXPORTED,
        newer_href=query.href("/leads", after=str(found.newer_than)) if found.newer_than else "",
        older_href=query.href("/leads", before=str(found.older_than)) if found.older_than else "",
        item=item,
        stages=tuple(names.stages.values()),
        marks={key: stage.mark for key, stage in names.stages.items()},
        members=tuple(names.members.values()),
        rotas=item.rotas if item else tuple(await routing.list_rotas(visit.tx)) if is_agent else (),
        junk_reasons=JUNK_REASONS,
        now=await visit.tx.now(),
    )
    return await visit.render("leads/list.html", context, active="leads")


async def show_board(visit: Visit) -> Response:
    """The board, with the newest leads of each stage."""
    query = read_query(visit)
    names = await listing.load_names(visit.tx)
    chosen = await resolve(visit.tx, query, visit.caller.user_id)
    deep = visit.query("more")
    columns = await listing.list_board(visit.tx, visit.caller, chosen, names, deep=deep)
    context = BoardPage(
        columns=tuple(columns),
        filters=await _filters(visit, query, names, "/leads/board"),
        here=_here(visit),
        base=_query_text(query),
        list_href=query.href("/leads"),
        more_hrefs={column.stage.key: _more_href(query, column, deep) for column in columns if column.has_more},
        now=await visit.tx.now(),
    )
    return await visit.render("leads/board.html", context, active="leads")


def _more_href(query: ListQuery, column: Column, deep: str) -> str:
    """First a longer column, then the list from where the column ends."""
    if column.stage.key == deep:
        return query.href("/leads", stage=column.stage.key, before=str(column.leads[-1].id))
    address = query.href("/leads/board")
    return f"{address}{'&' if '?' in address else '?'}more={column.stage.key}"


async def _filters(visit: Visit, query: ListQuery, names: Names, path: str) -> Filters:
    stages = [
        Chip(stage.title, query.href(path, stage=stage.key), stage.key == query.stage)
        for stage in names.stages.values()
    ]
    owners = [Chip("Nobody", query.href(path, owner=NOBODY), query.owner == NOBODY)]
    for member in names.members.values():
        key = ME if member.user_id == visit.caller.user_id else str(member.user_id)
        owners.append(Chip(member.name, query.href(path, owner=key), key == query.owner))
    sources = [
        Chip(source.name, query.href(path, source=str(source.id)), str(source.id) == query.source)
        for source in names.sources.values()
    ]
    return Filters(
        views=tuple(
            Chip(VIEW_LABELS[view], query.href(path, view="" if view == "open" else view), view == query.chosen_view)
            for view in VIEWS
        ),
        stages=tuple(stages),
        owners=tuple(owners),
        sources=tuple(sources),
        chosen=await _chosen(visit, query, path, {"stage": stages, "owner": owners, "source": sources}),
        query=query,
    )


async def _chosen(visit: Visit, query: ListQuery, path: str, offered: dict[str, list[Chip]]) -> tuple[Chip, ...]:
    chosen = []
    for name, chips in offered.items():
        if getattr(query, name):
            label = next((chip.label for chip in chips if chip.on), "Gone")
            chosen.append(Chip(f"{name.capitalize()}: {label}", query.href(path, **{name: ""}), on=True, icon="x"))
    if query.contact:
        contact = await people.access_contact(visit.tx, visit.caller, UUID(query.contact))
        chosen.append(Chip(f"Contact: {contact.title}", query.href(path, contact=""), on=True, icon="x"))
    return tuple(chosen)


def _query_text(query: ListQuery) -> str:
    return query.href("")


def _here(visit: Visit) -> str:
    url = visit.request.url
    return f"{url.path}?{url.query}" if url.query else url.path


routes = [
    Route("/leads", page(show_list), methods=["GET"]),
    Route("/leads/board", page(show_board), methods=["GET"]),
    *pages_export.routes,
    Route("/leads/{id}", page(show_lead), methods=["GET"]),
    *pages_actions.routes,
    *pages_stages.routes,
]
