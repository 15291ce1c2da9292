"""Campaigns that pause, go on, change their pace, and are called off while they are under way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.flows import campaigns, service
from switchboard.flows.campaign_models import Campaign, CampaignForm
from switchboard.flows.campaign_sweeps import SWEEPS
from switchboard.flows.campaign_work import CampaignWork
from switchboard.flows.contacts import ContactKind
from switchboard.flows.stepper import StepLoop
from switchboard.kernel.db import Database, Tx, recorded_queries
from tests.conftest import Urls, move_clock
from tests.flows.campaign_world import (
    LETTER,
    add_campaign,
    add_people,
    advance,
    check_ledger,
    outbox,
    run_campaign,
    send_all,
)
from tests.flows.world import KINDS, settle, stepper, tell

WAITING_LETTER = LETTER.replace("  - send", "  - wait: 5m\n  - send")


async def begin(database: Database, owner: Caller, people: int, source: str = LETTER, **form: object) -> Campaign:
    """A campaign to so many people that has begun; nobody is taken in yet."""
    async with database.transaction(owner.workspace_id) as tx:
        await add_people(tx, people)
        campaign = await add_campaign(tx, owner, [source], **form)
        return await campaigns.start_campaign(tx, owner, campaign.id)


async def pause(database: Database, owner: Caller, campaign: Campaign) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await campaigns.pause_campaign(tx, owner, campaign.id)


async def resume(database: Database, owner: Caller, campaign: Campaign) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await campaigns.resume_campaign(tx, owner, campaign.id)


async def sent_once(database: Database, owner: Caller, campaign: Campaign, people: int) -> None:
    """Let everything go, and see that everybody got it once."""
    for _ in range(3):
        await run_campaign(database)
        await send_all(outbox(database))
    async with database.transaction(owner.workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"sent": people}
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == people
        assert await tx.fetch_value("SELECT count(DISTINCT contact_id) FROM app.message") == people
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.mailbox_mail") == people


async def test_pausing_changes_two_rows_however_many_wait(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 30)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        with recorded_queries() as statements:
            await campaigns.pause_campaign(tx, owner, campaign.id)
    changing = [one for one in statements if one.lstrip().startswith(("UPDATE", "INSERT", "DELETE"))]
    assert [" ".join(one.split()[:3]) for one in changing] == [
        "UPDATE app.campaign SET",
        "INSERT INTO app.send_hold",
        "INSERT INTO app.event",
    ]


async def test_nothing_goes_while_it_is_paused_and_everything_once_after(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 40)
    await advance(database, limit=15)
    # Some letters wait in the outbox, the others are not written yet.
    async with database.transaction(workspace_id) as tx:
        await tx.execute(
            "UPDATE app.run SET due_at = app.now() + interval '1 hour' WHERE id IN (SELECT id FROM app.run LIMIT 15)"
        )
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.run SET due_at = app.now()")
    await pause(database, owner, campaign)
    await send_all(outbox(database))
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"queued": 25, "waiting": 15}
        assert await tx.fetch_value("SELECT count(*) FROM app.mailbox_mail") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.run WHERE parked = 'paused'") == 15
    await resume(database, owner, campaign)
    await sent_once(database, owner, campaign, 40)


async def test_a_pause_while_it_is_starting_stops_the_taking_in(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 30)
    work = CampaignWork(limit=10)
    async with database.transaction(workspace_id) as tx:
        await work.advance(tx, {"campaign_id": campaign.id})
    await pause(database, owner, campaign)
    await run_campaign(database, limit=10)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 10}
    await resume(database, owner, campaign)
    await sent_once(database, owner, campaign, 30)


async def test_resuming_forgets_no_run_that_is_parked_at_the_same_moment(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 50)
    await advance(database)
    for _ in range(5):
        await pause(database, owner, campaign)
        # The stepper parks what is due while another connection lets the campaign go on.
        await asyncio.gather(
            stepper(database, of_campaigns=True).tick(),
            resume(database, owner, campaign),
            stepper(database, of_campaigns=True).tick(),
        )
        await advance(database, limit=7)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.run WHERE parked IS NOT NULL") == 0
    await sent_once(database, owner, campaign, 50)


async def test_a_throttle_spreads_the_recipients_over_the_minutes(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    campaign = await begin(database, owner, 25, throttle_per_minute=10)
    await run_campaign(database, limit=7)
    async with database.transaction(workspace_id) as tx:
        dues = await tx.fetch_tuples("SELECT due_at FROM app.campaign_recipient ORDER BY contact_id")
        gaps = {later[0] - earlier[0] for earlier, later in pairwise(dues)}
        assert gaps == {timedelta(seconds=6)}
    for minutes, queued in ((1, 10), (2, 20), (3, 25)):
        await move_clock(urls, f"{minutes * 60 - 3} seconds")
        await settle(database)
        async with database.transaction(workspace_id) as tx:
            assert (await check_ledger(tx, campaign.id))["queued"] in (queued, queued - 1)


async def test_resuming_spreads_those_who_wait_from_now(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    campaign = await begin(database, owner, 20, throttle_per_minute=10)
    await run_campaign(database)
    await move_clock(urls, "33 seconds")
    await settle(database)
    await pause(database, owner, campaign)
    async with database.transaction(workspace_id) as tx:
        left = (await check_ledger(tx, campaign.id))["waiting"]
    await move_clock(urls, "1 hour")
    await settle(database)
    await resume(database, owner, campaign)
    await advance(database, limit=6)
    async with database.transaction(workspace_id) as tx:
        now = await tx.now()
        dues = await tx.fetch_tuples(
            "SELECT r.due_at, l.due_at, r.parked, r.contact_id FROM app.run r"
            " JOIN app.campaign_recipient l ON l.run_id = r.id ORDER BY r.contact_id"
        )
        assert len(dues) == left
        assert all(run_due == line_due and parked is None for run_due, line_due, parked, _ in dues)
        assert abs(dues[0][0] - now) < timedelta(seconds=5)
        assert dues[-1][0] - dues[0][0] == (left - 1) * timedelta(seconds=6)
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).held_since is None
    await move_clock(urls, "2 hours")
    await sent_once(database, owner, campaign, 20)


async def test_a_new_throttle_spreads_those_who_wait_anew(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    campaign = await begin(database, owner, 20, throttle_per_minute=1)
    await run_campaign(database, limit=6)
    async with database.transaction(workspace_id) as tx:
        form = CampaignForm(
            name="spring",
            variants=[(campaign.flow_id, 100)],
            audience_kind="everybody",
            throttle_per_minute=60,
        )
        assert (await campaigns.update_campaign(tx, owner, campaign.id, form)).throttle_per_minute == 60
    await advance(database, limit=6)
    async with database.transaction(workspace_id) as tx:
        dues = await tx.fetch_tuples("SELECT due_at FROM app.run ORDER BY contact_id")
    assert dues[-1][0] - dues[0][0] == (len(dues) - 1) * timedelta(seconds=1)
    await move_clock(urls, "1 minute")
    await sent_once(database, owner, campaign, 20)


async def without_throttle(database: Database, owner: Caller, campaign: Campaign) -> None:
    form = CampaignForm(name="spring", variants=[(campaign.flow_id, 100)], audience_kind="everybody")
    async with database.transaction(owner.workspace_id) as tx:
        await campaigns.update_campaign(tx, owner, campaign.id, form)


@pytest.mark.parametrize("is_paused_first", [True, False])
async def test_a_throttle_that_is_taken_away_round_a_pause_is_gone_after_it(
    database: Database, workspace_id: UUID, owner: Caller, is_paused_first: bool
) -> None:
    campaign = await begin(database, owner, 20, throttle_per_minute=1)
    await run_campaign(database)
    if is_paused_first:
        await pause(database, owner, campaign)
        await without_throttle(database, owner, campaign)
    else:
        await without_throttle(database, owner, campaign)
        await pause(database, owner, campaign)
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"queued": 1, "waiting": 19}
    await resume(database, owner, campaign)
    await sent_once(database, owner, campaign, 20)


async def test_cancelling_calls_back_what_waits_and_leaves_what_went(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    campaign = await begin(database, owner, 30, throttle_per_minute=10)
    await run_campaign(database)
    await move_clock(urls, "57 seconds")
    await settle(database)
    await send_all(outbox(database))
    await move_clock(urls, "117 seconds")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        before = await check_ledger(tx, campaign.id)
        assert set(before) == {"sent", "queued", "waiting"}
        await campaigns.cancel_campaign(tx, owner, campaign.id)
    # Nothing goes out from the moment it is cancelled, although nothing is called back yet.
    await send_all(outbox(database))
    await settle(database)
    await advance(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"sent": before["sent"], "cancelled": 30 - before["sent"]}
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.run") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.send_hold") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.mailbox_mail") == before["sent"]
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "cancelled"


async def test_cancelling_a_paused_campaign_ends_it(database: Database, workspace_id: UUID, owner: Caller) -> None:
    campaign = await begin(database, owner, 12, WAITING_LETTER)
    await run_campaign(database)
    await pause(database, owner, campaign)
    async with database.transaction(workspace_id) as tx:
        await campaigns.cancel_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"cancelled": 12}
        assert await tx.fetch_tuples("SELECT DISTINCT outcome, reason FROM app.run_ended") == [
            ("stopped", "the campaign was cancelled")
        ]


async def test_a_paused_flow_keeps_its_campaigns_runs_as_well(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 5)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.flow SET is_active = false")
    await pause(database, owner, campaign)
    await settle(database)
    await resume(database, owner, campaign)
    await advance(database)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 5}
        await tx.execute("UPDATE app.flow SET is_active = true")
        await tx.execute("UPDATE app.run SET parked = NULL")
    await sent_once(database, owner, campaign, 5)


class PausingContacts(ContactKind):
    """Contacts of whom something is paused as a stepper comes to hold them."""

    def __init__(self, pause_it: Callable[[], Awaitable[None]]) -> None:
        self.pause_it = pause_it

    async def lock(self, tx: Tx, ids: Sequence[UUID]) -> None:
        await self.pause_it()
        await super().lock(tx, ids)


@pytest.mark.parametrize("what", ["flow", "campaign"])
async def test_what_is_paused_between_the_two_transactions_of_a_tick_changes_nobody(
    database: Database, workspace_id: UUID, owner: Caller, what: str
) -> None:
    campaign = await begin(database, owner, 5, LETTER.replace("  - send", "  - set: {fields: {plan: gold}}\n  - send"))
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        flow_id: UUID = await tx.fetch_value("SELECT id FROM app.flow")

    async def pause_it() -> None:
        if what == "campaign":
            await pause(database, owner, campaign)
            return
        async with database.transaction(workspace_id) as tx:
            await service.pause(tx, owner, flow_id)

    await StepLoop(database, {**KINDS, "contact": PausingContacts(pause_it)}, of_campaigns=True).tick()
    standing = "SELECT parked, attempts, count(*) FROM app.run GROUP BY parked, attempts"
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.contact WHERE fields <> '{}'") == 0
        assert await tx.fetch_tuples(standing) == [(None, 0, 5)]
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples(standing) == [("paused", 0, 5)]
        if what == "flow":
            await service.activate(tx, owner, flow_id, KINDS)
        else:
            await campaigns.resume_campaign(tx, owner, campaign.id)
    await sent_once(database, owner, campaign, 5)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value('SELECT count(*) FROM app.contact WHERE fields = \'{"plan": "gold"}\'') == 5


async def test_too_many_bounces_pause_it_and_its_owner_is_told(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 30)
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        for line in lines[:5]:
            await tell(tx, "message.bounced", contact_id=line.contact_id, campaign_id=campaign.id)
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "running"
        await tell(tx, "message.bounced", contact_id=lines[5].contact_id, campaign_id=campaign.id)
        paused = await campaigns.get_campaign(tx, owner, campaign.id)
        assert (paused.state, paused.pause_reason) == (
            "paused",
            "6 of the last 30 messages came back or were refused, more than 5 of 100. "
            "Look at the addresses before it goes on.",
        )
        ((subject, user_id),) = await tx.fetch_tuples(
            "SELECT subject, user_id FROM app.message WHERE user_id IS NOT NULL"
        )
        assert (subject, user_id) == ("Spring has paused itself", owner.user_id)
    await resume(database, owner, campaign)
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "message.bounced", contact_id=lines[6].contact_id, campaign_id=campaign.id)
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "running"


async def test_a_pause_that_comes_while_it_goes_on_keeps_its_hold(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    campaign = await begin(database, owner, 10)
    await run_campaign(database)
    await pause(database, owner, campaign)
    await resume(database, owner, campaign)
    # The job has read the campaign as going on, and then somebody pauses it.
    async with database.transaction(workspace_id) as tx:
        read = await campaigns.get_campaign(tx, owner, campaign.id)
    await pause(database, owner, campaign)
    async with database.transaction(workspace_id) as tx:
        await SWEEPS["resume"](tx, read, 100)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"queued": 10}
    await resume(database, owner, campaign)
    await sent_once(database, owner, campaign, 10)
