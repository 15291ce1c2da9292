"""Walks over the ledger of a campaign: letting its runs go on, spreading them anew, and calling them back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from switchboard.delivery.service import drop_queued, release_campaign
from switchboard.flows import repository_campaigns, repository_recipients
from switchboard.flows.campaign_models import CANCELLED, Campaign, Sweep
from switchboard.flows.campaign_terms import find_gap
from switchboard.flows.endings import RUN_STOPPED, stop_runs
from switchboard.flows.entering import CAMPAIGN_QUEUE
from switchboard.flows.models import Ending
from switchboard.flows.versions import VersionShelf
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.queues import wake

WalkOn = Callable[[Tx, Campaign, int], Awaitable[None]]
Page = Sequence[tuple[UUID, UUID | None, str]]

# Before all contacts: the runs are next.
_FIRST = UUID(int=0)
# Calling back writes an event for each, so its slices are smaller.
CANCEL_SLICE = 500


async def resume(tx: Tx, campaign: Campaign, limit: int) -> None:
    """Messages in the outbox first, which came before; then the runs that rest."""
    if campaign.sweep_cursor is None:
        await _release(tx, campaign, limit)
        return
    page = await repository_recipients.page_of_runs(tx, campaign.id, campaign.sweep_cursor, limit)
    if await repository_recipients.unpark_runs(tx, _runs(page)):
        await wake(tx, CAMPAIGN_QUEUE)
    await _go_on(tx, campaign, "resume", page, limit)


async def _release(tx: Tx, campaign: Campaign, limit: int) -> None:
    """Let parked messages go, unless the campaign was paused again since it was read: that hold must stay."""
    now = await repository_campaigns.lock_campaign(tx, campaign.id)
    if now is None or now.state == "paused" or now.sweep != "resume":
        return
    if await release_campaign(tx, campaign.id, limit) < limit:
        await repository_campaigns.move_sweep(tx, campaign.id, "resume", _FIRST)


async def spread(tx: Tx, campaign: Campaign, limit: int) -> None:
    """Give everybody whose run has not begun a new turn from now; by local hour, those who are late."""
    if campaign.sweep_cursor is None or campaign.spread_from is None:
        since = (await tx.now()).replace(microsecond=0)
    else:
        since = campaign.spread_from
    moment = str(int(since.timestamp()))
    place = campaign.spread.get(moment, 0) if campaign.sweep_cursor else 0
    page = await repository_recipients.page_of_runs(tx, campaign.id, campaign.sweep_cursor, limit)
    is_local = campaign.start_kind == "local_hour"
    waiting = [contact_id for contact_id, _, state in page if state == "waiting"]
    spread_out = await repository_recipients.spread_runs(
        tx, campaign.id, waiting, since, find_gap(campaign), place=place, only_past=is_local
    )
    others = campaign.spread if is_local else {}
    await repository_campaigns.set_spread(tx, campaign.id, since, {**others, moment: place + spread_out})
    is_over = await _go_on(tx, campaign, "spread", page, limit)
    if is_over and campaign.held_since is not None:
        # All have their turn: those that were parked meanwhile may go.
        await repository_campaigns.begin_sweep(tx, campaign.id, "resume", is_held=False)
    await wake(tx, CAMPAIGN_QUEUE)


async def cancel(tx: Tx, campaign: Campaign, _limit: int) -> None:
    """End the runs, take the messages back that have not gone, and say so in the ledger."""
    page = await repository_recipients.page_of_runs(tx, campaign.id, campaign.sweep_cursor, CANCEL_SLICE)
    await _call_back(tx, campaign, page)
    if len(page) == CANCEL_SLICE:
        await repository_campaigns.move_sweep(tx, campaign.id, "cancel", page[-1][0])
    elif await release_campaign(tx, campaign.id, CANCEL_SLICE) < CANCEL_SLICE:
        await repository_campaigns.end_sweep(tx, campaign.id, "cancel")
        await events.notify_live(tx, {"campaign"})


async def _call_back(tx: Tx, campaign: Campaign, page: Page) -> None:
    run_ids = _runs(page)
    keys = await repository_recipients.find_versions(tx, run_ids)
    versions = await VersionShelf().load(tx, keys.values())
    await stop_runs(tx, [Ending(run_id, "stopped", CANCELLED) for run_id in sorted(keys)], versions)
    # The runs of a campaign of one letter have ended by now, and their letters wait in the outbox.
    await drop_queued(tx, [run_id for run_id in run_ids if run_id not in keys], RUN_STOPPED)
    unsent = [contact_id for contact_id, _, state in page if state in ("waiting", "queued")]
    await repository_recipients.mark_cancelled(tx, campaign.id, unsent)


async def _go_on(tx: Tx, campaign: Campaign, sweep: Sweep, page: Page, limit: int) -> bool:
    """Note how far the walk has come; whether it is over."""
    if len(page) == limit:
        await repository_campaigns.move_sweep(tx, campaign.id, sweep, page[-1][0])
        return False
    await repository_campaigns.end_sweep(tx, campaign.id, sweep)
    await events.notify_live(tx, {"campaign"})
    return True


def _runs(page: Page) -> list[UUID]:
    return [run_id for _, run_id, _ in page if run_id is not None]


SWEEPS: Mapping[Sweep, WalkOn] = {"resume": resume, "spread": spread, "cancel": cancel}
