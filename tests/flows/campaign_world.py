"""A campaign and its people for tests: an audience, a flow of one letter, and the loops to call by hand."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery import wiring as delivery_wiring
from switchboard.delivery.outbox import OutboxLoop
from switchboard.entrypoints.assembly import load_letter_facts
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import Campaign, CampaignForm
from switchboard.flows.campaign_work import CampaignWork
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.settings import load_settings
from tests.flows.world import add_letters, save_active, settle

LETTER = """
flow: news
title: News
subject: contact
stops: [contact.opted_out]
reentry: {after: 1h}
steps:
  - send: welcome
"""
OTHER_LETTER = LETTER.replace("news", "other").replace("News", "Other").replace("welcome", "second")


async def add_people(tx: Tx, number: int, *, first: int = 1, domain: str = "x.example") -> list[UUID]:
    """So many contacts with an address each, in the order of their ids."""
    rows = await tx.fetch_tuples(
        """
        WITH new AS (
            INSERT INTO app.contact (id, workspace_id, name, first_name)
            SELECT app.uuid7(), %(workspace)s, 'Person ' || n, 'P' || n
            FROM generate_series(%(first)s, %(first)s + %(number)s - 1) AS n RETURNING id, name
        )
        INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw)
        SELECT app.uuid7(), %(workspace)s, id, 'email', address, address
        FROM new, LATERAL (SELECT lower(replace(name, ' ', '')) || '@' || %(domain)s AS address) AS made
        RETURNING contact_id
        """,
        {"workspace": tx.workspace_id, "number": number, "first": first, "domain": domain},
    )
    return sorted(row[0] for row in rows)


async def add_campaign(
    tx: Tx, caller: Caller | None = None, sources: Sequence[str] = (LETTER,), **form: Any
) -> Campaign:
    """A draft to everybody that sends these flows, with equal shares where the form names none."""
    caller = caller or system_caller(tx.workspace_id)
    if not await tx.fetch_value("SELECT EXISTS (SELECT FROM app.template)"):
        await add_letters(tx)
        # At whatever hour the test runs, nothing waits for the morning.
        await tx.execute("UPDATE app.workspace SET quiet_start = quiet_end")
    flows = [await save_active(tx, source) for source in sources]
    shares: list[int] = form.pop("shares", [100 // len(flows)] * len(flows))
    variants = [(flow.id, share) for flow, share in zip(flows, shares, strict=True)]
    named = {"name": "spring", "title": "Spring", "audience_kind": "everybody"} | form
    return await campaigns.create_campaign(tx, caller, CampaignForm(variants=variants, **named))


async def advance(database: Database, *, limit: int = 100, most: int = 100) -> int:
    """Run the campaigns' jobs that are due; returns how many slices were done."""
    loop = JobLoop(database, {campaigns.ADVANCE: CampaignWork(limit=limit).advance})
    for slices in range(most):
        if not (await loop.tick()).handled:
            return slices
    raise AssertionError("the campaign never comes to rest")


def outbox(database: Database) -> OutboxLoop:
    """The loop that sends, into the local mailbox."""
    settings = load_settings({"SWITCHBOARD_HOME": "/nonexistent", "APP_SECRET": "kept for tests only, 32 letters long"})
    (_urgent, loop, _reaper) = delivery_wiring.build_loops(settings, database, load_letter_facts)
    assert isinstance(loop, OutboxLoop)
    return loop


async def run_campaign(database: Database, *, limit: int = 100) -> None:
    """Take everybody in and move their runs, so that all letters that are due wait in the outbox."""
    await advance(database, limit=limit)
    await settle(database)


async def send_all(loop: OutboxLoop, *, most: int = 1_000) -> None:
    """Send until nothing more is due."""
    for _ in range(most):
        if not (await loop.tick()).has_more:
            return
    raise AssertionError("the outbox never comes to rest")


async def states(tx: Tx, campaign_id: UUID) -> dict[str, int]:
    """How many lines of the ledger stand in each state, counted."""
    return {
        row[0]: row[1]
        for row in await tx.fetch_tuples(
            "SELECT state, count(*) FROM app.campaign_recipient WHERE campaign_id = %s GROUP BY state ORDER BY state",
            (campaign_id,),
        )
    }


async def check_ledger(tx: Tx, campaign_id: UUID, *, only: Collection[str] = ()) -> dict[str, int]:
    """The states of the ledger, after seeing that counts, messages and runs say the same."""
    counted = await states(tx, campaign_id)
    caller = system_caller(tx.workspace_id)
    kept: dict[str, int] = {}
    under_way = 0
    for counts in await campaigns.count_by_state(tx, caller, campaign_id):
        under_way += counts.under_way
        for state, recipients in counts.states.items():
            kept[state] = kept.get(state, 0) + recipients
    runs = await tx.fetch_value("SELECT count(*) FROM app.run WHERE campaign_id = %s", (campaign_id,))
    differing = await tx.fetch_tuples(
        """
        SELECT l.contact_id, l.state, l.reason, m.state, m.reason, m.contact_id, l.run_id, m.run_id
        FROM app.campaign_recipient l JOIN app.message m ON m.id = l.message_id
        WHERE l.campaign_id = %s AND l.state <> CASE m.state WHEN 'sending' THEN 'queued' ELSE m.state END
          AND l.state NOT IN ('answered', 'opted_out', 'cancelled')
        """,
        (campaign_id,),
    )
    assert kept == counted
    assert under_way == runs
    assert differing == []
    assert not only or set(counted) == set(only)
    return counted
