"""Campaigns from draft to end: taking in the audience, who is left out, and what becomes of each recipient."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.flows import campaigns, repository_campaigns
from switchboard.flows.campaign_models import CampaignForm
from switchboard.flows.campaign_work import CampaignWork
from switchboard.flows.errors import CampaignNameTakenError, CampaignNotFoundError, CampaignStateError
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import Actor
from switchboard.people import service as people
from tests.conftest import Urls, move_clock
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
from tests.flows.world import add_letters, save_active, settle, tell

STARTED_BY_HAND = LETTER.replace("subject: contact", "subject: contact\nstarts: [contact.created]")


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


async def test_a_slice_is_one_statement_whatever_its_size(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 60)
        campaign = await add_campaign(tx)
        await repository_campaigns.fix_versions(tx, campaign.id)
        await repository_campaigns.set_state(tx, campaign.id, "starting", was=["draft"])
    numbers = []
    for limit in (10, 10, 30):
        async with database.transaction(workspace_id) as tx:
            work = CampaignWork(limit=limit)
            # The versions of its flows are read once a process.
            campaign = (await repository_campaigns.find_campaign(tx, campaign.id)) or campaign
            await work._shelf.load(tx, [(campaign.flow_id, 1)])
            with recorded_queries() as statements:
                await work.advance(tx, {"campaign_id": campaign.id})
            numbers.append(len(statements))
            assert sum("INSERT INTO app.run " in statement for statement in statements) == 1
    assert numbers == [6, 5, 5]


async def test_a_slice_that_crashed_is_done_again_exactly(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 30)
        campaign = await add_campaign(tx)
        await repository_campaigns.fix_versions(tx, campaign.id)
        await repository_campaigns.set_state(tx, campaign.id, "starting", was=["draft"])
    work = CampaignWork(limit=10)
    for crashes in (True, False, True, True, False, False, False):
        try:
            async with database.transaction(workspace_id) as tx:
                await work.advance(tx, {"campaign_id": campaign.id})
                if crashes:
                    raise RuntimeError("the machine is gone")
        except RuntimeError:
            continue
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 30}
        assert await tx.fetch_value("SELECT sum(runs) FROM app.flow_tally WHERE outcome = 'started'") == 30


async def test_two_starters_at_once_begin_it_once(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 40)
        campaign = await add_campaign(tx, owner)

    async def start() -> str:
        async with database.transaction(workspace_id) as tx:
            return (await campaigns.start_campaign(tx, owner, campaign.id)).state

    answers = await asyncio.gather(start(), start(), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["CampaignStateError", "str"]
    await asyncio.gather(advance(database, limit=10), advance(database, limit=10))
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 40}


async def test_who_cannot_get_it_is_left_out_with_the_reason(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 6)
        await people.opt_out(tx, ids[0], Actor("contact", ids[0]), "They said so")
        await tx.execute("DELETE FROM app.identity WHERE contact_id = %s", (ids[1],))
        address = (await people.load_contacts(tx, [ids[2]]))[ids[2]].email
        await delivery.suppress(tx, "email", address, "manual", None)
        await add_letters(tx)
        await save_active(tx, STARTED_BY_HAND)
        await tell(tx, "contact.created", contact_id=ids[3])
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "contact.created", contact_id=ids[4])
        campaign = await add_campaign(tx, owner, [STARTED_BY_HAND])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [(line.state, line.reason) for line in lines] == [
            ("excluded", "opted_out"),
            ("excluded", "no_address"),
            ("excluded", "suppressed"),
            ("excluded", "was_in_flow"),
            ("excluded", "in_flow"),
            ("waiting", None),
        ]
        assert await check_ledger(tx, campaign.id) == {"excluded": 5, "waiting": 1}
        page = await campaigns.list_recipients(tx, owner, campaign.id, "excluded", after=ids[1], limit=2)
        assert [line.contact_id for line in page] == ids[2:4]


async def test_answers_bounces_and_opt_outs_come_after_what_was_sent(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 4)
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        await tell(tx, "message.replied", contact_id=ids[0])
        await people.opt_out(tx, ids[1], Actor("contact", ids[1]), "They said so")
        await tell(tx, "message.bounced", contact_id=ids[2], campaign_id=campaign.id)
        await tell(tx, "message.dropped", contact_id=ids[3], campaign_id=campaign.id)
    async with database.transaction(workspace_id) as tx:
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [line.state for line in lines] == ["answered", "opted_out", "bounced", "sent"]
        (counts,) = await campaigns.count_by_state(tx, owner, campaign.id)
        assert counts.states == {"answered": 1, "opted_out": 1, "bounced": 1, "sent": 1}


async def test_whoever_opts_out_before_it_goes_gets_nothing(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 3)
        campaign = await add_campaign(tx, owner, [LETTER.replace("  - send", "  - wait: 5m\n  - send")])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        await people.opt_out(tx, ids[0], Actor("contact", ids[0]), "They said so")
        assert await check_ledger(tx, campaign.id) == {"dropped": 1, "waiting": 2}
        line = await campaigns.find_recipient(tx, owner, campaign.id, ids[0])
        assert line is not None
        assert (line.state, line.reason) == ("dropped", "contact.opted_out")


async def test_a_run_that_sends_nothing_says_so(database: Database, workspace_id: UUID, owner: Caller) -> None:
    nothing = LETTER.replace("  - send: welcome", '  - if: contact.name == "nobody"\n    then: [send: welcome]')
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 2)
        campaign = await add_campaign(tx, owner, [nothing])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"dropped": 2}
        assert {line.reason for line in await campaigns.list_recipients(tx, owner, campaign.id)} == {"nothing_sent"}


@pytest.mark.parametrize(("priority", "lane"), [("high", 7), ("normal", 8), ("low", 9)])
async def test_its_messages_queue_by_its_priority(
    database: Database, workspace_id: UUID, owner: Caller, priority: str, lane: int
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 2)
        campaign = await add_campaign(tx, owner, priority=priority)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT lane FROM app.outbox") == [(lane,), (lane,)]


async def test_a_scheduled_campaign_starts_at_its_moment(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 3)
        start_at = await tx.now() + timedelta(hours=2)
        campaign = await add_campaign(tx, owner, start_kind="at", start_at=start_at)
        assert (await campaigns.schedule_campaign(tx, owner, campaign.id)).state == "scheduled"
    await advance(database)
    await move_clock(urls, "119 minutes")
    assert await advance(database) == 0
    await move_clock(urls, "121 minutes")
    assert await advance(database) == 3
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 3}


async def test_an_earlier_moment_counts_at_once(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 3)
        start_at = await tx.now() + timedelta(days=2)
        campaign = await add_campaign(tx, owner, start_kind="at", start_at=start_at)
        await campaigns.schedule_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        form = CampaignForm(
            name="spring",
            variants=[(campaign.flow_id, 100)],
            audience_kind="everybody",
            start_kind="at",
            start_at=await tx.now() + timedelta(hours=1),
        )
        await campaigns.update_campaign(tx, owner, campaign.id, form)
    await advance(database)
    await move_clock(urls, "61 minutes")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 3}


async def test_a_scheduled_campaign_may_be_sent_at_once_after_all(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 3)
        start_at = await tx.now() + timedelta(days=2)
        campaign = await add_campaign(tx, owner, start_kind="at", start_at=start_at)
        await campaigns.schedule_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        form = CampaignForm(name="spring", variants=[(campaign.flow_id, 100)], audience_kind="everybody")
        await campaigns.update_campaign(tx, owner, campaign.id, form)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 3}


async def test_what_stands_against_a_scheduled_start_makes_a_draft_of_it_and_is_told(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        start_at = await tx.now() + timedelta(hours=2)
        campaign = await add_campaign(tx, owner, start_kind="at", start_at=start_at)
        await campaigns.schedule_campaign(tx, owner, campaign.id)
        await tx.execute("UPDATE app.flow SET is_active = false")
    await move_clock(urls, "3 hours")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "draft"
        (mail,) = await tx.fetch_tuples("SELECT subject, body_text, user_id FROM app.message")
    assert mail[0] == "Spring could not start"
    assert "The flow news is paused. Activate it, then start again." in mail[1]
    assert mail[2] == owner.user_id


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "Spring sale"}, "name"),
        ({"audience_kind": "segment"}, "audience_id"),
        ({"audience_kind": "planet"}, "audience_kind"),
        ({"start_kind": "at"}, "start_at"),
        ({"start_kind": "local_hour"}, "local_hour"),
        ({"throttle_per_minute": 0}, "throttle_per_minute"),
        ({"shares": [50]}, "winner_rule"),
        ({"winner_rule": "manual"}, "winner_rule"),
        ({"shares": [20], "winner_rule": "answered"}, "winner_after"),
        ({"shares": [120]}, "variants"),
        ({"pause_at_percent": 0}, "pause_at_percent"),
        ({"title": "Spring\0"}, "title"),
        ({"throttle_per_minute": -1}, "throttle_per_minute"),
        ({"throttle_per_minute": 10**9}, "throttle_per_minute"),
        ({"shares": [20], "winner_rule": "answered", "winner_after": timedelta.max}, "winner_after"),
        ({"shares": [20], "winner_rule": "answered", "winner_after": timedelta(hours=-1)}, "winner_after"),
        ({"start_kind": "local_hour", "local_date": date.max, "local_hour": time(9)}, "local_date"),
        ({"start_kind": "local_hour", "local_date": date.min, "local_hour": time(9)}, "local_date"),
        ({"start_kind": "at", "start_at": datetime.max.replace(tzinfo=UTC)}, "start_at"),
    ],
)
async def test_a_form_says_what_is_wrong_and_nothing_is_kept(
    database: Database, workspace_id: UUID, owner: Caller, form: dict[str, Any], field: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(InvalidError) as refused:
            await add_campaign(tx, owner, **form)
        assert field in [problem.field for problem in refused.value.problems]
        assert await tx.fetch_value("SELECT count(*) FROM app.campaign") == 0


async def test_a_flow_about_leads_is_no_campaign(database: Database, workspace_id: UUID, owner: Caller) -> None:
    about_leads = LETTER.replace("subject: contact", "subject: lead\nstarts: [lead.created]")
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(InvalidError) as refused:
            await add_campaign(tx, owner, [about_leads])
    assert "subject: contact" in refused.value.problems[0].message


async def test_a_name_is_taken_once(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await add_campaign(tx, owner)
        form = CampaignForm(name="spring", variants=[(campaign.flow_id, 100)], audience_kind="everybody")
        with pytest.raises(CampaignNameTakenError):
            await campaigns.create_campaign(tx, owner, form)


async def test_a_stranger_sees_and_changes_nothing(
    database: Database, workspace_id: UUID, owner: Caller, stranger: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 2)
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(stranger.workspace_id) as tx:
        assert await campaigns.list_campaigns(tx, stranger) == []
        assert await campaigns.list_recipients(tx, stranger, campaign.id) == []
        assert await campaigns.count_by_state(tx, stranger, campaign.id) == []
        for act in (campaigns.pause_campaign, campaigns.cancel_campaign, campaigns.start_campaign):
            with pytest.raises(CampaignNotFoundError):
                await act(tx, stranger, campaign.id)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "running"


async def test_an_ended_campaign_can_be_archived_and_nothing_else(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
        with pytest.raises(CampaignStateError):
            await campaigns.archive_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "finished"
        for act in (campaigns.pause_campaign, campaigns.resume_campaign, campaigns.cancel_campaign):
            with pytest.raises(CampaignStateError):
                await act(tx, owner, campaign.id)
        assert [one.campaign.id for one in await campaigns.list_campaigns(tx, owner)] == [campaign.id]
        await campaigns.archive_campaign(tx, owner, campaign.id)
        assert await campaigns.list_campaigns(tx, owner) == []


async def test_two_flows_share_the_audience(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 200)
        campaign = await add_campaign(tx, owner, [LETTER, OTHER_LETTER])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database, limit=50)
    async with database.transaction(workspace_id) as tx:
        first, second = await campaigns.count_by_state(tx, owner, campaign.id)
        assert first.states["queued"] + second.states["queued"] == 200
        assert 60 < first.states["queued"] < 140
        await check_ledger(tx, campaign.id)


async def test_over_the_cap_the_campaign_of_higher_priority_goes(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET cap_messages = 1, cap_days = 1, quiet_start = quiet_end")
        await add_people(tx, 10)
        low = await add_campaign(tx, owner, priority="low")
        high = await add_campaign(tx, owner, [OTHER_LETTER], name="summer", priority="high")
        await campaigns.start_campaign(tx, owner, low.id)
    # The one of lower priority is written first.
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        await campaigns.start_campaign(tx, owner, high.id)
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, high.id) == {"sent": 10}
        assert await check_ledger(tx, low.id) == {"queued": 10}
        assert await tx.fetch_tuples("SELECT DISTINCT reason FROM app.message WHERE campaign_id = %s", (low.id,)) == [
            ("frequency_cap",)
        ]
