"""`switchboard rota`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

import typer

from switchboard.accounts import service as accounts
from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller, Member
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas, service, views
from switchboard.routing.models import Rota, Strategy
from switchboard.routing.views import RotaSummary

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@dataclass(frozen=True, slots=True)
class RotaLine:
    """What is printed of a rota."""

    id: UUID
    name: str
    strategy: str
    time_zone: str
    on_now: list[str]
    next_change: datetime | None
    waiting: int
    members: int


@commands.command("list")
def list_rotas(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Rotas, and who is on now."""

    async def work(tx: Tx, caller: Caller) -> list[RotaSummary]:
        return await views.list_rota_summaries(tx, caller)

    rows = [_line(summary) for summary in console(ctx).run(work)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ["name", "on_now", "next_change", "waiting", "members", "id"])


@commands.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="What the rota is called.")],
    strategy: Annotated[str, typer.Option(help="round_robin, weighted, least_loaded or sticky.")] = "round_robin",
    time_zone: Annotated[str, typer.Option(help="Zone of its shifts; the workspace's when left out.")] = "",
    holidays: Annotated[str, typer.Option(help="Country of its public holidays, such as DE or DE-BY.")] = "",
    supervisor: Annotated[str, typer.Option(help="E-mail address of who gets what nobody accepted.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a rota; the first one also takes everything that no rule does."""

    async def work(tx: Tx, caller: Caller) -> str:
        rota = Rota(
            id=new_id(),
            name=name,
            time_zone=time_zone or (await accounts.get_workspace(tx)).time_zone,
            strategy=cast(Strategy, strategy),
            holiday_country=holidays or None,
            supervisor_id=(await _member(tx, supervisor, "supervisor")).user_id if supervisor else None,
            version=1,
        )
        return str(await rotas.create_rota(tx, caller, rota))

    rota_id = console(ctx).run(work)
    if as_json:
        print_json({"id": rota_id, "name": name, "strategy": strategy})
    else:
        typer.echo(f"The rota {name} is there. Add its members with `switchboard rota add-member`.")


@commands.command("add-member")
def add_member(
    ctx: typer.Context,
    rota: Annotated[str, typer.Option(help="Name of the rota.")],
    email: Annotated[str, typer.Option(help="Whom to add, by e-mail address.")],
    weight: Annotated[int, typer.Option(help="How often, for the strategy weighted.")] = 1,
    capacity: Annotated[int | None, typer.Option(help="Most open leads at once; left out for no limit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a member to a rota, or change their weight and capacity."""

    async def work(tx: Tx, caller: Caller) -> tuple[str, str]:
        found = await service.find_rota_by_name(tx, rota)
        if found is None:
            raise _unknown("rota", f"there is no rota {rota!r}; `switchboard rota list` shows them")
        member = await _member(tx, email, "email")
        await rotas.set_member(tx, caller, found.id, member.user_id, weight=weight, capacity=capacity)
        return str(found.id), str(member.user_id)

    rota_id, user_id = console(ctx).run(work)
    if as_json:
        print_json({"rota_id": rota_id, "user_id": user_id, "weight": weight, "capacity": capacity})
    else:
        typer.echo(f"{email} is in the rota {rota}.")


def _line(summary: RotaSummary) -> RotaLine:
    rota = summary.rota
    return RotaLine(
        id=rota.id,
        name=rota.name,
        strategy=rota.strategy,
        time_zone=rota.time_zone,
        on_now=summary.on_now,
        next_change=summary.next_change,
        waiting=summary.waiting,
        members=summary.members,
    )


async def _member(tx: Tx, email: str, option: str) -> Member:
    for member in await accounts.list_members(tx):
        if member.email == email.strip().lower():
            return member
    raise _unknown(option, f"there is no member {email!r}; `switchboard user list` shows them")


def _unknown(option: str, message: str) -> InvalidError:
    return InvalidError("That cannot be done.", problems=[Problem(option, message)])
