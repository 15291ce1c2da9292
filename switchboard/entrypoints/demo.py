"""`switchboard demo`: fills the workspace of the running instance."""

import typer

from switchboard.accounts.command_line import Console
from switchboard.entrypoints import assembly
from switchboard.kernel.db import Database
from switchboard.kernel.settings import Settings
from switchboard.ops import demo


def fill_demo(console: Console, *, wait: bool) -> None:
    """Fill the chosen workspace, or say that it is filled already."""

    async def work(database: Database, settings: Settings) -> bool:
        if wait:
            await demo.wait_until_ready(settings)
        workspace_id = await console.choose_workspace(database)
        return await demo.fill(database, settings, workspace_id, assembly.subject_kinds())

    filled = console.run_with_database(work)
    typer.echo("The demo is ready." if filled else "The demo is in this workspace already.")
