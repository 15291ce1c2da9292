"""Flows that begin when somebody enters a segment, and end when they leave it."""

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.people import service
from switchboard.people.service import ContactForm
from tests.flows.world import running, save_active
from tests.people.segment_world import filled, meet, work

FLOW = """
flow: welcome_customers
title: Welcome customers
subject: contact
starts:
  - on: segment.entered
    where: event.segment == "customers"
stops:
  - on: segment.left
    where: event.segment == "customers"
steps:
  - wait: 3d
"""


async def test_a_flow_begins_with_a_segment_and_ends_with_it(database: Database, owner: Caller) -> None:
    (ada, bob) = await meet(database, owner, "Ada", "Bob")
    await filled(database, owner, 'contact.company == "Acme"', "Customers")
    await filled(database, owner, 'contact.company == "Bravo"', "Others")
    async with database.transaction(owner.workspace_id) as tx:
        await save_active(tx, FLOW)
        await service.update_contact(tx, owner, ada, ContactForm("Ada", company="Acme"))
        await service.update_contact(tx, owner, bob, ContactForm("Bob", company="Bravo"))
    await work(database)
    async with database.transaction(owner.workspace_id) as tx:
        assert len(await running(tx)) == 1
        assert await tx.fetch_value("SELECT contact_id FROM app.run") == ada
        await service.update_contact(tx, owner, ada, ContactForm("Ada", company="Bravo"))
    await work(database)
    async with database.transaction(owner.workspace_id) as tx:
        assert await running(tx) == []
