"""The job `campaigns.advance`: whatever a campaign needs next, a slice at a time.

It looks at the campaign's row and does one thing: starts it, walks on over its ledger, takes in more of its audience,
chooses its winner, or finds that it has come to its end. Where it stands is written in the same transaction as the
slice, so a crash does neither or both. There is one such job a campaign, so two slices never meet.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import system_caller
from switchboard.flows import campaigns, repository_audience, repository_campaigns, repository_recipients
from switchboard.flows.campaign_checks import needs_winner
from switchboard.flows.campaign_models import UNDER_WAY, Campaign
from switchboard.flows.campaign_sweeps import SWEEPS
from switchboard.flows.campaign_terms import has_rest, load_terms, starts_at
from switchboard.flows.campaign_winner import find_winner
from switchboard.flows.entering import CAMPAIGN_QUEUE
from switchboard.flows.versions import VersionShelf
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import Event
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.kernel.queues import wake

SLICE = 2_000
# How often a campaign under way is looked at without anything to do: whether it has come to its end.
LOOK = timedelta(minutes=1)


class CampaignWork:
    """The handler of one process; it keeps the versions it has compiled."""

    def __init__(self, *, limit: int = SLICE) -> None:
        self._shelf = VersionShelf()
        self._limit = limit

    async def advance(self, tx: Tx, payload: Mapping[str, object]) -> Again | None:
        """Do the next slice of a campaign; None when there is nothing more to do until somebody acts."""
        campaign = await repository_campaigns.find_campaign(tx, UUID(str(payload["campaign_id"])))
        if campaign is None:
            return None
        after = await self._do_next(tx, campaign)
        return None if after is None else Again(payload, after)

    async def _do_next(self, tx: Tx, campaign: Campaign) -> timedelta | None:
        """How long until the next look."""
        if campaign.sweep == "cancel" or (campaign.sweep is not None and campaign.state in ("starting", "running")):
            await SWEEPS[campaign.sweep](tx, campaign, self._limit)
            return timedelta(0)
        if campaign.state == "scheduled":
            return await _start_when_due(tx, campaign)
        if campaign.state not in ("starting", "running"):
            await repository_recipients.fold_tallies(tx, campaign.id)
            return None
        if not campaign.is_taken_in:
            await self._take_in(tx, campaign)
            return timedelta(0)
        return await _look(tx, campaign)

    async def _take_in(self, tx: Tx, campaign: Campaign) -> None:
        if campaign.spread_from is None:
            campaign = replace(campaign, spread_from=(await tx.now()).replace(microsecond=0))
        places = []
        if campaign.start_kind == "local_hour":
            places = await repository_audience.list_places(tx, campaign, campaign.cursor, self._limit)
        variants = await repository_campaigns.list_variants(tx, campaign.id)
        terms = await load_terms(tx, campaign, self._shelf, places, variants)
        done = await repository_audience.take_in(tx, campaign, terms, self._limit)
        await _note_slice(tx, campaign, done.spread)
        is_last = done.looked_at < self._limit
        await repository_campaigns.move_cursor(tx, campaign.id, done.cursor or campaign.cursor, is_taken_in=is_last)
        if is_last:
            await repository_campaigns.set_state(tx, campaign.id, "running", was=["starting"])
            if has_rest(campaign, variants):
                await repository_campaigns.set_winner_due(tx, campaign.id)
        if done.begun:
            await wake(tx, CAMPAIGN_QUEUE)
            await events.notify_live(tx, {"campaign"})


async def _note_slice(tx: Tx, campaign: Campaign, added: Mapping[str, int]) -> None:
    spread = dict(campaign.spread)
    for moment, recipients in added.items():
        spread[moment] = spread.get(moment, 0) + recipients
    await repository_campaigns.set_spread(tx, campaign.id, campaign.spread_from, spread)


async def _start_when_due(tx: Tx, campaign: Campaign) -> timedelta | None:
    """Start a scheduled campaign when its moment has come; what stands against it makes a draft of it, and says so."""
    moment, now = starts_at(campaign), await tx.now()
    if moment is not None and moment > now:
        return moment - now
    try:
        await campaigns.begin(tx, system_caller(tx.workspace_id), campaign)
    except InvalidError as error:
        await repository_campaigns.set_state(tx, campaign.id, "draft", was=["scheduled"])
        reason = " ".join([error.message, *(problem.message for problem in error.problems)])
        data = {"name": campaign.name, "title": campaign.title, "reason": reason}
        await events.append(tx, [Event("campaign.not_started", campaign.id, data=data)])
        return None
    return timedelta(0)


async def _look(tx: Tx, campaign: Campaign) -> timedelta | None:
    """What a campaign needs that is out: its winner, or its end."""
    await repository_recipients.fold_tallies(tx, campaign.id)
    now = await tx.now()
    variants = await repository_campaigns.list_variants(tx, campaign.id)
    if needs_winner(campaign, variants):
        due = campaign.winner_due_at
        if campaign.winner_rule == "manual" or due is None:
            return LOOK
        if due > now:
            return min(due - now, LOOK)
        number = await find_winner(tx, campaign)
        if number is None and await _is_under_way(tx, campaign.id):
            return LOOK
        # A test that reached nobody, and will not, says nothing: the first variant goes to the rest.
        await campaigns.set_winner(tx, system_caller(tx.workspace_id), campaign, number or variants[0].number)
        return timedelta(0)
    if await _is_under_way(tx, campaign.id):
        return LOOK
    await _finish(tx, campaign)
    return None


async def _is_under_way(tx: Tx, campaign_id: UUID) -> bool:
    if await repository_recipients.has_under_way(tx, campaign_id):
        return True
    counts = await repository_recipients.count_states(tx, [campaign_id])
    running = sum(recipients for _, _, state, recipients in counts if state == UNDER_WAY)
    return running > 0 and running > await repository_recipients.count_resting(tx, campaign_id)


async def _finish(tx: Tx, campaign: Campaign) -> None:
    if await repository_campaigns.set_state(tx, campaign.id, "finished", was=["running"]):
        data = {"name": campaign.name, "title": campaign.title}
        await events.append(tx, [Event("campaign.finished", campaign.id, data=data)])


def job_handlers() -> dict[str, JobHandler]:
    """The jobs of campaigns."""
    return {campaigns.ADVANCE: CampaignWork().advance}
