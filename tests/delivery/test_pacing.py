"""A provider's rate: kept by all processes together, never at the cost of a page."""

import asyncio
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.models import Draft, no_lead_facts
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.pacing import Pace, Room
from switchboard.delivery.wiring import build_loops
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import load_settings
from tests.conftest import Urls, move_clock
from tests.delivery.letters import letter
from tests.delivery.sending import LETTERHEAD, queue


class Paced:
    """One process's loop at a pace."""

    def __init__(self, database: Database, per_minute: int) -> None:
        self.channel = RecordingChannel()
        self.loop = OutboxLoop(database, {"email": self.channel}, LETTERHEAD, paces={"email": Pace(per_minute)})

    async def run(self) -> int:
        """Send what may go now; how many that were."""
        before = len(self.channel.envelopes)
        async with asyncio.timeout(20):
            while (await self.loop.tick()).has_more:
                continue
        return len(self.channel.envelopes) - before


async def queue_campaign(database: Database, workspace_id: UUID, contact_id: UUID, count: int) -> None:
    draft = letter(contact_id, purpose="transactional", campaign_id=new_id())
    await queue(database, workspace_id, *[draft] * count)


@pytest.mark.parametrize(
    ("per_minute", "capacity", "kept"), [(6, 2.0, 1.0), (60, 2.0, 1.0), (600, 20.0, 2.0), (60_000, 2_000.0, 200.0)]
)
def test_a_bucket_holds_two_seconds_and_keeps_a_tenth(per_minute: int, capacity: float, kept: float) -> None:
    pace = Pace(per_minute)
    assert (pace.capacity, pace.kept) == (capacity, kept)


def test_room_is_what_the_tokens_allow() -> None:
    pace = Pace(600)
    assert pace.narrow(Room(500, 100), 20.0) == Room(20, 18)
    assert pace.narrow(Room(500, 10), 20.0) == Room(20, 10)
    assert pace.narrow(Room(500, 100), 2.9) == Room(2, 0)
    assert pace.narrow(Room(500, 100), 0.5) == Room(0, 0)
    assert pace.narrow(Room(500, 100), -3.0).slots <= 0


async def test_a_campaign_goes_at_the_providers_pace(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await queue_campaign(database, workspace_id, ann, 60)
    # Slow beside the real time that a test takes: ten seconds are worth ten.
    paced = Paced(database, 60)
    assert await paced.run() <= 2
    before = len(paced.channel.envelopes)
    for seconds in (100, 200, 300):
        await move_clock(urls, f"{seconds} seconds")
        assert 1 <= await paced.run() <= 2
    assert len(paced.channel.envelopes) - before <= 6


async def test_a_clock_that_is_set_back_stops_no_campaign(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await move_clock(urls, "2 hours")
    paced = Paced(database, 60)
    await queue_campaign(database, workspace_id, ann, 1)
    assert await paced.run() == 1
    await move_clock(urls, "0")
    await queue_campaign(database, workspace_id, ann, 10)
    await paced.run()
    before = len(paced.channel.envelopes)
    await move_clock(urls, "100 seconds")
    # It looks at what is due earlier than its mark once that is cheap again, within a second.
    async with asyncio.timeout(20):
        while len(paced.channel.envelopes) == before:
            await paced.run()


async def test_two_processes_keep_one_pace(database: Database, workspace_id: UUID, ann: UUID) -> None:
    await queue_campaign(database, workspace_id, ann, 100)
    first, second = Paced(database, 600), Paced(database, 600)
    sent = await asyncio.gather(first.run(), second.run())
    # Twenty are in the bucket and two of them kept; what comes in meanwhile is the time that this takes.
    assert 18 <= sum(sent) < 60


async def test_a_page_goes_although_a_campaign_has_used_up_its_share(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller
) -> None:
    await queue_campaign(database, workspace_id, ann, 30)
    paced = Paced(database, 6)
    await paced.run()
    went = len(paced.channel.envelopes)
    assert went <= 2
    page = Draft(purpose="page", user_id=agent.user_id, subject="Wake up", text="Now")
    await queue(database, workspace_id, page)
    assert await paced.run() == 1
    assert paced.channel.envelopes[-1].recipient == "amir@acme.example"


async def test_without_a_rate_nothing_is_counted(database: Database, workspace_id: UUID, ann: UUID) -> None:
    await queue_campaign(database, workspace_id, ann, 30)
    channel = RecordingChannel()
    loop = OutboxLoop(database, {"email": channel}, LETTERHEAD)
    while (await loop.tick()).has_more:
        continue
    assert len(channel.envelopes) == 30
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.channel_pace") == 0


async def test_the_setting_paces_the_outbox(database: Database, workspace_id: UUID, ann: UUID) -> None:
    await queue_campaign(database, workspace_id, ann, 5)
    settings = load_settings({"EMAIL_RATE_PER_MINUTE": "6", "APP_SECRET": "s" * 32})
    outbox = next(loop for loop in build_loops(settings, database, no_lead_facts) if loop.name == "outbox")
    while (await outbox.tick()).has_more:
        continue
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT tokens < 2 FROM app.channel_pace WHERE channel = 'email'")
