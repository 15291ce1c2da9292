"""A person and a queue that change the same leads at once wait for each other, and never in a ring: lead, then rota."""

import asyncio
from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.leads import service
from switchboard.routing import service as routing
from switchboard.routing.locking import lock_subjects
from tests.leads.conftest import open_lead, read
from tests.locks import wait_until_somebody_waits


async def test_a_person_waits_while_routing_hands_the_lead_out(
    database: Database, agent: Caller, owner: Caller, source_id: UUID
) -> None:
    lead_id = await open_lead(database, agent, source_id)
    routing_holds, person_asked = asyncio.Event(), asyncio.Event()

    async def hand_out() -> None:
        async with database.transaction(agent.workspace_id) as tx:
            await lock_subjects(tx, [lead_id])
            routing_holds.set()
            await person_asked.wait()
            # The person's transaction is under way: until it waits, nothing here may be in its way.
            await wait_until_somebody_waits(database)
            five = timedelta(minutes=5)
            await routing.assign(tx, [lead_id], user_id=owner.user_id, accept_within=five, trigger="test")

    async def win() -> None:
        await routing_holds.wait()
        async with database.transaction(agent.workspace_id) as tx:
            person_asked.set()
            await service.change_stage(tx, agent, [lead_id], "won")

    await asyncio.gather(hand_out(), win())
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.owner_id) == ("won", owner.user_id)
