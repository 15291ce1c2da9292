"""What the commands of every room share: reaching the running instance's database, and answering in text or JSON.

Commands run on the server by somebody who may read its files; they act as the workspace's owner.
"""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import typer

from switchboard.accounts import service
from switchboard.accounts.models import Caller, system_caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.embedded import find_running
from switchboard.kernel.errors import ConfigurationError, NotFoundError
from switchboard.kernel.events import Hub
from switchboard.kernel.migrations import connect, require_current
from switchboard.kernel.settings import Settings, load_settings

Answer = TypeVar("Answer")
EXAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
Work = Callable[[Tx, Caller], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Console:
    """What a command gets as `ctx.obj`: transactions wired as in the server, who moves rows at a merge, and what flows
    can be about, and what conditions of segments may speak of."""

    build_hub: Callable[[], Hub]
    workspace: str = ""
    contact_holders: Callable[[], Sequence[Any]] = tuple
    subject_kinds: Callable[[], Mapping[str, Any]] = dict
    segment_vocabulary: Callable[[], Any] = object

    def run(self, work: Work[Answer]) -> Answer:
        """Run `work` in one transaction of the chosen workspace, the only one unless `--workspace` names another."""
        return asyncio.run(self._run(work))

    def run_with_database(self, work: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
        """Run `work` with the database itself, for commands of several transactions."""

        async def opened() -> Answer:
            settings = load_settings()
            database = Database(_reachable_url(settings), self.build_hub(), max_connections=4)
            await database.open()
            try:
                return await work(database, settings)
            finally:
                await database.close()

        return asyncio.run(opened())

    async def choose_workspace(self, database: Database) -> UUID:
        """The id of the workspace that the command is for; raises NotFoundError with the choices."""
        async with database.directory() as tx:
            ids = await service.list_workspace_ids(tx)
        if not ids:
            raise NotFoundError(
                "There is no workspace yet. Make one with `switchboard workspace create --name NAME --owner EMAIL`; "
                "`switchboard up` makes the first by itself."
            )
        chosen = [each for each in ids if not self.workspace or str(each) == self.workspace]
        if len(chosen) != 1:
            known = ", ".join(str(each) for each in ids)
            raise NotFoundError(f"Name one workspace with --workspace ID. There are: {known}.")
        return chosen[0]

    async def _run(self, work: Work[Answer]) -> Answer:
        database = Database(_reachable_url(load_settings()), self.build_hub(), max_connections=2)
        await database.open()
        try:
            workspace_id = await self.choose_workspace(database)
            async with database.transaction(workspace_id) as tx:
                return await work(tx, system_caller(workspace_id))
        finally:
            await database.close()


def console(ctx: typer.Context) -> Console:
    """The console of a command."""
    found = ctx.find_object(Console)
    if found is None:
        raise RuntimeError("commands run below the switchboard program")
    return found


def application_url(settings: Settings) -> str:
    """DATABASE_URL, or the embedded server that `switchboard up` runs on this home."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    endpoint = find_running(settings.home)
    if endpoint is None:
        raise ConfigurationError(
            f"No database is running for {settings.home}: start `switchboard up` first, "
            "or set DATABASE_URL to a Postgres of your own."
        )
    return endpoint.application_url


def _reachable_url(settings: Settings) -> str:
    url = application_url(settings)
    # The pool would try for a while and log each failure; a person wants one sentence.
    with connect(url) as connection:
        require_current(connection)
    return url


def read_id(text: str) -> UUID:
    """The id that somebody typed; a sentence and exit code 2 for what is none. For `parser=` of an argument."""
    try:
        return UUID(text)
    except ValueError:
        message = f"{text[:60]!r} is no id; ids look like {EXAMPLE_ID}, and `list --json` shows them."
        raise typer.BadParameter(message) from None


def print_json(answer: Any) -> None:  # noqa: ANN401 whatever has a JSON shape
    """One JSON document on standard output, times in ISO 8601 with their offset."""
    sys.stdout.write(json.dumps(answer, default=_plain, indent=2, ensure_ascii=False) + "\n")


def print_rows(rows: Sequence[object], columns: Sequence[str]) -> None:
    """Rows for a person, one a line, the columns aligned."""
    cells = [
        [str(getattr(row, column) if getattr(row, column) is not None else "-") for column in columns] for row in rows
    ]
    widths = [max(len(line[index]) for line in [list(columns), *cells]) for index in range(len(columns))]
    for line in [list(columns), *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _plain(value: object) -> object:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return str(value)
