"""`switchboard inbox`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts import service as accounts
from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller
from switchboard.inbox import service
from switchboard.inbox.models import View
from switchboard.inbox.webhook import PATH, webhook_secret
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.secrets import load_app_secret
from switchboard.kernel.settings import Settings

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
# Nobody is signed in on the command line, so there is no view `mine`.
_VIEWS: tuple[View, ...] = ("open", "unassigned", "snoozed", "closed")


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """A conversation with the names that its ids stand for."""

    id: UUID
    contact: str
    subject: str
    state: str
    owner: str | None
    waiting_since: datetime | None
    last_message_at: datetime


@commands.command("list")
def list_conversations(
    ctx: typer.Context,
    view: Annotated[str, typer.Option(help="open, unassigned, snoozed or closed.")] = "open",
    as_json: AsJson = False,
) -> None:
    """The newest conversations of a view."""
    chosen = _read_view(view)

    async def work(tx: Tx, caller: Caller) -> list[ShownConversation]:
        return [
            ShownConversation(
                id=row.conversation.id,
                contact=row.contact_title,
                subject=row.conversation.subject,
                state=row.conversation.state,
                owner=row.owner_name,
                waiting_since=row.conversation.waiting_since,
                last_message_at=row.conversation.last_message_at,
            )
            for row in await service.list_conversations(tx, caller, chosen)
        ]

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows(found, ["id", "contact", "subject", "owner", "waiting_since"])


@commands.command("address")
def show_address(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Where mail is taken: the address, the SMTP listener, and the signed webhook with its secret."""

    async def work(database: Database, settings: Settings) -> dict[str, str]:
        workspace_id = await console(ctx).choose_workspace(database)
        async with database.transaction(workspace_id) as tx:
            address = (await accounts.get_workspace(tx)).mail_from
        return {
            "address": address,
            "smtp": f"{settings.smtp_in_host}:{settings.inbound_port}",
            "webhook": f"{settings.public_url}{PATH}?recipient={address}",
            "secret": webhook_secret(load_app_secret(settings), workspace_id),
        }

    found = console(ctx).run_with_database(work)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"{name:<8} {value}")


def _read_view(text: str) -> View:
    for view in _VIEWS:
        if view == text:
            return view
    raise InvalidError("There is no such view.", problems=[Problem("view", f"expected one of {', '.join(_VIEWS)}")])
