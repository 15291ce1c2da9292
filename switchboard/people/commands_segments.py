"""`switchboard segment`."""

from typing import Annotated

import typer

from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.people.segment_models import Crowd, Preview, Segment, SegmentForm, SegmentMember

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Name = Annotated[str, typer.Argument(help="Name of the segment, as `list` shows it.")]
FromImport = Annotated[str, typer.Option("--from-import", metavar="ID", help="The people of an import.")]
FromSegment = Annotated[str, typer.Option("--from-segment", metavar="NAME", help="Those in a segment or list now.")]
FromTag = Annotated[str, typer.Option("--from-tag", metavar="TAG", help="Those with a tag.")]
FromCondition = Annotated[str, typer.Option("--from-condition", metavar="CEL", help="Those who meet a condition now.")]
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


@commands.command("add")
def fill_list(
    ctx: typer.Context,
    name: Name,
    from_import: FromImport = "",
    from_segment: FromSegment = "",
    from_tag: FromTag = "",
    from_condition: FromCondition = "",
) -> None:
    """Put many people into a list at once; the queues do so. Nobody is told of them."""
    from switchboard.people import crowds, segments  # noqa: PLC0415

    crowd = _one_crowd(from_import, from_segment, from_tag, from_condition)
    vocabulary = console(ctx).segment_vocabulary()

    async def work(tx: Tx, caller: Caller) -> None:
        found = await segments.get_segment_by_name(tx, caller, name)
        await crowds.fill_list(tx, caller, found.id, crowd, vocabulary)

    console(ctx).run(work)
    typer.echo(f"The list {name} is being filled.")


@commands.command("tag")
def tag_crowd(
    ctx: typer.Context,
    tags: Annotated[list[str], typer.Argument(help="Tags to put on them.")],
    from_import: FromImport = "",
    from_segment: FromSegment = "",
    from_tag: FromTag = "",
    from_condition: FromCondition = "",
) -> None:
    """Put tags on many people at once; the queues do so."""
    from switchboard.people import crowds  # noqa: PLC0415

    crowd = _one_crowd(from_import, from_segment, from_tag, from_condition)
    vocabulary = console(ctx).segment_vocabulary()

    async def work(tx: Tx, caller: Caller) -> None:
        await crowds.tag_crowd(tx, caller, crowd, tags, vocabulary)

    console(ctx).run(work)
    typer.echo("They are being tagged.")


def _one_crowd(from_import: str, from_segment: str, from_tag: str, from_condition: str) -> Crowd:
    named = {"import": from_import, "segment": from_segment, "tag": from_tag, "condition": from_condition}
    given = [Crowd(kind, of) for kind, of in named.items() if of]
    if len(given) != 1:
        raise typer.BadParameter("say once whom: --from-import, --from-segment, --from-tag or --from-condition")
    return given[0]
