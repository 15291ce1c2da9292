"""`switchboard campaign`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

import typer

from switchboard.accounts.command_line import Work, console, print_json, print_rows, read_id
from switchboard.accounts.models import Caller
from switchboard.flows.campaign_models import (
    MISSED_STATES,
    RECIPIENT_STATES,
    Campaign,
    CampaignSummary,
    DryRun,
    Recipient,
    RecipientState,
)
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Act = Callable[[Tx, Caller, UUID], Awaitable[Campaign]]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Name = Annotated[str, typer.Argument(help="The campaign's name, as `list` shows it.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="Most rows.")]
After = Annotated[UUID | None, typer.Option(parser=read_id, help="Go on after this contact's id.")]


@commands.command("create")
def create_campaign(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(help="What people call it.")],
    flows: Annotated[
        list[str], typer.Option("--flow", help="Name of the flow it sends; with =10 for its share, for each of a test.")
    ],
    segment: Annotated[str, typer.Option(help="Name of the segment or list who gets it.")] = "",
    import_id: Annotated[str, typer.Option("--import", help="Id of the import whose people get it.")] = "",
    is_everybody: Annotated[bool, typer.Option("--everybody", help="All contacts get it.")] = False,
    name: Annotated[str, typer.Option(help="Small letters, digits, - and _; made of the title when empty.")] = "",
    at: Annotated[
        str, typer.Option(help="Start at this moment, such as 2027-05-03T09:00 by the workspace's clock.")
    ] = "",
    local: Annotated[str, typer.Option(help="Start at this day and hour by each one's own clock.")] = "",
    when_passed: Annotated[str, typer.Option(help="Where that hour has passed: now, skip or tomorrow.")] = "now",
    throttle: Annotated[str, typer.Option(help="Most a minute; no limit when empty.")] = "",
    priority: Annotated[str, typer.Option(help="high, normal or low.")] = "normal",
    winner: Annotated[str, typer.Option(help="Who wins a test: none, manual, answered or opt_outs.")] = "none",
    winner_after: Annotated[str, typer.Option(help="How long after the test, such as 4h.")] = "",
    pause_at: Annotated[str, typer.Option(help="Pause when so many of 100 come back.")] = "5",
    as_json: AsJson = False,
) -> None:
    """Add a draft; nothing goes out before it is started."""
    day, _, hour = local.partition("T")
    typed = {
        "title": title,
        "name": name,
        "start_kind": "at" if at else "local_hour" if local else "now",
        "start_at": at,
        "local_date": day,
        "local_hour": hour,
        "when_passed": when_passed,
        "throttle_per_minute": throttle,
        "priority": priority,
        "winner_rule": winner,
        "winner_after": winner_after,
        "pause_at_percent": pause_at,
    }

    async def work(tx: Tx, caller: Caller) -> Campaign:
        from switchboard.flows import campaigns  # noqa: PLC0415
        from switchboard.flows.campaign_reading import check_typed  # noqa: PLC0415

        chosen = await _audience(tx, caller, segment, import_id, is_everybody=is_everybody)
        form = await check_typed(tx, {**typed, **chosen, **await _variants(tx, caller, flows)})
        return await campaigns.create_campaign(tx, caller, form)

    made = console(ctx).run(work)
    if as_json:
        print_json(made)
    else:
        typer.echo(
            f"Added the draft {made.name}. Look at `switchboard campaign dry-run {made.name}` before you start it."
        )


@commands.command("list")
def list_campaigns(
    ctx: typer.Context,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Campaigns that are not archived, newest first, with how each stands."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> list[CampaignSummary]:
        return await campaigns.list_campaigns(tx, caller, limit=limit)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
        return
    for one in found:
        stands = ", ".join(f"{number:,} {state}" for state, number in one.states.items())
        typer.echo(f"{one.campaign.name}  {one.campaign.state}  {stands or '-'}")


@commands.command("show")
def show_campaign(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One campaign, with its recipients by state and what happens next."""

    async def work(tx: Tx, caller: Caller) -> dict[str, object]:
        return await _describe(tx, caller, name)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
        return
    for key in ("name", "title", "state", "next", "recipients"):
        typer.echo(f"{key}: {found[key]}")


@commands.command("start")
def start(
    ctx: typer.Context,
    name: Name,
    is_now: Annotated[bool, typer.Option("--now", help="At once, whatever its form says.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a campaign begin when its form says: at once, at its moment, or before its hour comes anywhere."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    act = campaigns.start_campaign if is_now else campaigns.schedule_campaign
    _do(ctx, lambda tx, caller: _on(tx, caller, name, act), as_json=as_json)


@commands.command("pause")
def pause(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let nothing more of a campaign go out."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    _do(ctx, lambda tx, caller: _on(tx, caller, name, campaigns.pause_campaign), as_json=as_json)


@commands.command("resume")
def resume(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let a paused campaign go on where it stood."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    _do(ctx, lambda tx, caller: _on(tx, caller, name, campaigns.resume_campaign), as_json=as_json)


@commands.command("cancel")
def cancel(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """End a campaign; whoever waits gets nothing."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    _do(ctx, lambda tx, caller: _on(tx, caller, name, campaigns.cancel_campaign), as_json=as_json)


@commands.command("recipients")
def list_recipients(
    ctx: typer.Context,
    name: Name,
    state: Annotated[str, typer.Option(help="Only those in this state.")] = "",
    after: After = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Who got it, who did not, and why, in the order of contacts."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    chosen = _states([state], RECIPIENT_STATES)[0] if state else None

    async def work(tx: Tx, caller: Caller) -> list[Recipient]:
        campaign = await campaigns.get_campaign_by_name(tx, caller, name)
        return await campaigns.list_recipients(tx, caller, campaign.id, chosen, after=after, limit=limit)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows(found, ["contact_id", "name", "state", "reason", "variant", "due_at", "updated_at"])


@commands.command("dry-run")
def try_campaign(
    ctx: typer.Context,
    name: Name,
    after: After = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who would get what and when, and who is held back and why; nothing is sent."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    async def work(tx: Tx, caller: Caller) -> DryRun:
        from switchboard.flows.campaign_trials import dry_run  # noqa: PLC0415

        campaign = await campaigns.get_campaign_by_name(tx, caller, name)
        return await dry_run(tx, caller, campaign.id, after=after, limit=limit)

    tried = console(ctx).run(work)
    if as_json:
        print_json(tried)
        return
    print_rows(tried.rows, ["name", "address", "action", "due_at", "subject", "detail"])
    for reason, number in tried.totals.items():
        typer.echo(f"{reason}: {number:,}{'' if tried.is_whole else ' of the first people'}")


@commands.command("test")
def send_a_test(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Option(help="E-mail address of the member who gets it.")],
    contact: Annotated[
        str, typer.Option(help="E-mail address or id of whose letter it is; the first when empty.")
    ] = "",
    variant: Annotated[int, typer.Option(min=1, max=9, help="Which of a test.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Send the first letter to a member, as a contact would get it; it is in nobody's ledger."""

    async def work(tx: Tx, caller: Caller) -> str:
        from switchboard.flows import campaign_trials, campaigns  # noqa: PLC0415

        campaign = await campaigns.get_campaign_by_name(tx, caller, name)
        user_id, contact_id = await _find_member(tx, to), await _find_contact(tx, caller, contact)
        return await campaign_trials.send_test(
            tx, caller, campaign.id, contact_id=contact_id, user_id=user_id, variant=variant
        )

    address = console(ctx).run(work)
    if as_json:
        print_json({"address": address})
    else:
        typer.echo(f"The test is on its way to {address}.")


@commands.command("missed")
def send_to_missed(
    ctx: typer.Context,
    name: Name,
    states: Annotated[
        list[str], typer.Option("--state", help=f"Those who stand there, of {', '.join(MISSED_STATES)}.")
    ] = ["failed", "dropped", "excluded"],  # noqa: B006 typer copies it
    as_json: AsJson = False,
) -> None:
    """Make a draft for those whom a campaign did not reach."""
    from switchboard.flows import campaigns  # noqa: PLC0415

    chosen = _states(states, MISSED_STATES)

    async def work(tx: Tx, caller: Caller) -> Campaign:
        campaign = await campaigns.get_campaign_by_name(tx, caller, name)
        return await campaigns.send_to_missed(tx, caller, campaign.id, states=chosen)

    _do(ctx, work, as_json=as_json)


def _do(ctx: typer.Context, work: Work[Campaign], *, as_json: bool) -> None:
    campaign = console(ctx).run(work)
    if as_json:
        print_json(campaign)
    else:
        typer.echo(f"{campaign.name} is {campaign.state}.")


async def _on(tx: Tx, caller: Caller, name: str, act: Act) -> Campaign:
    from switchboard.flows import campaigns  # noqa: PLC0415

    return await act(tx, caller, (await campaigns.get_campaign_by_name(tx, caller, name)).id)


async def _describe(tx: Tx, caller: Caller, name: str) -> dict[str, object]:
    from switchboard.accounts.service import get_workspace  # noqa: PLC0415
    from switchboard.flows import campaign_standing, campaigns  # noqa: PLC0415

    campaign = await campaigns.get_campaign_by_name(tx, caller, name)
    variants = await campaigns.list_variants(tx, caller, campaign.id)
    counts = await campaigns.count_by_state(tx, caller, campaign.id)
    under_way = sum(one.under_way for one in counts)
    standing = campaign_standing.stand(campaign, campaign_standing.sum_counts(counts), await tx.now(), under_way)
    return {
        "name": campaign.name,
        "title": campaign.title,
        "state": campaign.state,
        "next": campaign_standing.say_next(campaign, variants, standing, (await get_workspace(tx)).time_zone),
        "recipients": standing.states,
        "late": standing.late,
        "campaign": campaign,
        "variants": counts,
    }


async def _audience(tx: Tx, caller: Caller, segment: str, import_id: str, *, is_everybody: bool) -> dict[str, str]:
    from switchboard.people.segments import get_segment_by_name  # noqa: PLC0415

    if (bool(segment), bool(import_id), is_everybody).count(True) != 1:
        problem = Problem("audience", "name one of --segment, --import and --everybody")
        raise InvalidError("It is not clear who gets it.", problems=[problem])
    if segment:
        return {"audience": f"segment:{(await get_segment_by_name(tx, caller, segment)).id}"}
    return {"audience": f"import:{import_id}" if import_id else "everybody"}


async def _variants(tx: Tx, caller: Caller, flows: Sequence[str]) -> dict[str, str]:
    from switchboard.flows.service import get_flow_by_name  # noqa: PLC0415

    typed: dict[str, str] = {}
    for number, text in enumerate(flows, 1):
        name, _, share = text.partition("=")
        typed |= {f"flow_{number}": str((await get_flow_by_name(tx, caller, name)).id), f"share_{number}": share}
    return typed


async def _find_member(tx: Tx, email: str) -> UUID:
    from switchboard.accounts.service import list_members  # noqa: PLC0415

    for member in await list_members(tx):
        if member.email == email:
            return member.user_id
    raise InvalidError(f"No member has the address {email}.", problems=[Problem("to", "name a member's address")])


async def _find_contact(tx: Tx, caller: Caller, text: str) -> UUID | None:
    from switchboard.delivery.letter_templates import find_preview_contact  # noqa: PLC0415

    found = await find_preview_contact(tx, caller, text)
    if text and found is None:
        raise InvalidError(f"There is no contact {text}.", problems=[Problem("contact", "name an address or an id")])
    return found.id if found else None


def _states(texts: Sequence[str], known: Sequence[RecipientState]) -> list[RecipientState]:
    unknown = [text for text in texts if text not in known]
    if unknown:
        problem = Problem("state", f"expected one of {', '.join(known)}")
        raise InvalidError(f"There is no state {unknown[0]}.", problems=[problem])
    return [state for state in known if state in texts]
