"""`switchboard contact`."""

from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.people.models import Contact, ContactSummary, Identity

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@commands.command("list")
def list_contacts(
    ctx: typer.Context,
    search: Annotated[str, typer.Option(help="Words of a name, company or address.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Contacts, newest first."""
    from switchboard.people import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[ContactSummary]:
        if search:
            return await service.search_contacts(tx, search, limit)
        return await service.list_contacts(tx, caller, limit=limit)

    contacts = console(ctx).run(work)
    if as_json:
        print_json(contacts)
    else:
        print_rows(contacts, ["id", "title", "company", "email", "phone"])


@commands.command("show")
def show_contact(
    ctx: typer.Context,
    contact_id: Annotated[UUID, typer.Argument(parser=read_id, help="Id.")],
    as_json: AsJson = False,
) -> None:
    """One contact with their addresses; the kept one for one that was merged away."""
    from switchboard.people import service  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> tuple[Contact, list[Identity]]:
        contact = await service.access_contact(tx, caller, contact_id)
        return contact, await service.list_identities(tx, contact.id)

    contact, identities = console(ctx).run(work)
    if as_json:
        print_json({"contact": contact, "identities": identities})
    else:
        typer.echo(f"{contact.title}  {contact.company}  {contact.id}".strip())
        print_rows(identities, ["kind", "value", "is_shared"])


@commands.command("merge")
def merge_contacts(
    ctx: typer.Context,
    kept: Annotated[UUID, typer.Argument(parser=read_id, help="Id of the contact that is kept.")],
    lost: Annotated[UUID, typer.Argument(parser=read_id, help="Id of the contact that becomes part of it.")],
    as_json: AsJson = False,
) -> None:
    """Make one contact of two; `unmerge` takes it back."""
    from switchboard.people import merging  # noqa: PLC0415

    holders = console(ctx).contact_holders()

    async def work(tx: Tx, caller: Caller) -> UUID:
        return await merging.merge(tx, caller, kept, lost, holders)

    merge_id = console(ctx).run(work)
    if as_json:
        print_json({"merge_id": merge_id, "kept_id": kept, "lost_id": lost})
    else:
        typer.echo(f"They are one contact now. Undo it with: switchboard contact unmerge {merge_id}")


@commands.command("unmerge")
def undo_merge(
    ctx: typer.Context,
    merge_id: Annotated[UUID, typer.Argument(parser=read_id, help="Id of the merge.")],
    as_json: AsJson = False,
) -> None:
    """Make two contacts of one again."""
    from switchboard.people import merging  # noqa: PLC0415

    holders = console(ctx).contact_holders()

    async def work(tx: Tx, caller: Caller) -> tuple[UUID, UUID]:
        done = await merging.undo(tx, caller, merge_id, holders)
        return done.kept_id, done.lost_id

    kept_id, lost_id = console(ctx).run(work)
    if as_json:
        print_json({"kept_id": kept_id, "lost_id": lost_id})
    else:
        typer.echo("They are two contacts again.")
