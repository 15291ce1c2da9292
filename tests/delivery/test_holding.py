"""Campaigns that pause: what waits of them stays, and goes on exactly where it stopped."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from switchboard.delivery import repository_outbox, service
from switchboard.delivery.models import Draft
from switchboard.delivery.outbox import OutboxLoop
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from tests.delivery.letters import letter
from tests.delivery.sending import LETTERHEAD, HoldingChannel, Outbox, queue, states


async def hold(database: Database, workspace_id: UUID, campaign_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await service.hold_campaign(tx, campaign_id)


async def release(database: Database, workspace_id: UUID, campaign_id: UUID, limit: int = 100) -> int:
    async with database.transaction(workspace_id) as tx:
        return await service.release_campaign(tx, campaign_id, limit)


async def parked(database: Database) -> int:
    async with database.queue_loop() as tx:
        count: int = await tx.fetch_value("SELECT count(*) FROM app.outbox WHERE due_at = 'infinity'")
    return count


def mailing(contact_id: UUID, campaign_id: UUID, count: int) -> Sequence[Draft]:
    draft = letter(contact_id, purpose="transactional", campaign_id=campaign_id)
    return [replace(draft, subject=str(number)) for number in range(count)]


async def test_a_held_campaign_waits_and_nobody_else_does(database: Database, workspace_id: UUID, ann: UUID) -> None:
    held, other = new_id(), new_id()
    ids = await queue(database, workspace_id, *mailing(ann, held, 5))
    await queue(database, workspace_id, *mailing(ann, other, 2), letter(ann, "flow", purpose="transactional"))
    await hold(database, workspace_id, held)
    await hold(database, workspace_id, held)
    outbox = Outbox(database)
    await outbox.run()
    assert sorted(outbox.subjects) == ["0", "1", "flow"]
    assert await states(database, workspace_id, ids) == [("queued", None)] * 5
    assert await parked(database) == 5


async def test_released_in_slices_each_message_goes_once_and_costs_no_try(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    campaign = new_id()
    ids = await queue(database, workspace_id, *mailing(ann, campaign, 5))
    await hold(database, workspace_id, campaign)
    outbox = Outbox(database)
    await outbox.run()
    assert [await release(database, workspace_id, campaign, 2) for _ in range(4)] == [2, 2, 1, 0]
    await outbox.run()
    assert outbox.subjects == ["0", "1", "2", "3", "4"]
    assert await states(database, workspace_id, ids) == [("sent", None)] * 5
    async with database.transaction(workspace_id) as tx:
        assert [[one.token for one in await service.list_attempts(tx, message)] for message in ids] == [[1]] * 5


async def test_what_is_queued_while_a_campaign_is_held_waits_too(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    campaign = new_id()
    await hold(database, workspace_id, campaign)
    await queue(database, workspace_id, *mailing(ann, campaign, 3))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == []
    assert await release(database, workspace_id, campaign) == 3
    await queue(database, workspace_id, letter(ann, "later", purpose="transactional", campaign_id=campaign))
    await outbox.run()
    assert sorted(outbox.subjects) == ["0", "1", "2", "later"]


async def test_a_campaign_of_another_workspace_cannot_be_held_or_let_go(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID, ann: UUID
) -> None:
    campaign = new_id()
    await queue(database, workspace_id, *mailing(ann, campaign, 2))
    await hold(database, workspace_id, campaign)
    outbox = Outbox(database)
    await outbox.run()
    assert await release(database, strangers_workspace_id, campaign) == 0
    await outbox.run()
    assert (outbox.subjects, await parked(database)) == ([], 2)


async def test_what_is_parked_while_the_campaign_is_let_go_is_not_forgotten(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    campaign = new_id()
    await queue(database, workspace_id, *mailing(ann, campaign, 3))
    await hold(database, workspace_id, campaign)
    async with database.queue_loop() as claiming:
        taken, _ = await repository_outbox.claim(claiming, ["email"], slots=10, slots_for_flows=10)
        assert [row.is_held for row in taken] == [True] * 3
        releasing = asyncio.create_task(release(database, workspace_id, campaign))
        done, _ = await asyncio.wait([releasing], timeout=0.2)
        assert not done
    assert await releasing == 3
    assert await parked(database) == 0


async def test_what_was_taken_and_not_begun_is_given_back(database: Database, workspace_id: UUID, ann: UUID) -> None:
    campaign = new_id()
    ids = await queue(database, workspace_id, *mailing(ann, campaign, 10))
    channel = HoldingChannel()
    loop = OutboxLoop(database, {"email": channel}, LETTERHEAD, slots=10)
    await loop.tick()
    await hold(database, workspace_id, campaign)
    await loop.tick()
    channel.released.set()
    await loop.close()
    found = await states(database, workspace_id, ids)
    # Eight were with the provider: two slots are never given to campaigns.
    assert sorted(found) == [("queued", None)] * 2 + [("sent", None)] * 8
    assert len(channel.envelopes) == 8
    async with database.queue_loop() as tx:
        rows = await tx.fetch_tuples("SELECT attempts, token, lease_until FROM app.outbox")
    assert rows == [(0, 1, None)] * 2
    outbox = Outbox(database)
    await outbox.run()
    assert await release(database, workspace_id, campaign) == 2
    await outbox.run()
    assert await states(database, workspace_id, ids) == [("sent", None)] * 10


async def test_runs_that_are_stopped_take_their_parked_messages_along(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    campaign, run = new_id(), new_id()
    draft = letter(ann, purpose="transactional", campaign_id=campaign, run_id=run, run_revision=1)
    (message_id,) = await queue(database, workspace_id, draft)
    await hold(database, workspace_id, campaign)
    await Outbox(database).run()
    async with database.transaction(workspace_id) as tx:
        assert await service.drop_queued(tx, [run], "they answered") == [message_id]
    assert await parked(database) == 0
    assert await states(database, workspace_id, [message_id]) == [("dropped", "stopped")]
