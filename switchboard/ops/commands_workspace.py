"""`switchboard workspace`."""

from typing import Annotated

import typer

from switchboard.accounts import service as accounts
from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Workspace
from switchboard.kernel.db import Database
from switchboard.kernel.settings import Settings

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Password = Annotated[str, typer.Option(prompt=True, hide_input=True, help="Ten characters or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@commands.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="What the workspace is called.")],
    owner: Annotated[str, typer.Option(help="Address its owner signs in with.")],
    password: Password,
    time_zone: Annotated[str, typer.Option(help="IANA zone, such as Europe/Berlin.")] = "UTC",
    region: Annotated[str, typer.Option(help="Country of phone numbers without a prefix.")] = "US",
    as_json: AsJson = False,
) -> None:
    """Make a workspace with its owner, and what a fresh installation has: stages, a rota, paused flows, a source."""
    from switchboard.ops.first_run import FirstOwner, make_workspace  # noqa: PLC0415 help must not load every room

    async def work(database: Database, settings: Settings) -> Workspace:
        async with database.directory() as tx:
            await make_workspace(
                tx,
                name,
                FirstOwner(owner, password),
                mail_domain=settings.mail_domain,
                time_zone=time_zone,
                default_region=region.upper(),
            )
            return await accounts.get_workspace(tx)

    made = console(ctx).run_with_database(work)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"{owner} can sign in now as owner of {made.name}, workspace {made.id}.")


@commands.command("list")
def list_workspaces(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Every workspace, oldest first."""

    async def work(database: Database, _settings: Settings) -> list[Workspace]:
        async with database.directory() as tx:
            ids = await accounts.list_workspace_ids(tx)
        found = []
        for workspace_id in ids:
            async with database.transaction(workspace_id) as tx:
                found.append(await accounts.get_workspace(tx))
        return found

    workspaces = console(ctx).run_with_database(work)
    if as_json:
        print_json(workspaces)
    else:
        print_rows(workspaces, ["id", "name", "time_zone", "default_region", "mail_from"])
