"""Everything at once: a campaign is taken in, moved and sent while it is paused, changed, merged and answered."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import Campaign, CampaignForm
from switchboard.flows.campaign_work import CampaignWork
from switchboard.flows.errors import CampaignStateError
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Actor
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.queues import Loop
from switchboard.people import merging
from switchboard.people import service as people
from switchboard.people.errors import ContactNotFoundError, MergeRefusedError
from tests.flows.campaign_world import (
    LETTER,
    OTHER_LETTER,
    add_campaign,
    add_people,
    advance,
    check_ledger,
    outbox,
    run_campaign,
    send_all,
)
from tests.flows.world import stepper

PEOPLE = 80
ACTS = 25
Act = Callable[[Tx], Awaitable[object]]


async def work_until(stopped: asyncio.Event, tick: Callable[[], Awaitable[object]]) -> None:
    """Tick on; whatever a tick raises fails the test, so a deadlock does."""
    while not stopped.is_set():
        await tick()
        await asyncio.sleep(0)


def choose_act(chance: random.Random, owner: Caller, campaign: Campaign, ids: list[UUID]) -> Act:
    """One thing that somebody does to the campaign or its people."""
    form = CampaignForm(
        name=campaign.name,
        variants=[(campaign.flow_id, 100)],
        audience_kind="everybody",
        throttle_per_minute=chance.choice([None, 60_000]),
    )
    first, second = chance.sample(ids, 2)
    acts: list[Act] = [
        lambda tx: campaigns.pause_campaign(tx, owner, campaign.id),
        lambda tx: campaigns.resume_campaign(tx, owner, campaign.id),
        lambda tx: campaigns.resume_campaign(tx, owner, campaign.id),
        lambda tx: campaigns.update_campaign(tx, owner, campaign.id, form),
        lambda tx: people.opt_out(tx, first, Actor("contact", first), "They said so"),
        lambda tx: merging.merge(tx, owner, first, second, contact_holders()),
    ]
    return chance.choice(acts)


async def disturb(
    database: Database, owner: Caller, campaign: Campaign, ids: list[UUID], chance: random.Random
) -> None:
    for _ in range(ACTS):
        act = choose_act(chance, owner, campaign, ids)
        try:
            async with database.transaction(owner.workspace_id) as tx:
                await act(tx)
        except (CampaignStateError, MergeRefusedError, ContactNotFoundError):
            continue


async def go_on(database: Database, owner: Caller, campaign: Campaign) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        if (await campaigns.get_campaign(tx, owner, campaign.id)).state == "paused":
            await campaigns.resume_campaign(tx, owner, campaign.id)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nobody_is_forgotten_and_nobody_gets_it_twice(
    database: Database, workspace_id: UUID, owner: Caller, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 a seed makes the same choices again
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = quiet_end")
        ids = await add_people(tx, PEOPLE)
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
    stopped = asyncio.Event()
    sending = outbox(database)
    jobs = JobLoop(database, {campaigns.ADVANCE: CampaignWork(limit=9).advance})
    loops: list[Loop] = [stepper(database, of_campaigns=True), stepper(database, of_campaigns=True), sending, jobs]
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(work_until(stopped, loop.tick))
        await disturb(database, owner, campaign, ids, chance)
        stopped.set()
    await sending.close()
    await go_on(database, owner, campaign)
    for _ in range(4):
        await run_campaign(database)
        await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        counted = await check_ledger(tx, campaign.id)
        twice = await tx.fetch_tuples("SELECT run_id FROM app.message GROUP BY run_id HAVING count(*) > 1")
        resting = await tx.fetch_value("SELECT count(*) FROM app.run WHERE parked IS DISTINCT FROM 'merged'")
        assert (twice, resting) == ([], 0)
        assert (
            sum(counted.values())
            + await tx.fetch_value(
                "SELECT count(*) FROM app.contact c WHERE merged_into IS NOT NULL AND NOT EXISTS ("
                " SELECT FROM app.campaign_recipient l WHERE l.contact_id = c.id)"
            )
            >= PEOPLE
        )
        assert counted.get("queued", 0) == 0
        waiting = await campaigns.list_recipients(tx, owner, campaign.id, "waiting")
        assert {line.reason for line in waiting} <= {"merged"}
        # Whoever opted out before it went got nothing after.
        late = await tx.fetch_value(
            "SELECT count(*) FROM app.message m JOIN app.contact c ON c.id = m.contact_id"
            " WHERE m.sent_at > c.opted_out_at + interval '10 seconds'"
        )
        assert late == 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_cancelling_in_the_middle_of_everything_leaves_nothing_behind(
    database: Database, workspace_id: UUID, owner: Caller, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 a seed makes the same choices again
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = quiet_end")
        await add_people(tx, PEOPLE)
        campaign = await add_campaign(tx, owner, [LETTER, OTHER_LETTER])
        await campaigns.start_campaign(tx, owner, campaign.id)
    stopped = asyncio.Event()
    sending = outbox(database)
    jobs = JobLoop(database, {campaigns.ADVANCE: CampaignWork(limit=9).advance})
    async with asyncio.TaskGroup() as group:
        loops: list[Loop] = [stepper(database, of_campaigns=True), sending, jobs]
        for loop in loops:
            group.create_task(work_until(stopped, loop.tick))
        while chance.random() < 0.9:
            async with database.transaction(workspace_id) as tx:
                await campaigns.count_by_state(tx, owner, campaign.id)
        async with database.transaction(workspace_id) as tx:
            await campaigns.cancel_campaign(tx, owner, campaign.id)
        stopped.set()
    await sending.close()
    await advance(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        counted = await check_ledger(tx, campaign.id)
        assert set(counted) <= {"sent", "cancelled"}
        for table in ("run", "outbox", "send_hold"):
            assert await tx.fetch_value(f"SELECT count(*) FROM app.{table}") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.mailbox_mail") == counted.get("sent", 0)
