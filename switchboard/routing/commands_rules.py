"""`switchboard rule`."""

from typing import Annotated

import typer

from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.routing import rules
from switchboard.routing.models import Rule

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@commands.callback()
def about() -> None:
    """Which lead goes to which rota or member."""


@commands.command("list")
def list_rules(
    ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False
) -> None:
    """Routing rules in the order in which they are asked."""

    async def work(tx: Tx, _caller: Caller) -> list[Rule]:
        return await rules.list_rules(tx)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows(found, ["name", "condition", "is_enabled", "version", "id"])
