"""Who a campaign goes to: segments, imports, winners of a test, those it missed, and people who are merged."""

from datetime import timedelta
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders
from switchboard.flows import campaigns
from switchboard.flows.campaign_audiences import list_audiences
from switchboard.flows.campaign_models import Campaign
from switchboard.flows.errors import CampaignStateError
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.kernel.partitions import note_kept_since
from switchboard.people import merging
from switchboard.people.crowds import tag_crowd
from switchboard.people.segment_models import Crowd
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
from tests.flows.world import settle, tell


async def add_segment(tx: Tx, contact_ids: list[UUID]) -> UUID:
    """A list of these contacts."""
    segment_id = new_id()
    await tx.execute(
        "INSERT INTO app.segment (id, workspace_id, name, title, state) VALUES (%s, %s, 'some', 'Some', 'live')",
        (segment_id, tx.workspace_id),
    )
    await tx.execute(
        "INSERT INTO app.segment_member (segment_id, contact_id, workspace_id)"
        " SELECT %s, id, %s FROM unnest(%s::uuid[]) AS id",
        (segment_id, tx.workspace_id, contact_ids),
    )
    return segment_id


async def add_import(tx: Tx, contact_ids: list[UUID | None]) -> UUID:
    """A file whose rows are these contacts, None for one that could not be recognised."""
    source_id, import_id = new_id(), new_id()
    await tx.execute(
        "INSERT INTO app.source (id, workspace_id, name, format, token) VALUES (%s, %s, 'File', 'lead', %s)",
        (source_id, tx.workspace_id, f"token-{source_id}"),
    )
    await tx.execute(
        "INSERT INTO app.import (id, workspace_id, source_id, file_name, size_bytes, state)"
        " VALUES (%s, %s, %s, 'people.csv', 1, 'done')",
        (import_id, tx.workspace_id, source_id),
    )
    for row, contact_id in enumerate(contact_ids):
        signal_id = new_id()
        await tx.execute(
            "INSERT INTO app.signal (id, workspace_id, source_id, payload, import_id, import_row)"
            " VALUES (%s, %s, %s, '{}', %s, %s)",
            (signal_id, tx.workspace_id, source_id, import_id, row),
        )
        await tx.execute(
            "INSERT INTO app.signal_outcome (signal_id, received_at, workspace_id, source_id, outcome, contact_id)"
            " SELECT id, received_at, workspace_id, source_id, 'opened', %s FROM app.signal WHERE id = %s",
            (contact_id, signal_id),
        )
    return import_id


async def test_a_segment_is_taken_in_page_by_page(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 30)
        segment_id = await add_segment(tx, ids[::2])
        campaign = await add_campaign(tx, owner, audience_kind="segment", audience_id=segment_id)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database, limit=4)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 15}
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [line.contact_id for line in lines] == ids[::2]


async def test_the_people_of_an_import_each_get_it_once(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 12)
        import_id = await add_import(tx, [*ids[:6], None, *ids[3:9], *ids[:2]])
        campaign = await add_campaign(tx, owner, audience_kind="import", audience_id=import_id)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database, limit=4)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"waiting": 9}


@pytest.mark.parametrize("kind", ["segment", "import"])
async def test_an_audience_that_is_not_there_keeps_it_from_starting(
    database: Database, workspace_id: UUID, owner: Caller, kind: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await add_campaign(tx, owner, audience_kind=kind, audience_id=new_id())
        with pytest.raises(InvalidError) as refused:
            await campaigns.start_campaign(tx, owner, campaign.id)
    assert refused.value.problems[0].message == f"There is no such {kind}. Choose another."


async def test_an_import_whose_rows_are_past_their_time_is_no_audience(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        import_id = await add_import(tx, [*await add_people(tx, 3)])
        campaign = await add_campaign(tx, owner, audience_kind="import", audience_id=import_id)
        assert "import" in {one.kind for one in await list_audiences(tx, owner)}
        await note_kept_since(tx, "signal", await tx.now() + timedelta(seconds=1))
        assert "import" not in {one.kind for one in await list_audiences(tx, owner)}
        with pytest.raises(InvalidError) as refused:
            await campaigns.start_campaign(tx, owner, campaign.id)
        with pytest.raises(InvalidError) as not_filled:
            await tag_crowd(tx, owner, Crowd("import", str(import_id)), ["old"])
        await tx.execute("UPDATE app.campaign SET state = 'paused' WHERE id = %s", (campaign.id,))
        with pytest.raises(InvalidError) as not_resumed:
            await campaigns.resume_campaign(tx, owner, campaign.id)
    expected = "The rows of this import are past KEEP_SIGNALS_MONTHS. Choose a segment of its people."
    assert [one.value.problems[0].message for one in (refused, not_resumed)] == [expected] * 2
    assert "past KEEP_SIGNALS_MONTHS" in not_filled.value.problems[0].message


async def test_a_segment_that_is_being_built_keeps_it_from_starting(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        segment_id = await add_segment(tx, [])
        await tx.execute("UPDATE app.segment SET state = 'building'")
        campaign = await add_campaign(tx, owner, audience_kind="segment", audience_id=segment_id)
        with pytest.raises(InvalidError) as refused:
            await campaigns.start_campaign(tx, owner, campaign.id)
    assert refused.value.problems[0].message == "The segment is not complete yet. Start when it is."


async def begin_test(database: Database, owner: Caller, rule: str) -> Campaign:
    """A test of two letters on a fifth each, sent out; the rest of 100 waits."""
    async with database.transaction(owner.workspace_id) as tx:
        await add_people(tx, 100)
        campaign = await add_campaign(
            tx,
            owner,
            [LETTER, OTHER_LETTER],
            shares=[20, 20],
            winner_rule=rule,
            winner_after=None if rule == "manual" else timedelta(hours=4),
        )
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database, limit=30)
    await send_all(outbox(database))
    return campaign


async def of_variant(tx: Tx, campaign: Campaign, variant: int) -> list[UUID]:
    rows = await tx.fetch_tuples(
        "SELECT contact_id FROM app.campaign_recipient WHERE campaign_id = %s AND variant = %s ORDER BY contact_id",
        (campaign.id, variant),
    )
    return [row[0] for row in rows]


# Answers speak for the second letter, opt-outs against the first.
@pytest.mark.parametrize("rule", ["answered", "opt_outs"])
async def test_the_rest_gets_the_winner_when_its_time_has_come(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls, rule: str
) -> None:
    campaign = await begin_test(database, owner, rule)
    async with database.transaction(workspace_id) as tx:
        tested = (await check_ledger(tx, campaign.id))["sent"]
        assert 20 < tested < 60
        event, speaking = ("message.replied", 2) if rule == "answered" else ("contact.opted_out", 1)
        for contact_id in (await of_variant(tx, campaign, speaking))[:3]:
            await tell(tx, event, contact_id=contact_id)
    await move_clock(urls, "239 minutes")
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        assert sum((await check_ledger(tx, campaign.id)).values()) == tested
    await move_clock(urls, "242 minutes")
    await run_campaign(database, limit=30)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).winner == 2
        first, second = await campaigns.count_by_state(tx, owner, campaign.id)
        assert sum(first.states.values()) + sum(second.states.values()) == 100
        assert sum(first.states.values()) < 40
        await check_ledger(tx, campaign.id)
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 100
    await move_clock(urls, "5 hours")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "finished"


async def test_a_test_that_nobody_is_in_keeps_the_rest_from_nothing(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        (ada,) = await add_people(tx, 1)
        campaign = await add_campaign(
            tx,
            owner,
            [LETTER, OTHER_LETTER],
            shares=[1, 1],
            winner_rule="answered",
            winner_after=timedelta(hours=4),
        )
        # Whether or not their hundredth is tested, they may not be written to.
        await tx.execute("UPDATE app.contact SET opted_out_at = app.now() WHERE id = %s", (ada,))
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        newcomers = await add_people(tx, 20, first=2)
    await move_clock(urls, "5 hours")
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).winner == 1
        assert set(newcomers) <= set(await of_variant(tx, campaign, 1))
        assert await check_ledger(tx, campaign.id) == {"excluded": 1, "sent": 20}


async def test_a_winner_by_hand_is_chosen_once(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    campaign = await begin_test(database, owner, "manual")
    await move_clock(urls, "2 days")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "running"
        with pytest.raises(InvalidError):
            await campaigns.choose_winner(tx, owner, campaign.id, 3)
        assert (await campaigns.choose_winner(tx, owner, campaign.id, 1)).winner == 1
        with pytest.raises(CampaignStateError):
            await campaigns.choose_winner(tx, owner, campaign.id, 2)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        assert sum((await check_ledger(tx, campaign.id)).values()) == 100


async def test_those_it_missed_get_it_and_nobody_gets_it_twice(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 10)
        campaign = await add_campaign(tx, owner, [LETTER.replace("{after: 1h}", "never")])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        # Two fail, one has no address at first; the others get it.
        await tx.execute("UPDATE app.message SET state = 'failed' WHERE contact_id = ANY(%s)", (ids[:2],))
        await tx.execute(
            "DELETE FROM app.outbox o USING app.message m WHERE m.id = o.message_id AND m.state = 'failed'"
        )
        for contact_id in ids[:2]:
            await tell(tx, "message.failed", contact_id=contact_id, campaign_id=campaign.id)
    await send_all(outbox(database))
    for _ in range(2):
        # A second one of this kind finds nobody left.
        async with database.transaction(workspace_id) as tx:
            again = await campaigns.send_to_missed(tx, owner, campaign.id, states=["failed"])
            assert (again.state, again.audience_kind) == ("draft", "missed")
            await campaigns.start_campaign(tx, owner, again.id)
        await run_campaign(database)
        await send_all(outbox(database))
        await move_clock(urls, "1 hour")
    async with database.transaction(workspace_id) as tx:
        assert again.name == "spring-3"
        assert await check_ledger(tx, again.id) == {"excluded": 2}
        sent = await tx.fetch_tuples("SELECT contact_id FROM app.message WHERE state = 'sent' ORDER BY contact_id")
        assert [row[0] for row in sent] == ids


async def test_states_that_got_it_are_no_audience(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(InvalidError):
            await campaigns.send_to_missed(tx, owner, campaign.id, states=["sent"])


async def test_people_who_become_one_get_it_once_and_an_undo_gives_each_their_line(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 3)
        campaign = await add_campaign(tx, owner, [LETTER.replace("  - send", "  - wait: 5m\n  - send")])
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    async with database.transaction(workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, ids[0], ids[1], contact_holders())
        line = await campaigns.find_recipient(tx, owner, campaign.id, ids[1])
        assert line is not None
        assert (line.state, line.reason) == ("waiting", "merged")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        await merging.undo(tx, owner, merge_id, contact_holders())
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [(line.state, line.reason) for line in lines] == [("waiting", None)] * 3
        await check_ledger(tx, campaign.id)


async def test_a_campaign_ends_although_a_merged_contact_waits_for_good(
    database: Database, workspace_id: UUID, owner: Caller, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 3)
        campaign = await add_campaign(tx, owner)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        await merging.merge(tx, owner, ids[0], ids[1], contact_holders())
    await settle(database)
    await send_all(outbox(database))
    await move_clock(urls, "2 minutes")
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"sent": 2, "waiting": 1}
        assert (await campaigns.get_campaign(tx, owner, campaign.id)).state == "finished"
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 2


async def test_who_is_merged_into_somebody_not_taken_in_yet_brings_their_line(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        ids = await add_people(tx, 4)
        segment_id = await add_segment(tx, ids[:3])
        campaign = await add_campaign(tx, owner, audience_kind="segment", audience_id=segment_id)
        await campaigns.start_campaign(tx, owner, campaign.id)
    await advance(database)
    async with database.transaction(workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, ids[3], ids[0], contact_holders())
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [line.contact_id for line in lines] == ids[1:]
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await check_ledger(tx, campaign.id) == {"queued": 3}
        await merging.undo(tx, owner, merge_id, contact_holders())
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
        assert [line.contact_id for line in lines] == ids[:3]
