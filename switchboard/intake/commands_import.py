"""`switchboard import FILE`: the same upload and the same jobs as the page, followed to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from uuid import UUID

import typer
from rich.console import Console as Screen
from rich.progress import Progress

from switchboard.accounts.command_line import Console, console, print_json
from switchboard.accounts.models import Caller, system_caller
from switchboard.intake import importing, service
from switchboard.intake.import_jobs import ImportJobs
from switchboard.intake.models import Import
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError, Problem, UnavailableError
from switchboard.kernel.settings import Settings

LOOK_SECONDS = 0.3
# Reading and recognising go on in the queues; when nothing moves for so long, nobody works them.
PATIENCE_SECONDS = 60.0

ImportFile = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or XLSX file.", exists=True, dir_okay=False)]


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command was called with."""

    path: Path
    source: str
    mapping: dict[str, object] | None
    starts_flows: bool


def import_file(
    ctx: typer.Context,
    file: ImportFile,
    source: Annotated[str, typer.Option(help="Name of the source the leads belong to.")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="JSON that says which column is what; guessed without.", exists=True, dir_okay=False),
    ] = None,
    start_flows: Annotated[bool, typer.Option("--start-flows", help="Let flows begin for these people.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
) -> None:
    """Import a file of leads and follow it to the end. Exit code 1 when rows were not imported."""
    chosen = console(ctx)
    request = _Request(file, source, _read_mapping(mapping) if mapping else None, start_flows)

    async def work(database: Database, _settings: Settings) -> Import:
        return await _import(chosen, database, request, is_quiet=as_json)

    done = chosen.run_with_database(work)
    if as_json:
        print_json(_report(done))
    else:
        _say(done)
    if done.state != "done" or done.rows_failed:
        raise typer.Exit(1)


async def _import(chosen: Console, database: Database, request: _Request, *, is_quiet: bool) -> Import:
    caller = system_caller(await chosen.choose_workspace(database))
    async with database.transaction(caller.workspace_id) as tx:
        source = await service.get_source_by_name(tx, request.source)
        parts = _parts(request.path)
        import_ = await importing.upload(tx, caller, source.id, request.path.name, parts)
    async with database.transaction(caller.workspace_id) as tx:
        await ImportJobs(database).examine(tx, {"import_id": import_.id})
        examined = await importing.access_import(tx, caller, import_.id)
    if examined.state == "failed":
        return examined
    async with database.transaction(caller.workspace_id) as tx:
        if request.mapping is not None:
            await importing.map_columns(tx, caller, import_.id, request.mapping)
        await importing.start(tx, caller, import_.id, starts_flows=request.starts_flows)
    return await _follow(database, caller, import_.id, is_quiet=is_quiet)


async def _follow(database: Database, caller: Caller, import_id: UUID, *, is_quiet: bool) -> Import:
    loop = asyncio.get_running_loop()
    seen, seen_at = -1, loop.time()
    with Progress(console=Screen(stderr=True), disable=is_quiet) as bar:
        task = bar.add_task("Importing", total=None)
        while True:
            async with database.transaction(caller.workspace_id) as tx:
                import_ = await importing.access_import(tx, caller, import_id)
            bar.update(task, completed=import_.rows_settled, total=import_.rows_total)
            if import_.is_over:
                return import_
            if import_.rows_settled != seen:
                seen, seen_at = import_.rows_settled, loop.time()
            elif loop.time() - seen_at > PATIENCE_SECONDS:
                message = "Nothing moves: start `switchboard work`, then look at the imports page."
                raise UnavailableError(message, retry_after_seconds=60)
            await asyncio.sleep(LOOK_SECONDS)


async def _parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := await asyncio.to_thread(file.read, importing.CHUNK_BYTES):
            yield part


def _read_mapping(path: Path) -> dict[str, object]:
    try:
        mapping = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidError("The mapping is not JSON.", problems=[Problem(str(path), str(error))]) from error
    if not isinstance(mapping, dict):
        problem = Problem(str(path), 'expected an object such as {"email": "E-Mail Address"}')
        raise InvalidError("The mapping is not an object.", problems=[problem])
    return cast(dict[str, object], mapping)


def _report(import_: Import) -> dict[str, object]:
    return {
        "id": import_.id,
        "state": import_.state,
        "detail": import_.detail,
        "rows": import_.rows_total,
        "new": import_.rows_new,
        "updated": import_.rows_updated,
        "duplicate": import_.rows_duplicate,
        "failed": import_.rows_failed,
    }


def _say(import_: Import) -> None:
    if import_.state != "done":
        typer.echo(f"The import is {import_.state}. {import_.detail or ''}".strip())
        return
    typer.echo(
        f"{import_.rows_new:,} new, {import_.rows_updated:,} joined an open lead, {import_.rows_duplicate:,} twice in "
        f"the file, {import_.rows_failed:,} not imported."
    )
    if import_.rows_failed:
        typer.echo(f"Which and why: /imports/{import_.id}/errors.csv")
