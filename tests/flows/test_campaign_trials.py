"""Trying a campaign out: the dry run says what then happens, and a test goes to a colleague alone."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery import letter_templates
from switchboard.delivery.models import LetterDraft
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import Campaign
from switchboard.flows.campaign_trials import dry_run, send_test
from switchboard.flows.errors import CampaignNotFoundError
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import Actor
from switchboard.people import service as people
from tests.flows.campaign_world import add_campaign, add_people, outbox, run_campaign, send_all
from tests.flows.world import LETTERS

BODY = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name }}
<a href="{{ unsubscribe_url }}">no more</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


async def begin(tx: Tx, caller: Caller, people: int, **form: Any) -> tuple[Campaign, list[UUID]]:
    """A draft with a letter that speaks to each by name."""
    for name in LETTERS:
        draft = LetterDraft(name, name, "marketing", "News for {{ contact.first_name }}", BODY)
        await letter_templates.create_template(tx, caller, draft)
    ids = await add_people(tx, people)
    return await add_campaign(tx, caller, **form), ids


async def keep_no_quiet_hours(tx: Tx) -> None:
    await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")


async def test_the_dry_run_says_who_gets_what_and_when(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        await keep_no_quiet_hours(tx)
        campaign, ids = await begin(tx, owner, 5, throttle_per_minute=60)
        await people.opt_out(tx, ids[1], Actor("contact", ids[1]), "They said so")
        tried = await dry_run(tx, owner, campaign.id, limit=3)
        now = (await tx.now()).replace(microsecond=0)
        found = await people.load_contacts(tx, ids)
    assert (tried.totals, tried.is_whole) == ({"send": 4, "opted_out": 1}, True)
    assert [(row.contact_id, row.action, row.reason) for row in tried.rows] == [
        (ids[0], "send", "allowed"),
        (ids[1], "exclude", "opted_out"),
        (ids[2], "send", "allowed"),
    ]
    assert tried.rows[0].subject == f"News for {found[ids[0]].first_name}"
    assert tried.rows[0].address == found[ids[0]].email
    assert [row.due_at for row in tried.rows] == [now, None, now + timedelta(seconds=1)]
    assert tried.after == ids[2]


async def test_of_a_large_audience_the_first_part_is_counted(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign, _ = await begin(tx, owner, 5)
        tried = await dry_run(tx, owner, campaign.id, most_counted=3)
    assert (tried.totals, tried.is_whole) == ({"send": 3}, False)


async def test_the_next_page_goes_on_where_the_last_ended(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign, ids = await begin(tx, owner, 5)
        page = await dry_run(tx, owner, campaign.id, after=ids[2], limit=3)
    assert [row.contact_id for row in page.rows] == ids[3:]
    assert (page.totals, page.after) == ({}, None)


async def test_the_gate_has_its_say_in_the_dry_run(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        at_night = datetime(2027, 6, 1, 1, tzinfo=UTC)
        await tx.execute("UPDATE app.workspace SET quiet_start = '21:00', quiet_end = '08:00'")
        campaign, ids = await begin(tx, owner, 2, start_kind="at", start_at=at_night)
        await tx.execute(
            "INSERT INTO app.consent (id, workspace_id, contact_id, channel, purpose, is_granted, proof)"
            " VALUES (gen_random_uuid(), %s, %s, 'email', 'marketing', false, 'They said no')",
            (workspace_id, ids[1]),
        )
        tried = await dry_run(tx, owner, campaign.id)
    assert [(row.action, row.reason) for row in tried.rows] == [
        ("defer", "quiet_hours"),
        ("drop", "consent_refused"),
    ]
    assert tried.rows[0].due_at == datetime(2027, 6, 1, 6, tzinfo=UTC)


async def test_what_the_dry_run_says_is_what_then_happens(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await keep_no_quiet_hours(tx)
        campaign, ids = await begin(tx, owner, 6)
        await people.opt_out(tx, ids[0], Actor("contact", ids[0]), "They said so")
        await tx.execute("DELETE FROM app.identity WHERE contact_id = %s", (ids[1],))
        tried = await dry_run(tx, owner, campaign.id)
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.run") == 0
        await campaigns.start_campaign(tx, owner, campaign.id)
    await run_campaign(database)
    await send_all(outbox(database))
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT contact_id, subject FROM app.message WHERE state = 'sent'")
        lines = await campaigns.list_recipients(tx, owner, campaign.id)
    assert {row.contact_id: row.subject for row in tried.rows if row.action == "send"} == dict(rows)
    left_out = {row.contact_id: row.reason for row in tried.rows if row.action == "exclude"}
    assert left_out == {line.contact_id: line.reason for line in lines if line.state == "excluded"}


async def test_local_hours_stand_in_the_dry_run(database: Database, workspace_id: UUID, owner: Caller) -> None:
    async with database.transaction(workspace_id) as tx:
        day = datetime(2027, 6, 1, tzinfo=UTC).date()
        campaign, ids = await begin(tx, owner, 2, start_kind="local_hour", local_date=day, local_hour=time(9))
        await tx.execute("UPDATE app.contact SET time_zone = 'Asia/Tokyo' WHERE id = %s", (ids[0],))
        tried = await dry_run(tx, owner, campaign.id)
    assert [row.due_at for row in tried.rows] == [
        datetime(2027, 6, 1, 0, tzinfo=UTC),
        datetime(2027, 6, 1, 7, tzinfo=UTC),
    ]


async def test_a_test_goes_to_a_member_only_and_is_in_no_ledger(
    database: Database, workspace_id: UUID, owner: Caller, agent: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign, ids = await begin(tx, owner, 2)
        named = (await people.load_contacts(tx, ids))[ids[1]].first_name
        assert await send_test(tx, owner, campaign.id, contact_id=ids[1]) == "olga@acme.example"
        assert await send_test(tx, owner, campaign.id, user_id=agent.user_id) == "amir@acme.example"
        rows = await tx.fetch_tuples("SELECT subject, address, contact_id, campaign_id FROM app.message ORDER BY id")
        assert rows[0] == (f"Test: News for {named}", "olga@acme.example", None, None)
        assert rows[1][1] == "amir@acme.example"
        assert await campaigns.list_recipients(tx, owner, campaign.id) == []


async def test_a_stranger_is_sent_no_test(
    database: Database, workspace_id: UUID, owner: Caller, stranger: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign, _ = await begin(tx, owner, 1)
        with pytest.raises(InvalidError):
            await send_test(tx, owner, campaign.id, user_id=stranger.user_id)
    async with database.transaction(stranger.workspace_id) as tx:
        for act in (send_test, dry_run):
            with pytest.raises(CampaignNotFoundError):
                await act(tx, stranger, campaign.id)
