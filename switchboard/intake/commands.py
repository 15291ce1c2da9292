"""`switchboard source`."""

from typing import Annotated

import typer

from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller, system_caller
from switchboard.intake import service
from switchboard.intake.batcher import Batcher
from switchboard.intake.models import Source
from switchboard.intake.testing import send_test
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.settings import Settings, load_settings

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@commands.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="As leads show it.")],
    format_name: Annotated[str, typer.Option("--format", help="How its payloads are written.")] = "generic",
    as_json: AsJson = False,
) -> None:
    """Add a source and print its intake address."""

    async def work(tx: Tx, caller: Caller) -> Source:
        return await service.create_source(tx, caller, name=name, format_name=format_name)

    settings = load_settings()
    source = console(ctx).run(work)
    if as_json:
        print_json(_as_json(settings, source))
    else:
        typer.echo(f"{source.name} takes signals at {service.intake_url(settings, source)}")


@commands.command("list")
def list_sources(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Sources of the workspace, with their intake addresses."""

    async def work(tx: Tx, caller: Caller) -> list[Source]:
        return await service.list_sources(tx, caller)

    settings = load_settings()
    sources = console(ctx).run(work)
    if as_json:
        print_json([_as_json(settings, source) for source in sources])
    else:
        print_rows(sources, ["name", "format", "paused_at", "id"])


@commands.command("test")
def send(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    as_json: AsJson = False,
) -> None:
    """Send a lead in the source's own format, as its test button does."""
    chosen = console(ctx)

    async def work(database: Database, _settings: Settings) -> str:
        workspace_id = await chosen.choose_workspace(database)
        batcher = Batcher(database, most_waiting=1)
        batcher.start()
        try:
            async with database.transaction(workspace_id) as tx:
                source = await service.get_source_by_name(tx, name)
                return str(await send_test(tx, system_caller(workspace_id), source.id, batcher))
        finally:
            await batcher.stop()

    signal_id = chosen.run_with_database(work)
    if as_json:
        print_json({"signal_id": signal_id})
    else:
        typer.echo(f"Sent as {signal_id}. `switchboard signal list --source NAME` says what became of it.")


def _as_json(settings: Settings, source: Source) -> dict[str, object]:
    return {
        "id": source.id,
        "name": source.name,
        "format": source.format,
        "url": service.intake_url(settings, source),
        "token": source.token,
        "is_paused": source.paused_at is not None,
    }
