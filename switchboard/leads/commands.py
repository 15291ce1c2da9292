"""`switchboard lead`."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller, Member
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.leads import listing, service
from switchboard.leads.models import VIEWS, Lead, LeadFilter, LeadSummary, View
from switchboard.leads.stages import get_stage
from switchboard.people import service as people

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

MOST_LISTED = 10_000
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
LeadId = Annotated[UUID, typer.Argument(parser=read_id, help="The lead's id.")]


@dataclass(frozen=True, slots=True)
class ShownLead:
    """A lead with the names that its ids stand for."""

    id: UUID
    name: str
    email: str
    phone: str
    stage: str
    owner: str | None
    source: str | None
    title: str
    value_minor: int | None
    currency: str | None
    signals: int
    is_junk: bool
    junk_reason: str | None
    utm: dict[str, object]
    fields: dict[str, object]
    created_at: datetime
    respond_by: datetime | None
    accepted_at: datetime | None
    first_responded_at: datetime | None
    closed_at: datetime | None


@commands.command("list")
def list_leads(
    ctx: typer.Context,
    as_json: AsJson = False,
    view: Annotated[str, typer.Option(help="open, waiting, closed or junk.")] = "open",
    stage: Annotated[str, typer.Option(help="Key of a stage.")] = "",
    owner: Annotated[str, typer.Option(help="E-mail address of a member, or `nobody`.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="At most so many.")] = 50,
) -> None:
    """Leads, newest first."""

    async def work(tx: Tx, caller: Caller) -> tuple[LeadSummary, ...]:
        names = await listing.load_names(tx)
        chosen = LeadFilter(
            view=_view(view),
            stage=(await get_stage(tx, stage)).key if stage else "",
            owner_id=_member(owner, names.members.values()) if owner not in ("", "nobody") else None,
            is_unowned=owner == "nobody",
        )
        return (await listing.list_leads(tx, caller, chosen, names, limit=limit)).leads

    leads = console(ctx).run(work)
    if as_json:
        print_json(leads)
    else:
        print_rows(leads, ["id", "name", "stage", "owner_name", "source_name", "is_accepted", "created_at"])


@commands.command("show")
def show_lead(ctx: typer.Context, lead_id: LeadId, as_json: AsJson = False) -> None:
    """One lead with everything known of it."""

    async def work(tx: Tx, caller: Caller) -> ShownLead:
        return await _shown(tx, await service.access_lead(tx, caller, lead_id))

    lead = console(ctx).run(work)
    if as_json:
        print_json(lead)
    else:
        print_rows([lead], ["name", "email", "phone", "stage", "owner", "source", "created_at", "closed_at"])


@commands.command("accept")
def accept_lead(
    ctx: typer.Context,
    lead_id: LeadId,
    member: Annotated[str, typer.Option(help="Address of the member who takes it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Accept a lead for a member; without one, for the member it is offered to."""

    async def work(tx: Tx, caller: Caller) -> ShownLead:
        lead = await service.access_lead(tx, caller, lead_id)
        members = (await listing.load_names(tx)).members
        user_id = _member(member, members.values()) if member else lead.owner_id
        if user_id is None or user_id not in members:
            raise InvalidError("Nobody has this lead yet. Name who takes it with --member.")
        taking = members[user_id]
        await service.accept(tx, Caller(tx.workspace_id, taking.role, taking.user_id, taking.name), lead.id)
        return await _shown(tx, await service.access_lead(tx, caller, lead.id))

    lead = console(ctx).run(work)
    if as_json:
        print_json(lead)
    else:
        typer.echo(f"{lead.owner} has accepted the lead of {lead.name}.")


async def _shown(tx: Tx, lead: Lead) -> ShownLead:
    names = await listing.load_names(tx)
    contact = (await people.load_contacts(tx, [lead.contact_id]))[lead.contact_id]
    owner = names.members.get(lead.owner_id) if lead.owner_id else None
    source = names.sources.get(lead.source_id)
    shared = {each.name for each in fields(Lead)} & {each.name for each in fields(ShownLead)}
    return ShownLead(
        name=contact.title,
        email=contact.email,
        phone=contact.phone,
        owner=owner.email if owner else None,
        source=source.name if source else None,
        **{name: getattr(lead, name) for name in shared},
    )


def _view(text: str) -> View:
    found = next((view for view in VIEWS if view == text), None)
    if found is None or found == "mine":
        choices = ", ".join(view for view in VIEWS if view != "mine")
        raise InvalidError(f"There is no view {text!r}.", problems=[Problem("view", f"expected one of {choices}")])
    return found


def _member(email: str, members: Iterable[Member]) -> UUID:
    found = next((member.user_id for member in members if member.email == email.strip().lower()), None)
    if found is None:
        raise InvalidError(f"{email} is no member.", problems=[Problem("owner", "expected a member's e-mail address")])
    return found
