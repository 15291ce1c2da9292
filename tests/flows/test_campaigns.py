"""Campaigns from draft to end: taking in the audience, the ledger, pausing, cancelling, repeating."""

from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.flows import campaigns
from switchboard.kernel.db import Database
from tests.conftest import Urls, move_clock
from tests.flows.campaign_world import (
    add_campaign,
    add_people,
    advance,
    check_ledger,
    outbox,
    send_all,
)
from tests.flows.world import settle


async def test_a_campaign_goes_from_draft_to_everybody_and_ends(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 25)
        campaign = await add_campaign(tx, owner)
        assert campaign.state == "draft"
        assert (await campaigns.start_campaign(tx, owner, campaign.id)).state == "starting"
    await advance(database, limit=10)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "running"
        assert await check_ledger(tx, campaign.id) == {"waiting": 25}
    assert await settle(database) == 25
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"queued": 25}
        assert await tx.fetch_tuples("SELECT DISTINCT lane, campaign_id FROM app.outbox") == [(8, campaign.id)]
    await send_all(outbox(database))
    await move_clock(urls, "2 minutes")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"sent": 25}
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "finished"
        kinds = await tx.fetch_tuples("SELECT kind FROM app.event WHERE kind LIKE 'campaign.%%' ORDER BY id")
    assert [kind for (kind,) in kinds] == ["campaign.created", "campaign.started", "campaign.finished"]
