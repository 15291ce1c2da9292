"""Campaigns: a flow sent to an audience. Making them, letting them start, pause, go on and end, and how they stand.

What takes long (taking in the audience, letting many go on, calling many back) is done by the job `campaigns.advance`,
a slice at a time; here only the campaign's own row changes, whatever its size.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery.service import hold_campaign
from switchboard.flows import repository_campaigns, repository_recipients
from switchboard.flows.campaign_checks import check_audience, check_form, check_ready, needs_winner, require_number
from switchboard.flows.campaign_models import (
    MISSED_STATES,
    RECIPIENT_STATES,
    UNDER_WAY,
    Campaign,
    CampaignForm,
    CampaignState,
    CampaignSummary,
    Counts,
    Recipient,
    RecipientState,
    Variant,
)
from switchboard.flows.campaign_terms import starts_at
from switchboard.flows.errors import CampaignNameTakenError, CampaignNotFoundError, CampaignStateError
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import enqueue

ADVANCE = "campaigns.advance"
PAGE_ROWS = 50
MOST_ROWS = 500
EDITABLE: frozenset[CampaignState] = frozenset({"draft", "scheduled"})
NOW = timedelta(0)


async def create_campaign(tx: Tx, caller: Caller, form: CampaignForm) -> Campaign:
    """Add a draft. Raises InvalidError, CampaignNameTakenError."""
    caller.require("admin")
    form = _tidy(form)
    await check_form(tx, form)
    return await _add(tx, caller, form)


async def update_campaign(tx: Tx, caller: Caller, campaign_id: UUID, form: CampaignForm) -> Campaign:
    """Write a campaign anew. Of one that is under way only title, throttle and priority change.

    A new throttle spreads those who still wait from now on. Raises CampaignNotFoundError, CampaignStateError,
    InvalidError, CampaignNameTakenError.
    """
    caller.require("admin")
    form = _tidy(form)
    await _hasten(tx, campaign_id, NOW)
    before = await _lock(tx, caller, campaign_id)
    await check_form(tx, form)
    if before.state in EDITABLE:
        if not await repository_campaigns.update_campaign(tx, campaign_id, form):
            raise CampaignNameTakenError(form.name)
        await repository_campaigns.set_variants(tx, campaign_id, form.variants)
    elif before.is_under_way:
        await _change_pace(tx, before, form)
    else:
        raise CampaignStateError("changed", before.state)
    return await _told(tx, caller, campaign_id, "updated")


async def schedule_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    """Let a draft start when its form says so: at once, at a moment, or before its hour comes anywhere.

    Raises CampaignNotFoundError, CampaignStateError, and InvalidError with what stands against it.
    """
    caller.require("admin")
    campaign = await get_campaign(tx, caller, campaign_id)
    if campaign.start_kind == "now":
        return await start_campaign(tx, caller, campaign_id)
    await _hasten(tx, campaign_id, NOW)
    campaign = await _lock(tx, caller, campaign_id)
    _require_state(campaign, "scheduled", "draft")
    await check_ready(tx, campaign, await repository_campaigns.list_variants(tx, campaign_id))
    await repository_campaigns.set_state(tx, campaign_id, "scheduled", was=["draft"])
    return await _told(tx, caller, campaign_id, "scheduled", starts_at=starts_at(campaign))


async def start_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    """Let a draft or a scheduled campaign begin now; one by local hour takes its audience in and waits for the hour.

    Raises CampaignNotFoundError, CampaignStateError, and InvalidError with what stands against it.
    """
    caller.require("admin")
    await _hasten(tx, campaign_id, NOW)
    campaign = await _lock(tx, caller, campaign_id)
    _require_state(campaign, "started", "draft", "scheduled")
    await begin(tx, caller, campaign)
    return await get_campaign(tx, caller, campaign_id)


async def begin(tx: Tx, caller: Caller, campaign: Campaign) -> None:
    """Begin a campaign that has not begun, unless somebody else just has. Raises InvalidError."""
    await check_ready(tx, campaign, await repository_campaigns.list_variants(tx, campaign.id))
    await repository_campaigns.fix_versions(tx, campaign.id)
    if await repository_campaigns.set_state(tx, campaign.id, "starting", was=["draft", "scheduled"]):
        await _told(tx, caller, campaign.id, "started")


async def pause_campaign(tx: Tx, caller: Caller, campaign_id: UUID, reason: str | None = None) -> Campaign:
    """Let nothing more of a campaign go out, however much of it is on its way; `reason` is a sentence for people.

    It changes two rows: its runs rest as the stepper comes to them, and its messages as they are claimed. Raises
    CampaignNotFoundError, CampaignStateError.
    """
    caller.require("agent")
    campaign = await get_campaign(tx, caller, campaign_id)
    if not await repository_campaigns.set_paused(tx, campaign_id, reason):
        raise CampaignStateError("paused", campaign.state)
    await hold_campaign(tx, campaign_id)
    return await _told(tx, caller, campaign_id, "paused", reason=reason)


async def resume_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    """Let a paused campaign go on where it stood. With a throttle or a new one, those who wait are spread from now.

    Raises CampaignNotFoundError, CampaignStateError, and InvalidError when the rest of its audience is forgotten.
    """
    caller.require("admin")
    await _hasten(tx, campaign_id, NOW)
    campaign = await _lock(tx, caller, campaign_id)
    _require_state(campaign, "resumed", "paused")
    if not campaign.is_taken_in:
        await check_audience(tx, campaign)
    state: CampaignState = "running" if campaign.is_taken_in else "starting"
    if campaign.throttle_per_minute is None and campaign.sweep != "spread":
        await repository_campaigns.set_resumed(tx, campaign_id, state, "resume", is_held=False)
    else:
        # Nobody goes before all have their new turn: two paces at once would be faster than either.
        await repository_campaigns.set_resumed(tx, campaign_id, state, "spread", is_held=True)
    return await _told(tx, caller, campaign_id, "resumed")


async def cancel_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    """End a campaign: nothing more of it goes out from this moment, and what waits is called back in slices.

    Raises CampaignNotFoundError, CampaignStateError.
    """
    caller.require("admin")
    await _hasten(tx, campaign_id, NOW)
    campaign = await _lock(tx, caller, campaign_id)
    _require_state(campaign, "cancelled", "scheduled", "starting", "running", "paused")
    await repository_campaigns.set_state(tx, campaign_id, "cancelled", was=[campaign.state])
    await repository_campaigns.begin_sweep(tx, campaign_id, "cancel", is_held=True)
    await hold_campaign(tx, campaign_id)
    return await _told(tx, caller, campaign_id, "cancelled")


async def archive_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> None:
    """Take a campaign that is not under way out of the list. Raises CampaignNotFoundError, CampaignStateError."""
    caller.require("admin")
    campaign = await _lock(tx, caller, campaign_id)
    _require_state(campaign, "archived", "draft", "finished", "cancelled")
    if campaign.archived_at is None:
        await repository_campaigns.archive_campaign(tx, campaign_id)
        await _told(tx, caller, campaign_id, "archived")


async def choose_winner(tx: Tx, caller: Caller, campaign_id: UUID, number: int) -> Campaign:
    """Send one variant to all of the audience who were not in the test.

    Raises CampaignNotFoundError, CampaignStateError when there is no rest or a winner was chosen, InvalidError.
    """
    caller.require("admin")
    await _hasten(tx, campaign_id, NOW)
    campaign = await _lock(tx, caller, campaign_id)
    variants = await repository_campaigns.list_variants(tx, campaign_id)
    require_number(variants, number)
    if not needs_winner(campaign, variants) or not campaign.is_taken_in:
        raise CampaignStateError("given a winner", campaign.state)
    await set_winner(tx, caller, campaign, number)
    return await get_campaign(tx, caller, campaign_id)


async def set_winner(tx: Tx, caller: Caller, campaign: Campaign, number: int) -> None:
    """Let the rest of the audience get this variant, unless a winner has just been chosen."""
    if await repository_campaigns.set_winner(tx, campaign.id, number):
        await _told(tx, caller, campaign.id, "winner_chosen", variant=number)


async def send_to_missed(
    tx: Tx, caller: Caller, campaign_id: UUID, *, states: Sequence[RecipientState] = ("failed", "dropped", "excluded")
) -> Campaign:
    """A draft that sends the same once more to those of a campaign who stand in `states`, of MISSED_STATES.

    Whoever got it from the campaign, or from another draft of this kind, is left out as it starts. Raises
    CampaignNotFoundError, CampaignStateError before the campaign has ended, InvalidError.
    """
    caller.require("admin")
    campaign = await get_campaign(tx, caller, campaign_id)
    _require_state(campaign, "sent to those it missed", "running", "paused", "finished", "cancelled")
    if not states or not set(states) <= set(MISSED_STATES):
        problem = Problem("states", f"expected some of {', '.join(MISSED_STATES)}")
        raise InvalidError("Choose whom to send it to.", problems=[problem])
    variants = await repository_campaigns.list_variants(tx, campaign_id)
    number = campaign.winner or 1
    flow_id = require_number(variants, number)
    form = CampaignForm(
        name=await _free_name(tx, campaign.name),
        title=f"{campaign.title}: the missed",
        variants=[(flow_id, 100)],
        audience_kind="missed",
        throttle_per_minute=campaign.throttle_per_minute,
        priority=campaign.priority,
        pause_at_percent=campaign.pause_at_percent,
    )
    return await _add(tx, caller, form, missed=campaign, states=states)


async def get_campaign(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    """The campaign; raises CampaignNotFoundError, for a stranger's too."""
    caller.require("viewer")
    found = await repository_campaigns.find_campaign(tx, campaign_id)
    if found is None:
        raise CampaignNotFoundError
    return found


async def get_campaign_by_name(tx: Tx, caller: Caller, name: str) -> Campaign:
    """The campaign with that name; raises CampaignNotFoundError."""
    caller.require("viewer")
    found = await repository_campaigns.find_campaign_by_name(tx, name)
    if found is None:
        raise CampaignNotFoundError
    return found


async def list_campaigns(
    tx: Tx, caller: Caller, *, before: UUID | None = None, limit: int = PAGE_ROWS
) -> list[CampaignSummary]:
    """Campaigns that are not archived, newest first, those older than `before`, with how they stand."""
    caller.require("viewer")
    found = await repository_campaigns.list_campaigns(tx, before, min(limit, MOST_ROWS))
    totals: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for campaign_id, _, state, recipients in await repository_recipients.count_states(tx, [one.id for one in found]):
        if state in RECIPIENT_STATES:
            totals[campaign_id][state] += recipients
    return [CampaignSummary(one, dict(totals[one.id])) for one in found]


async def list_variants(tx: Tx, caller: Caller, campaign_id: UUID) -> list[Variant]:
    """What a campaign sends, by number."""
    caller.require("viewer")
    return await repository_campaigns.list_variants(tx, campaign_id)


async def list_recipients(
    tx: Tx,
    caller: Caller,
    campaign_id: UUID,
    state: RecipientState | None = None,
    *,
    after: UUID | None = None,
    limit: int = PAGE_ROWS,
) -> list[Recipient]:
    """Lines of the ledger in the order of contacts, beyond the contact `after`; of one state where that is asked."""
    caller.require("viewer")
    return await repository_recipients.list_recipients(tx, campaign_id, state, after, min(limit, MOST_ROWS))


async def find_recipient(tx: Tx, caller: Caller, campaign_id: UUID, contact_id: UUID) -> Recipient | None:
    """What became of one contact in a campaign; None when they are not in its ledger."""
    caller.require("viewer")
    return await repository_recipients.find_recipient(tx, campaign_id, contact_id)


async def count_by_state(tx: Tx, caller: Caller, campaign_id: UUID) -> list[Counts]:
    """How many recipients of each variant stand in each state; from counts that are kept, not counted."""
    caller.require("viewer")
    by_variant: dict[int, dict[str, int]] = defaultdict(dict)
    for _, variant, state, recipients in await repository_recipients.count_states(tx, [campaign_id]):
        by_variant[variant][state] = recipients
    return [
        Counts(variant, {name: n for name, n in states.items() if name != UNDER_WAY}, states.get(UNDER_WAY, 0))
        for variant, states in sorted(by_variant.items())
    ]


async def _add(
    tx: Tx,
    caller: Caller,
    form: CampaignForm,
    *,
    missed: Campaign | None = None,
    states: Sequence[RecipientState] = (),
) -> Campaign:
    campaign_id = new_id()
    if not await repository_campaigns.insert_campaign(tx, campaign_id, form, caller.user_id, missed=missed):
        raise CampaignNameTakenError(form.name)
    await repository_campaigns.set_variants(tx, campaign_id, form.variants)
    if missed is not None:
        await repository_campaigns.set_missed_states(tx, campaign_id, states)
    return await _told(tx, caller, campaign_id, "created")


async def _change_pace(tx: Tx, before: Campaign, form: CampaignForm) -> None:
    throttle = form.throttle_per_minute
    await repository_campaigns.set_pace(tx, before.id, title=form.title, throttle=throttle, priority=form.priority)
    if throttle != before.throttle_per_minute:
        # A walk that was letting parked runs go on is begun again after this one; nobody walks while it is paused.
        is_held = before.sweep is not None or before.state == "paused"
        await repository_campaigns.begin_sweep(tx, before.id, "spread", is_held=is_held)


async def _lock(tx: Tx, caller: Caller, campaign_id: UUID) -> Campaign:
    caller.require("viewer")
    found = await repository_campaigns.lock_campaign(tx, campaign_id)
    if found is None:
        raise CampaignNotFoundError
    return found


def _require_state(campaign: Campaign, wish: str, *states: CampaignState) -> None:
    if campaign.state not in states:
        raise CampaignStateError(wish, campaign.state)


async def _hasten(tx: Tx, campaign_id: UUID, after: timedelta) -> None:
    """Have the campaign looked at; before its row is locked, because the job locks itself first and then the row."""
    payload = {"campaign_id": campaign_id}
    await enqueue(tx, ADVANCE, payload, key=str(campaign_id), after=after, hasten=True)


async def _told(tx: Tx, caller: Caller, campaign_id: UUID, verb: str, **data: object) -> Campaign:
    campaign = await get_campaign(tx, caller, campaign_id)
    named = {"name": campaign.name, "title": campaign.title} | {k: v for k, v in data.items() if v is not None}
    await events.append(tx, [Event(f"campaign.{verb}", campaign_id, actor=caller.actor, data=named)])
    return campaign


async def _free_name(tx: Tx, name: str) -> str:
    stem = name[:50]
    number = 2
    while await repository_campaigns.find_campaign_by_name(tx, f"{stem}-{number}") is not None:
        number += 1
    return f"{stem}-{number}"


def _tidy(form: CampaignForm) -> CampaignForm:
    name = form.name.strip()
    return replace(form, name=name, title=form.title.strip() or name.replace("_", " ").capitalize())
