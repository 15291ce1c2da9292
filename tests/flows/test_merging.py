"""Runs of two contacts who turn out to be one person, and who turn out not to be."""

import asyncio
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import contact_holders
from switchboard.kernel.db import Database, Tx
from switchboard.people import merging
from tests.conftest import Urls, move_clock
from tests.flows.world import add_contact, add_letters, save_active, sent_letters, settle, tell
from tests.locks import wait_until_somebody_waits

FLOW = """
flow: {name}
title: {name}
subject: contact
starts: [lead.stage_changed]
stops: [message.replied]
steps:
  - wait: 1d
  - send: welcome
"""
SHARED, OWN = FLOW.format(name="shared"), FLOW.format(name="own").replace("lead.stage_changed", "lead.closed")


async def enter_both(tx: Tx) -> tuple[UUID, UUID]:
    """Ann and her double go through one flow; the double goes through another one as well."""
    await add_letters(tx)
    await save_active(tx, SHARED)
    await save_active(tx, OWN)
    kept, lost = await add_contact(tx, "ann@x.example"), await add_contact(tx, "ann@home.example")
    await tell(tx, "lead.stage_changed", contact_id=kept)
    await tell(tx, "lead.stage_changed", contact_id=lost)
    await tell(tx, "lead.closed", contact_id=lost)
    return kept, lost


async def rows(tx: Tx) -> list[tuple[object, ...]]:
    return await tx.fetch_tuples(
        "SELECT id, subject_id, contact_id, step, phase, due_at, parked FROM app.run ORDER BY id"
    )


async def test_one_person_gets_each_letter_once(
    database: Database, workspace_id: UUID, urls: Urls, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        kept, lost = await enter_both(tx)
        await merging.merge(tx, owner, kept, lost, contact_holders())
        assert await tx.fetch_tuples("SELECT parked, count(*) FROM app.run GROUP BY parked ORDER BY parked") == [
            ("merged", 1), (None, 2),
        ]  # fmt: skip
    await settle(database)
    await move_clock(urls, "2 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")] * 2
        assert await tx.fetch_tuples("SELECT DISTINCT contact_id FROM app.message") == [(kept,)]


async def test_an_answer_of_the_one_stops_the_runs_of_both(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        kept, lost = await enter_both(tx)
        await merging.merge(tx, owner, kept, lost, contact_holders())
        await tell(tx, "message.replied", contact_id=kept)
        assert await rows(tx) == []


async def test_an_undone_merge_leaves_every_run_as_it_was(
    database: Database, workspace_id: UUID, urls: Urls, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        kept, lost = await enter_both(tx)
        before = await rows(tx)
        merge_id = await merging.merge(tx, owner, kept, lost, contact_holders())
        assert await rows(tx) != before
        await merging.undo(tx, owner, merge_id, contact_holders())
        assert await rows(tx) == before
    await settle(database)
    await move_clock(urls, "2 days")
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        assert len(await sent_letters(tx)) == 3


async def test_a_run_that_begins_during_the_merge_is_the_one_that_goes_on(
    database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, SHARED)
        kept, lost = await add_contact(tx, "ann@x.example"), await add_contact(tx, "ann@home.example")
        await tell(tx, "lead.stage_changed", contact_id=lost)

    async def merge() -> None:
        async with database.transaction(workspace_id) as tx:
            await merging.merge(tx, owner, kept, lost, contact_holders())

    async with database.transaction(workspace_id) as tx:
        await tell(tx, "lead.stage_changed", contact_id=kept)
        merging_now = asyncio.create_task(merge())
        await wait_until_somebody_waits(database)
    await merging_now
    async with database.transaction(workspace_id) as tx:
        assert sorted((row[1], row[2], row[6]) for row in await rows(tx)) == sorted(
            [(kept, kept, None), (lost, kept, "merged")]
        )
