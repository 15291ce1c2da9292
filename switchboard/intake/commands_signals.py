"""`switchboard signal`."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller
from switchboard.intake import service, signals
from switchboard.intake.models import LoggedSignal
from switchboard.intake.repository_signals import Bounds
from switchboard.kernel.db import Tx

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
SourceName = Annotated[str, typer.Option(help="Name of the source.")]


@commands.command("list")
def list_signals(
    ctx: typer.Context,
    source: SourceName,
    failed: Annotated[bool, typer.Option(help="Only those that stand failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """The newest 50 signals of a source and what became of them."""

    async def work(tx: Tx, caller: Caller) -> tuple[LoggedSignal, ...]:
        found = await service.get_source_by_name(tx, source)
        if failed:
            return (await signals.list_failed_signals(tx, caller, found.id)).signals
        return (await signals.list_signals(tx, caller, found.id, Bounds())).signals

    rows = console(ctx).run(work)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_rows(rows, ["received_at", "outcome", "is_due", "lead_id", "id"])


@commands.command("again")
def run_again(
    ctx: typer.Context,
    source: SourceName,
    signal_id: Annotated[
        UUID | None,
        typer.Option("--id", parser=read_id, metavar="ID", help="One signal; all that stand failed without."),
    ] = None,
) -> None:
    """Recognise signals once more, by the mapping as it is now."""

    async def work(tx: Tx, caller: Caller) -> int:
        found = await service.get_source_by_name(tx, source)
        if signal_id is not None:
            await signals.run_again(tx, caller, signal_id)
            return 1
        return await signals.run_failed_again(tx, caller, found.id)

    typer.echo(f"{console(ctx).run(work)} on the way again.")
