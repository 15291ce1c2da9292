"""Everything at once: leads arrive, people accept, answer, close and reassign, and two steppers move the runs."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.flows import service
from switchboard.kernel.db import Database, Tx
from switchboard.leads import service as leads
from switchboard.leads.errors import ClosedError
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject
from switchboard.routing.waiting import WaitingLoop
from tests.conftest import make_member
from tests.flows.world import add_contact, add_lead, add_letters, save_active, stepper, tell
from tests.routing.conftest import make_rota

OFFERS = """
flow: offers
title: Offers
subject: lead
starts: [lead.created]
stops: [lead.closed]
steps:
  - assign: {rota: sales, accept_within: 1s}
    then: [send: welcome]
    else: [set: {stage: contacted}]
"""
CHANGES = """
flow: changes
title: Changes
subject: lead
starts: [lead.created, lead.stage_changed]
stops: [message.replied]
reentry: {after: 1s}
steps:
  - set: {stage: contacted, fields: {seen: once}}
  - wait: {event: lead.assigned, timeout: 1s}
  - set: {stage: qualified}
  - assign: {rota: sales}
"""
SEED = 20_261_120
LEADS = 40
DEEDS = 60

Work = Callable[[Tx], Awaitable[object]]


@dataclass
class Town:
    """Who is there, and the leads of late that somebody may act on."""

    database: Database
    owner: Caller
    team: list[Caller]
    dice: random.Random
    known: list[UUID] = field(default_factory=list)
    arrived: int = 0

    async def do(self, work: Work) -> None:
        """One transaction; that a lead is closed already is an answer like any other."""
        try:
            async with self.database.transaction(self.owner.workspace_id) as tx:
                await work(tx)
        except ClosedError:
            return

    async def arrivals(self, count: int) -> None:
        for _ in range(count):
            await self.do(self._arrive)

    async def people(self, count: int) -> None:
        deeds: list[Work] = [self._answer, self._accept, self._move, self._assign]
        for _ in range(count):
            await self.do(self.dice.choice(deeds))

    async def loops(self, done: asyncio.Event) -> None:
        steps, waiting = stepper(self.database), WaitingLoop(self.database)
        while not done.is_set():
            await steps.tick()
            await waiting.tick()

    async def _arrive(self, tx: Tx) -> None:
        self.arrived += 1
        contact_id = await add_contact(tx, f"p{self.arrived}@x.example")
        lead_id = await add_lead(tx, contact_id)
        await routing.route(tx, [RoutingSubject(lead_id, "lead", contact_id, {})], trigger="arrived")
        rows = await tx.fetch_tuples("SELECT id FROM app.lead WHERE id <> %s ORDER BY id DESC LIMIT 20", (lead_id,))
        self.known[:] = [row[0] for row in rows] or self.known

    async def _answer(self, tx: Tx) -> None:
        lead = await leads.access_lead(tx, self.owner, self.dice.choice(self.known))
        await tell(tx, "message.replied", contact_id=lead.contact_id)

    async def _accept(self, tx: Tx) -> None:
        await leads.accept(tx, self.team[0], self.dice.choice(self.known))

    async def _move(self, tx: Tx) -> None:
        stage = self.dice.choice(["contacted", "proposal", "lost"])
        await leads.change_stage(tx, self.owner, [self.dice.choice(self.known)], stage)

    async def _assign(self, tx: Tx) -> None:
        await leads.assign(tx, self.owner, [self.dice.choice(self.known)], user_id=self.team[1].user_id)


async def test_nobody_waits_in_a_ring_and_every_run_is_accounted_for(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    team = [await make_member(database, workspace_id, f"{n}@acme.example", n, "agent") for n in ("anna", "ben")]
    await make_rota(database, workspace_id, "sales", team)
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, OFFERS)
        await save_active(tx, CHANGES)
    town = Town(database, owner, team, random.Random(SEED))  # noqa: S311 the same town each time
    await town.arrivals(5)
    done = asyncio.Event()
    looping = [asyncio.create_task(town.loops(done)) for _ in range(2)]
    await asyncio.gather(town.arrivals(LEADS), town.people(DEEDS), town.people(DEEDS))
    done.set()
    await asyncio.gather(*looping)
    async with database.transaction(workspace_id) as tx:
        going = await tx.fetch_value("SELECT count(*) FROM app.run")
        ended = await tx.fetch_value("SELECT count(*) FROM app.run_ended")
        flows = await service.list_flows(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM app.run WHERE attempts > 0") == 0
    assert sum(flow.running for flow in flows) == going
    assert sum(flow.started for flow in flows) == going + ended
    assert sum(flow.failed for flow in flows) == 0
