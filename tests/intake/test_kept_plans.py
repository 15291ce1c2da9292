"""Plans that are kept know no values: on the way of a lone lead each statement finds its rows by keys all the same."""

from datetime import timedelta

import psycopg

from switchboard.entrypoints.assembly import build_hub
from switchboard.intake.models import Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database
from tests.conftest import Urls, move_clock
from tests.delivery.sending import Outbox
from tests.flows.world import add_contact, add_letters, save_active, settle
from tests.intake.conftest import recognise_all, store
from tests.plans import PreparingConnection, analyse, explain_prepared, find_wide_scans

FLOW = """
flow: greeting
title: Greeting
subject: lead
starts:
  - on: lead.created
stops:
  - on: message.replied
steps:
  - send: welcome
  - wait: 3d
"""
PEOPLE = 500
NEW = ("new@x.example", "newer@x.example")
KNOWN = ("known@x.example", "renowned@x.example")
# These grow for as long as the product runs.
GROWING = frozenset(
    {
        *("signal", "signal_due", "signal_outcome", "contact", "contact_search", "identity", "lead", "assignment"),
        *("run", "run_ended", "flow_entry", "message", "outbox", "event"),
    }
)


async def at_noon(database: Database, urls: Urls) -> None:
    """Letters are not held back for the night."""
    async with database.directory() as tx:
        now = await tx.now()
    noon = (now + timedelta(days=1)).replace(hour=12, minute=0)
    await move_clock(urls, f"{(noon - now).total_seconds()} seconds")


async def grow(database: Database, source: Source, urls: Urls) -> None:
    """Many leads, each with a run that sleeps, one that has ended, and a letter that goes tomorrow."""
    async with database.transaction(source.workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, FLOW)
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(PEOPLE)))
    await recognise_all(database)
    await settle(database)
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("UPDATE app.outbox SET due_at = due_at + interval '1 day'")
        connection.execute(
            """
            INSERT INTO app.run_ended (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id,
                                       lead_id, step, outcome, reason, started_at)
            SELECT app.uuid7(), workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id,
                   step, 'finished', 'over', app.now() FROM app.run
            """
        )
    analyse(urls.superuser)


async def go_whole_way(database: Database, source: Source, email: str) -> None:
    """Until the letter is sent."""
    await store(database, source, {"email": email})
    outbox = Outbox(database)
    await RecognitionLoop(database).tick()
    await settle(database)
    await outbox.run()
    assert len(outbox.subjects) == 1


async def test_a_lone_lead_goes_by_keys_whatever_the_values(database: Database, source: Source, urls: Urls) -> None:
    await at_noon(database, urls)
    await grow(database, source, urls)
    async with database.transaction(source.workspace_id) as tx:
        for email in KNOWN:
            await add_contact(tx, email)
    preparing = Database(urls.application, build_hub(), max_connections=1, connection_class=PreparingConnection)
    await preparing.open()
    for email in (*NEW, *KNOWN):
        await go_whole_way(preparing, source, email)
    async with preparing.queue_loop(keeps_plans=True) as tx:
        await tx.enter_workspace(source.workspace_id)
        plans = await explain_prepared(tx)
    await preparing.close()
    assert len(plans) > 30
    assert {statement: wide for statement, plan in plans.items() if (wide := find_wide_scans(plan, GROWING))} == {}
    assert [statement for statement, plan in plans.items() if "Hash Join" in plan or "Merge Join" in plan] == []
