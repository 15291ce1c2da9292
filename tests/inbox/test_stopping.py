"""What an answer stops, and whom a conversation follows."""

import aiosmtplib

from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.inbox import service
from switchboard.inbox.listener import MailListener
from switchboard.kernel.db import Database
from switchboard.kernel.events import Event, append
from tests.conftest import Urls, move_clock
from tests.flows.world import add_contact, add_lead, add_letters, endings, running, save_active, sent_letters, settle
from tests.inbox.conftest import Team, make_mail, run_jobs

FLOW = """\
flow: greeting
title: Greeting
subject: lead
starts:
  - on: lead.created
stops:
  - on: message.replied
steps:
  - send: welcome
  - wait: {for: 1d}
  - send: second
"""


async def begin(database: Database, team: Team) -> str:
    """Ann asks for something and the flow writes to her; the Message-ID of what it wrote."""
    async with database.transaction(team.workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, FLOW)
        await add_lead(tx, await add_contact(tx, "ann@x.example", name="Ann Xu"))
    await settle(database)
    contact_id = await team.find_contact("ann@x.example")
    assert contact_id is not None
    (letter,) = await team.messages(contact_id)
    return letter.header_id


async def test_a_real_answer_by_smtp_stops_the_run_before_the_next_letter(
    database: Database, team: Team, agent: Caller, urls: Urls
) -> None:
    header_id = await begin(database, team)
    listener = MailListener(database, host="127.0.0.1", port=0, domain="switchboard.localhost")
    await listener.tick()
    mail = make_mail("Tell me more.", in_reply_to=header_id)
    await aiosmtplib.send(
        mail.as_bytes(),
        sender="ann@x.example",
        recipients=[team.address],
        hostname="127.0.0.1",
        port=listener.bound_port,
        start_tls=False,
    )
    await listener.close()
    await run_jobs(database)
    await move_clock(urls, "2 days")
    await settle(database)
    async with database.transaction(team.workspace_id) as tx:
        assert [name for name, _ in await sent_letters(tx)] == ["welcome"]
        assert await running(tx) == []
        assert [outcome for outcome, _ in await endings(tx)] == ["stopped"]
    assert (await team.conversation(agent)).lead_id is not None


async def test_an_out_of_office_note_stops_nothing(database: Database, team: Team, urls: Urls) -> None:
    header_id = await begin(database, team)
    await team.receive(make_mail("I am away.", in_reply_to=header_id, headers=[("Auto-Submitted", "auto-replied")]))
    async with database.transaction(team.workspace_id) as tx:
        assert len(await running(tx)) == 1
    await move_clock(urls, "2 days")
    await settle(database)
    async with database.transaction(team.workspace_id) as tx:
        assert [name for name, _ in await sent_letters(tx)] == ["welcome", "second"]


async def test_a_conversation_belongs_to_the_owner_of_the_lead(
    database: Database, team: Team, agent: Caller, owner: Caller
) -> None:
    await team.receive(make_mail())
    conversation = await team.conversation(agent)
    async with database.transaction(team.workspace_id) as tx:
        lead_id = await add_lead(tx, conversation.contact_id)
        for user_id in (agent.user_id, owner.user_id):
            data = {"owner_id": user_id}
            await append(tx, [Event("lead.assigned", lead_id, conversation.contact_id, lead_id, data=data)])
    after = await team.conversation(agent)
    assert (after.lead_id, after.owner_id) == (lead_id, agent.user_id)


async def test_an_answer_is_the_first_response_to_the_lead(database: Database, team: Team, agent: Caller) -> None:
    await team.receive(make_mail())
    conversation = await team.conversation(agent)
    async with database.transaction(team.workspace_id) as tx:
        lead_id = await add_lead(tx, conversation.contact_id)
        await service.reply(tx, agent, conversation.id, body="Hello!", key=lead_id)
        messages = await delivery.list_messages_of_contact(tx, conversation.contact_id)
        assert [(one.purpose, one.lead_id) for one in messages if one.direction == "out"] == [("reply", lead_id)]
