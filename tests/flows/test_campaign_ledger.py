"""The ledger of a campaign, whichever way its runs are moved."""

from typing import Any
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders
from switchboard.flows import campaigns
from switchboard.flows.cohorts import Cohort
from switchboard.flows.stepper import StepLoop
from switchboard.flows.trails import Trail, find_trail
from switchboard.flows.walking import Batch
from switchboard.kernel.db import Database, Tx
from switchboard.people import merging
from tests.conftest import Urls, move_clock
from tests.flows.campaign_world import add_campaign, add_people, advance, check_ledger
from tests.flows.world import KINDS, LETTERS, add_letters, settle

PEOPLE = 40
HEAD = "flow: {}\ntitle: News\nsubject: contact\nstops: [contact.opted_out]\nsteps:\n"
FLOWS = {
    "a letter": "  - send: welcome\n",
    "two letters": "  - send: welcome\n  - wait: 1h\n  - send: second\n",
    "no letter": "  - wait: 1h\n  - stop: enough\n",
    "no template": "  - send: gone\n",
    "a wait that ends": "  - wait: 1h\n",
}
LINES = """
    SELECT l.contact_id, l.variant, l.state, l.reason, l.run_id IS NULL, l.due_at, m.state, m.reason,
           m.run_id = l.run_id
    FROM app.campaign_recipient l LEFT JOIN app.message m ON m.id = l.message_id
    WHERE l.campaign_id = %s ORDER BY l.contact_id
"""


async def make(tx: Tx, owner: Caller, steps: str, name: str) -> UUID:
    campaign = await add_campaign(tx, owner, [HEAD.format(name) + steps], name=name)
    await campaigns.start_campaign(tx, owner, campaign.id)
    return campaign.id


async def lines(tx: Tx, campaign_id: UUID) -> list[tuple[Any, ...]]:
    return await tx.fetch_tuples(LINES, (campaign_id,))


@pytest.mark.parametrize("steps", FLOWS.values(), ids=FLOWS.keys())
async def test_the_ledger_is_the_same_whichever_way_runs_are_moved(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls, steps: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        people = await add_people(tx, PEOPLE)
        await add_letters(tx, (*LETTERS, "gone"))
        alike, alone = [await make(tx, owner, steps, name) for name in ("alike", "alone")]
        await tx.execute("UPDATE app.template SET archived_at = app.now() WHERE name = 'gone'")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        # Taken in with an address, which is gone when their turn comes.
        await tx.execute("DELETE FROM app.identity WHERE contact_id = %s", (people[0],))
        # One is merged into somebody who is in it too, and one leaves a line that names somebody else by now.
        await merging.merge(tx, owner, people[1], people[2], contact_holders())
        (stray,) = await add_people(tx, 1, first=PEOPLE + 1)
        await merging.merge(tx, owner, stray, people[3], contact_holders())
    found: list[UUID | None] = []

    async def find(cohort: Cohort, batch: Batch) -> Trail | None:
        if cohort.campaign_id == alone:
            return None
        found.append(cohort.campaign_id)
        return await find_trail(cohort, batch)

    loop = StepLoop(database, KINDS, of_campaigns=True, find_trail=find)
    await settle(database, loop=loop)
    await move_clock(urls, "2 hours")
    await settle(database, loop=loop)
    async with database.transaction(workspace_id) as tx:
        assert alike in found
        # A campaign of which too much fails pauses itself, whichever way its runs are moved.
        states = [(await campaigns.get_campaign(tx, owner, one)).state for one in (alike, alone)]
        assert states[0] == states[1]
        mine, theirs = await lines(tx, alike), await lines(tx, alone)
        assert [(*line[:5], *line[6:]) for line in mine] == [(*line[:5], *line[6:]) for line in theirs]
        assert await check_ledger(tx, alike) == await check_ledger(tx, alone)
