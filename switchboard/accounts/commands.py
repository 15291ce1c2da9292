"""`switchboard user`."""

from typing import Annotated

import typer

from switchboard.accounts import service
from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller, Member, Role
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Password = Annotated[str, typer.Option(prompt=True, hide_input=True, help="Ten characters or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@commands.command("create")
def create(
    ctx: typer.Context,
    email: Annotated[str, typer.Option(help="Address to sign in with.")],
    password: Password,
    name: Annotated[str, typer.Option(help="As colleagues know them.")] = "",
    role: Annotated[str, typer.Option(help="owner, admin, agent or viewer.")] = "agent",
    as_json: AsJson = False,
) -> None:
    """Add a user and make them a member of the workspace."""

    async def work(tx: Tx, caller: Caller) -> str:
        user_id = await service.create_member(tx, caller, email=email, name=name, password=password, role=_role(role))
        return str(user_id)

    user_id = console(ctx).run(work)
    if as_json:
        print_json({"id": user_id, "email": email, "role": role})
    else:
        typer.echo(f"{email} can sign in now as {role}.")


@commands.command("list")
def list_users(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Members of the workspace."""

    async def work(tx: Tx, _caller: Caller) -> list[Member]:
        return await service.list_members(tx)

    members = console(ctx).run(work)
    if as_json:
        print_json(members)
    else:
        print_rows(members, ["email", "name", "role", "user_id"])


@commands.command("password")
def set_password(
    ctx: typer.Context, email: Annotated[str, typer.Option(help="Whose password.")], password: Password
) -> None:
    """Set a user's password."""

    async def work(tx: Tx, _caller: Caller) -> None:
        await service.change_password(tx, email=email, password=password)

    console(ctx).run(work)
    typer.echo(f"{email} has a new password.")


def _role(text: str) -> Role:
    roles: dict[str, Role] = {"owner": "owner", "admin": "admin", "agent": "agent", "viewer": "viewer"}
    if text not in roles:
        raise InvalidError("That is not a role.", problems=[Problem("role", f"expected one of {', '.join(roles)}")])
    return roles[text]
