"""`switchboard flow`."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller
from switchboard.flows.models import FlowSummary, StandingRun, StepRecord, StoredFlow
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Name = Annotated[str, typer.Argument(help="The flow's name, as in its file.")]


@commands.command("apply")
def apply_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A flow in YAML.")],
    is_active: Annotated[bool, typer.Option("--activate", help="Let people in at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a flow and save it as the newest version of the flow it names."""
    from switchboard.flows import service  # noqa: PLC0415

    source = _read_file(file)
    kinds = console(ctx).subject_kinds()

    async def work(tx: Tx, caller: Caller) -> StoredFlow:
        saved = await service.save_flow(tx, caller, source, kinds)
        if is_active:
            await service.activate(tx, caller, saved.id, kinds)
        return await service.access_flow(tx, caller, saved.id)

    _tell(console(ctx).run(work), as_json=as_json)


@commands.command("activate")
def activate(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let people enter a flow, and let those go on who rested in it."""
    from switchboard.flows import service  # noqa: PLC0415

    kinds = console(ctx).subject_kinds()

    async def work(tx: Tx, caller: Caller) -> StoredFlow:
        flow = await service.get_flow_by_name(tx, caller, name)
        await service.activate(tx, caller, flow.id, kinds)
        return await service.access_flow(tx, caller, flow.id)

    _tell(console(ctx).run(work), as_json=as_json)


@commands.command("pause")
def pause(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let nobody enter a flow; whoever is in it rests."""
    from switchboard.flows import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> StoredFlow:
        flow = await service.get_flow_by_name(tx, caller, name)
        await service.pause(tx, caller, flow.id)
        return await service.access_flow(tx, caller, flow.id)

    _tell(console(ctx).run(work), as_json=as_json)


@commands.command("install")
def install(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Add the flows and letters that come with Switchboard, paused."""
    from switchboard.flows import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[StoredFlow]:
        return await service.install_library(tx, caller)

    added = console(ctx).run(work)
    if as_json:
        print_json(added)
    else:
        print_rows(added, ["name", "title", "version", "id"])


@commands.command("list")
def list_flows(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Flows, who is in them now, and how the last 30 days went."""
    from switchboard.flows import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[FlowSummary]:
        return await service.list_flows(tx, caller)

    flows = console(ctx).run(work)
    if as_json:
        print_json(flows)
    else:
        print_rows(flows, ["name", "is_active", "version", "running", "started", "finished", "failed"])


@commands.command("runs")
def list_runs(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--flow", help="Only this flow's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Runs that are going, and the step each stands at."""
    from switchboard.flows import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[StandingRun]:
        flow = await service.get_flow_by_name(tx, caller, name) if name else None
        return await service.list_runs(tx, caller, flow_id=flow.id if flow else None, limit=limit)

    runs = console(ctx).run(work)
    if as_json:
        print_json(runs)
    else:
        print_rows(runs, ["id", "subject_kind", "subject_id", "version", "step", "phase", "due_at", "last_error"])


@commands.command("history")
def show_history(
    ctx: typer.Context,
    run_id: Annotated[UUID, typer.Argument(parser=read_id, help="Id of the run.")],
    as_json: AsJson = False,
) -> None:
    """What a run did, step by step."""
    from switchboard.flows import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[StepRecord]:
        return await service.list_history(tx, caller, run_id)

    records = console(ctx).run(work)
    if as_json:
        print_json(records)
    else:
        print_rows(records, ["revision", "step", "outcome", "detail"])


def _read_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problem = Problem("file", f"{file} is not UTF-8 text: {error.reason} at byte {error.start}")
        raise InvalidError("There is no flow in that file.", problems=[problem]) from error


def _tell(flow: StoredFlow, *, as_json: bool) -> None:
    if as_json:
        print_json(flow)
    else:
        typer.echo(f"{flow.name} stands at version {flow.version} and is {'active' if flow.is_active else 'paused'}.")
