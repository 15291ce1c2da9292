"""What flows do reads on a timeline with names and times, not with `a flow` and `a message`."""

from datetime import time, timedelta
from uuid import UUID

from switchboard.delivery.models import Draft
from switchboard.delivery.service import queue_messages
from switchboard.kernel.db import Database
from switchboard.kernel.localtime import next_local, to_local
from switchboard.people.timeline import list_timeline
from tests.flows.world import add_contact, add_lead, add_letters, save_active, settle

UNTIL_MORNING = """\
flow: welcome
title: Welcome
subject: lead
starts:
  - on: lead.created
steps:
  - send: welcome
  - wait: {for: 1d, until: "09:30"}
  - send: second
"""


async def test_a_timeline_names_the_flow_its_letters_and_until_when_it_waits(
    database: Database, workspace_id: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, UNTIL_MORNING)
        contact_id = await add_contact(tx, "imani@x.example", time_zone="Asia/Kolkata")
        await add_lead(tx, contact_id)
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        draft = Draft(contact_id=contact_id, channel="email", purpose="reply", subject="Two_seats", text="Yes")
        (message_id,) = await queue_messages(tx, [draft])
        items = await list_timeline(tx, contact_id)
        morning = next_local(await tx.now() + timedelta(days=1), "Asia/Kolkata", time(9, 30))
    said = {(item.actor, item.text) for item in items}
    assert ("Welcome", "began") in said
    assert ("Welcome", f"waits until {to_local(morning, 'Asia/Kolkata'):%a %d %b, %H:%M} in their zone") in said
    assert ("Welcome", "wrote the letter welcome by e-mail") in said
    (answer,) = [item for item in items if item.subject_id == message_id]
    assert (answer.actor, answer.text, answer.href) == (
        "Switchboard",
        "wrote “Two_seats” by e-mail",
        f"/messages/{message_id}",
    )
