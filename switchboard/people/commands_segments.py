"""`switchboard segment`."""

from typing import Annotated

import typer

from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.people.segment_models import Preview, Segment, SegmentForm, SegmentMember

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Name = Annotated[str, typer.Argument(help="Name of the segment, as `list` shows it.")]
Condition = Annotated[str, typer.Argument(help="""Such as 'contact.country == "DE"'.""")]


@commands.command("create")
def create_segment(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(help="What people call it.")],
    condition: Annotated[str, typer.Option(help="Who is in it; without one it is a list.")] = "",
    name: Annotated[str, typer.Option(help="Small letters, digits and _; made of the title when empty.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a segment, which the queues fill, or an empty list."""
    from switchboard.people import segments  # noqa: PLC0415

    vocabulary = console(ctx).segment_vocabulary()

    async def work(tx: Tx, caller: Caller) -> Segment:
        return await segments.create_segment(tx, caller, SegmentForm(title, name, condition), vocabulary)

    made = console(ctx).run(work)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"Added the {'list' if made.is_list else 'segment'} {made.name}.")


@commands.command("list")
def list_segments(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Segments in use, newest first, with how many people are in each."""
    from switchboard.people import segments  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[Segment]:
        return await segments.list_segments(tx, caller, limit=limit)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows(found, ["name", "title", "members", "state", "condition"])


@commands.command("show")
def show_segment(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One segment."""
    from switchboard.people import segments  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> Segment:
        return await segments.get_segment_by_name(tx, caller, name)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows([found], ["name", "title", "members", "state", "looked_at", "problem", "condition"])


@commands.command("members")
def list_members(
    ctx: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who is in a segment."""
    from switchboard.people import segments  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[SegmentMember]:
        found = await segments.get_segment_by_name(tx, caller, name)
        return await segments.list_members(tx, caller, found.id, limit=limit)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows([member.contact for member in found], ["id", "title", "company", "email", "phone"])


@commands.command("preview")
def preview_condition(ctx: typer.Context, condition: Condition, as_json: AsJson = False) -> None:
    """How many people meet a condition, and some of them; nothing is saved."""
    from switchboard.people import segment_previews  # noqa: PLC0415

    vocabulary = console(ctx).segment_vocabulary()

    async def work(tx: Tx, caller: Caller) -> Preview:
        return await segment_previews.preview(tx, caller, condition, vocabulary)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{'' if found.is_exact else 'about '}{found.count} people")
        print_rows(found.sample, ["id", "title", "company", "email"])
