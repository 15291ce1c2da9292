"""`switchboard mailbox`."""

from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller
from switchboard.delivery.models import Mail, MailSummary
from switchboard.kernel.db import Tx

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@commands.command("list")
def list_mails(
    ctx: typer.Context,
    to: Annotated[str, typer.Option(help="Only mail to addresses with this text in them.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Mail in the local mailbox, newest first."""

    async def work(tx: Tx, caller: Caller) -> list[MailSummary]:
        from switchboard.delivery import mailbox  # noqa: PLC0415 help must not load the mail library

        return await mailbox.list_mails(tx, caller, recipient=to, limit=limit)

    mails = console(ctx).run(work)
    if as_json:
        print_json(mails)
    else:
        print_rows(mails, ["created_at", "recipient", "subject", "id"])


@commands.command("show")
def show_mail(
    ctx: typer.Context, mail: Annotated[UUID, typer.Argument(parser=read_id, help="Id of the mail.")]
) -> None:
    """One mail as it went over the wire."""

    async def work(tx: Tx, caller: Caller) -> Mail:
        from switchboard.delivery import mailbox  # noqa: PLC0415 help must not load the mail library

        return await mailbox.access_mail(tx, caller, mail)

    typer.echo(console(ctx).run(work).raw.decode("utf-8", "replace"))
