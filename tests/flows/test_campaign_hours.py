"""Campaigns by local hour: everybody by their own clock, on the days on which clocks change, too."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery.gate import GateFacts, choose_zone
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import Campaign, WhenPassed
from switchboard.flows.campaign_terms import local_instant, local_start
from switchboard.flows.campaign_work import CampaignWork
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.localtime import first_instant, guess_zone
from tests.conftest import Urls, move_clock
from tests.flows.campaign_world import add_campaign, add_people, advance, check_ledger, run_campaign

EAST, WEST, HOWE = "Pacific/Kiritimati", "Etc/GMT+12", "Australia/Lord_Howe"


async def place(tx: Tx, contact_id: UUID, zone: str | None) -> None:
    await tx.execute("UPDATE app.contact SET time_zone = %s WHERE id = %s", (zone, contact_id))


async def dues(tx: Tx, campaign: Campaign) -> dict[UUID, datetime]:
    rows = await tx.fetch_tuples(
        "SELECT l.contact_id, r.due_at FROM app.campaign_recipient l JOIN app.run r ON r.id = l.run_id"
        " WHERE l.campaign_id = %s AND l.due_at = r.due_at",
        (campaign.id,),
    )
    return {contact_id: due_at.astimezone(UTC) for contact_id, due_at in rows}


async def at_hour(
    database: Database, owner: Caller, day: date, zones: list[str | None], **form: Any
) -> tuple[Campaign, list[UUID]]:
    """A campaign at nine on that day, to one contact in each zone; everybody is taken in."""
    async with database.transaction(owner.workspace_id) as tx:
        ids = await add_people(tx, len(zones))
        for contact_id, zone in zip(ids, zones, strict=True):
            await place(tx, contact_id, zone)
        campaign = await add_campaign(tx, owner, start_kind="local_hour", local_date=day, local_hour=time(9), **form)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    return campaign, ids


async def test_everybody_gets_it_at_nine_by_their_own_clock(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    # The day on which Lord Howe puts its clocks forward by half an hour.
    day = date(2027, 10, 3)
    zones: list[str | None] = [EAST, WEST, HOWE, "America/New_York", None]
    campaign, ids = await at_hour(database, owner, day, zones)
    async with database.transaction(workspace_id) as tx:
        found = await dues(tx, campaign)
    assert [found[contact_id] for contact_id in ids] == [
        datetime(2027, 10, 2, 19, tzinfo=UTC),
        datetime(2027, 10, 3, 21, tzinfo=UTC),
        datetime(2027, 10, 2, 22, tzinfo=UTC),
        datetime(2027, 10, 3, 13, tzinfo=UTC),
        # Nothing is known of the last: the workspace is in Berlin.
        datetime(2027, 10, 3, 7, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    "moved",
    [
        (date(2027, 3, 28), "Europe/Berlin", datetime(2027, 3, 28, 7, tzinfo=UTC)),
        (date(2027, 3, 27), "Europe/Berlin", datetime(2027, 3, 27, 8, tzinfo=UTC)),
        (date(2027, 10, 31), "Europe/Berlin", datetime(2027, 10, 31, 8, tzinfo=UTC)),
        (date(2027, 4, 4), HOWE, datetime(2027, 4, 3, 22, 30, tzinfo=UTC)),
        (date(2027, 4, 3), HOWE, datetime(2027, 4, 2, 22, tzinfo=UTC)),
        (date(2028, 2, 29), EAST, datetime(2028, 2, 28, 19, tzinfo=UTC)),
        (date(2028, 2, 29), WEST, datetime(2028, 2, 29, 21, tzinfo=UTC)),
    ],
)
async def test_clock_changes_and_leap_days_move_the_moment(
    database: Database, workspace_id: UUID, owner: Caller, moved: tuple[date, str, datetime]
) -> None:
    day, zone, expected = moved
    campaign, (contact_id,) = await at_hour(database, owner, day, [zone])
    async with database.transaction(workspace_id) as tx:
        assert await dues(tx, campaign) == {contact_id: expected}


async def test_a_zone_is_guessed_as_the_gate_guesses_it(database: Database, workspace_id: UUID, owner: Caller) -> None:
    numbers = {"+12125550123": None, "+14155550123": None, "+4930123456": None, "": "JP", "+819012345678": "DE"}
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, len(numbers))
        for contact_id, (phone, country) in zip(ids, numbers.items(), strict=True):
            await tx.execute("UPDATE app.contact SET country = %s WHERE id = %s", (country, contact_id))
            if phone:
                await tx.execute(
                    "INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw)"
                    " VALUES (gen_random_uuid(), %s, %s, 'phone', %s, %s)",
                    (tx.workspace_id, contact_id, phone, phone),
                )
        day = date(2027, 6, 1)
        campaign = await add_campaign(tx, owner, start_kind="local_hour", local_date=day, local_hour=time(9))
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database, limit=2)
    async with database.transaction(workspace_id) as tx:
        found = await dues(tx, campaign)
        now = await tx.now()
    for contact_id, (phone, country) in zip(ids, numbers.items(), strict=True):
        blank = GateFacts(now, "marketing", "Europe/Berlin", phone_e164=phone, country=country)
        assert found[contact_id] == first_instant(day, time(9), choose_zone(blank).zone)
    assert guess_zone("+12125550123", None) != guess_zone("+14155550123", None)


@pytest.mark.parametrize("when_passed", ["now", "skip", "tomorrow"])
async def test_where_the_hour_has_passed_the_form_decides(
    database: Database, workspace_id: UUID, owner: Caller, when_passed: WhenPassed
) -> None:
    async with database.transaction(workspace_id) as tx:
        now = await tx.now()
    # It is over in the east and still to come in the west.
    day = (now + timedelta(hours=14)).date() - timedelta(days=1)
    campaign, ids = await at_hour(database, owner, day, [EAST, WEST], when_passed=when_passed)
    async with database.transaction(workspace_id) as tx:
        found = await dues(tx, campaign)
        await check_ledger(tx, campaign.id)
        line = await campaigns.find_recipient(tx, owner, campaign.id, ids[0])
    for contact_id, zone in zip(ids, (EAST, WEST), strict=True):
        expected = local_instant(campaign, zone, now)
        if expected is None:
            assert contact_id not in found
        elif expected > now:
            assert found[contact_id] == expected
        else:
            assert abs(found[contact_id] - now) < timedelta(seconds=10)
    assert line is not None
    if when_passed == "skip" and first_instant(day, time(9), EAST) < now:
        assert (line.state, line.reason) == ("excluded", "hour_passed")


async def test_a_scheduled_one_takes_its_audience_in_before_the_hour_comes_anywhere(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 3)
        day = (await tx.now()).date() + timedelta(days=3)
        campaign = await add_campaign(tx, owner, start_kind="local_hour", local_date=day, local_hour=time(9))
        await campaigns.schedule_campaign(tx, owner, campaign.id)
        starts_in = local_start(campaign) - await tx.now()
        assert first_instant(day, time(9), EAST) - local_start(campaign) == timedelta(minutes=15)
    await advance(database)
    await move_clock(urls, f"{int(starts_in.total_seconds()) - 60} seconds")
    assert await advance(database) == 0
    await move_clock(urls, f"{int(starts_in.total_seconds()) + 60} seconds")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 3}


async def test_a_throttle_counts_for_each_clock(database: Database, workspace_id: UUID, owner: Caller) -> None:
    zones: list[str | None] = [EAST, WEST] * 6
    campaign, _ = await at_hour(database, owner, date(2027, 10, 3), zones, throttle_per_minute=60)
    await run_campaign(database, limit=5)
    async with database.transaction(workspace_id) as tx:
        moments = sorted((await dues(tx, campaign)).values())
    assert moments[:6] == [datetime(2027, 10, 2, 19, 0, second, tzinfo=UTC) for second in range(6)]
    assert moments[6:] == [datetime(2027, 10, 3, 21, 0, second, tzinfo=UTC) for second in range(6)]


async def test_a_throttle_counts_over_all_whose_hour_has_passed(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 12)
        day = (await tx.now()).date() - timedelta(days=3)
        campaign = await add_campaign(
            tx, owner, start_kind="local_hour", local_date=day, local_hour=time(9), throttle_per_minute=1
        )
        await campaigns.start_campaign(tx, owner, campaign.id)
    loop = JobLoop(database, {campaigns.ADVANCE: CampaignWork(limit=4).advance})
    for slices in range(5):
        # Taking in a large audience takes a while.
        await move_clock(urls, f"{slices * 5} seconds")
        await loop.tick()
    async with database.transaction(workspace_id) as tx:
        moments = sorted((await dues(tx, campaign)).values())
    assert len(moments) == 12
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=1)}
