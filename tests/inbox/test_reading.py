"""What becomes of a mail that came in."""

import asyncio
from uuid import UUID, uuid4

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.entrypoints.assembly import build_hub
from switchboard.inbox import service
from switchboard.inbox.receiving import receive_for_all, receive_mail
from switchboard.kernel.db import Database
from switchboard.people import service as people
from switchboard.routing import service as routing
from tests.conftest import Urls, move_clock
from tests.inbox.conftest import Team, make_mail, run_jobs

BOUNCE = """\
From: Mail Delivery System <MAILER-DAEMON@mx.x.example>
To: {address}
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce-1@mx.x.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.x.example

Final-Recipient: rfc822; ann@x.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b
Content-Type: text/rfc822-headers

Message-ID: {header_id}
To: ann@x.example

--b--
"""


async def test_mail_of_somebody_unknown_makes_a_contact_and_a_conversation_that_waits(
    team: Team, agent: Caller
) -> None:
    await team.receive(make_mail("Do you ship to Norway?\n", subject="Shipping"))
    conversation = await team.conversation(agent)
    assert conversation.subject == "Shipping"
    assert conversation.preview == "Do you ship to Norway?"
    assert conversation.state == "open"
    assert conversation.is_waiting
    assert conversation.owner_id is None
    assert conversation.reply_address == "ann@x.example"
    assert conversation.contact_id == await team.find_contact("ann@x.example")
    (message,) = await team.messages(conversation.contact_id)
    assert (message.direction, message.state, message.purpose) == ("in", "received", "reply")
    assert message.body_text.strip() == "Do you ship to Norway?"
    assert message.conversation_id == conversation.id
    assert await team.outcomes() == ["received"]


async def test_an_answer_is_found_by_its_thread_even_from_another_address(team: Team, agent: Caller) -> None:
    lead_id, contact_id = uuid4(), await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id, lead_id=lead_id, created_by=agent.user_id)
    answer = make_mail(sender="ann.private@home.example", references=["<other@y.example>", ours.header_id])
    await team.receive(answer)
    conversation = await team.conversation(agent)
    assert conversation.contact_id == contact_id
    assert conversation.lead_id == lead_id
    assert conversation.owner_id == agent.user_id
    assert conversation.reply_address == "ann.private@home.example"
    assert await team.find_contact("ann.private@home.example") is None
    (replied,) = await team.events("message.replied")
    assert (replied["contact_id"], replied["lead_id"]) == (contact_id, lead_id)
    assert replied["data"]["conversation_id"] == str(conversation.id)


async def test_who_writes_first_and_has_an_open_lead_writes_about_it(team: Team, agent: Caller, owner: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    closed_id, open_id = await team.give(contact_id, owner), await team.give(contact_id, agent)
    async with team.database.transaction(team.workspace_id) as tx:
        await routing.release(tx, [closed_id])
    await team.receive(make_mail())
    conversation = await team.conversation(agent)
    assert (conversation.lead_id, conversation.owner_id) == (open_id, agent.user_id)
    (replied,) = await team.events("message.replied")
    assert replied["lead_id"] == open_id
    (message,) = await team.messages(contact_id)
    assert message.lead_id == open_id


async def test_the_same_mail_is_one_message_however_often_it_comes(team: Team, agent: Caller) -> None:
    mail = make_mail(message_id="<once@x.example>")
    first = await team.receive(mail)
    assert await team.receive(mail) == first
    local, _, domain = team.address.partition("@")
    await team.receive(mail, to=f"{local}+leads@{domain}")
    assert await team.outcomes() == ["received", "duplicate"]
    conversation = await team.conversation(agent)
    assert len(await team.messages(conversation.contact_id)) == 1
    assert len(await team.events("message.replied")) == 1


async def test_mail_without_a_message_id_is_one_message_too(team: Team, agent: Caller) -> None:
    mail = make_mail(message_id="")
    assert await team.receive(mail) == await team.receive(mail)
    await team.receive(make_mail("Something else.", message_id=""))
    conversation = await team.conversation(agent)
    assert len(await team.messages(conversation.contact_id)) == 2


@pytest.mark.parametrize(
    "headers",
    [[("Auto-Submitted", "auto-replied")], [("Precedence", "bulk")], [("X-Autoreply", "yes")]],
)
async def test_an_answer_by_a_machine_is_kept_and_changes_nothing(
    team: Team, agent: Caller, headers: list[tuple[str, str]]
) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id)
    await team.receive(make_mail("I am away.", in_reply_to=ours.header_id, headers=headers))
    assert await team.outcomes() == ["automatic"]
    assert await team.conversations(agent) == []
    assert [one.direction for one in await team.messages(contact_id)] == ["in", "out"]
    assert await team.events("message.replied") == []
    assert await team.events("conversation.waiting") == []


async def test_a_machine_does_not_make_a_contact(team: Team) -> None:
    await team.receive(make_mail(headers=[("Auto-Submitted", "auto-generated")], sender="robot@x.example"))
    assert await team.outcomes() == ["automatic"]
    assert await team.find_contact("robot@x.example") is None


async def test_our_own_mail_coming_back_is_a_loop_and_ends_there(team: Team, agent: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id)
    await team.receive(make_mail(message_id=ours.header_id))
    await team.receive(make_mail(sender=f"Us <{team.address}>"))
    assert await team.outcomes() == ["own_mail", "own_mail"]
    assert await team.conversations(agent) == []


async def test_a_bounce_suppresses_the_address_and_is_no_answer(team: Team, agent: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id)
    raw = BOUNCE.format(address=team.address, header_id=ours.header_id).replace("\n", "\r\n").encode()
    await team.receive(raw, mail_from="<>")
    assert await team.outcomes() == ["bounce"]
    suppressed = await team.rows("SELECT kind, value, reason FROM app.suppression")
    assert suppressed == [{"kind": "email", "value": "ann@x.example", "reason": "bounced"}]
    assert await team.conversations(agent) == []
    assert await team.events("message.replied") == []


async def test_mail_from_nobody_is_kept_and_said_to_have_no_sender(team: Team) -> None:
    await team.receive(b"Subject: ?\r\n\r\nHello\r\n", mail_from="")
    assert await team.outcomes() == ["no_sender"]


async def test_who_asks_to_be_left_alone_is_opted_out_with_the_proof(team: Team, agent: Caller) -> None:
    await team.receive(make_mail("STOP\n\nOn Mon, 3 Nov 2026 at 10:00, Us <us@acme.example> wrote:\n> Hi\n"))
    conversation = await team.conversation(agent)
    async with team.database.transaction(team.workspace_id) as tx:
        contact = await people.access_contact(tx, agent, conversation.contact_id)
        consents = await people.list_consents(tx, conversation.contact_id)
    assert contact.opted_out_at is not None
    assert {(one.channel, one.is_granted, one.proof) for one in consents} == {
        ("email", False, "wrote “STOP” by e-mail"),
        ("phone", False, "wrote “STOP” by e-mail"),
    }
    assert len(await team.events("contact.opted_out")) == 1


async def test_the_owner_is_told_by_mail_at_most_every_ten_minutes(team: Team, agent: Caller, urls: Urls) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id, created_by=agent.user_id)
    notices = "SELECT subject, body_text, user_id FROM app.message WHERE purpose = 'page' ORDER BY id"
    for _ in range(3):
        await team.receive(make_mail(in_reply_to=ours.header_id))
    (notice,) = await team.rows(notices)
    conversation = await team.conversation(agent)
    assert notice["user_id"] == agent.user_id
    assert notice["subject"] == "Ann Xu wrote to you"
    assert f"https://acme.example/inbox/{conversation.id}" in notice["body_text"]
    assert len(await team.events("conversation.waiting")) == 3
    await move_clock(urls, "11 minutes")
    await team.receive(make_mail())
    assert len(await team.rows(notices)) == 2


async def test_mail_opens_what_was_closed_and_waits_from_then_on(team: Team, agent: Caller, urls: Urls) -> None:
    await team.receive(make_mail())
    before = await team.conversation(agent)
    async with team.database.transaction(team.workspace_id) as tx:
        await service.close(tx, agent, before.id)
    await move_clock(urls, "2 days")
    await team.receive(make_mail("One more thing."))
    after = await team.conversation(agent)
    assert after.id == before.id
    assert before.waiting_since is not None
    assert after.waiting_since is not None
    assert (after.waiting_since - before.waiting_since).days == 2


async def test_who_wrote_twice_waits_since_the_first_time(team: Team, agent: Caller, urls: Urls) -> None:
    await team.receive(make_mail())
    first = await team.conversation(agent)
    await move_clock(urls, "1 hour")
    await team.receive(make_mail("Hello?"))
    second = await team.conversation(agent)
    assert second.waiting_since == first.waiting_since
    assert second.last_message_at > first.last_message_at


async def test_the_answer_goes_where_the_writer_wants_it(team: Team, agent: Caller) -> None:
    await team.receive(make_mail(headers=[("Reply-To", "office@x.example")]))
    assert (await team.conversation(agent)).reply_address == "office@x.example"


async def test_files_are_kept_whole(team: Team, agent: Caller) -> None:
    mail = make_mail()
    mail.add_attachment(b"\x00\x01%PDF", maintype="application", subtype="pdf", filename="plan für Ann.pdf")
    await team.receive(mail)
    rows = await team.rows("SELECT name, content_type, size_bytes, content FROM app.attachment")
    assert rows == [
        {"name": "plan für Ann.pdf", "content_type": "application/pdf", "size_bytes": 6, "content": b"\x00\x01%PDF"}
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 500,
        b"From: a@b.example\r\nSubject: \xff\xfe\x00 =?utf-8?b?////?=\r\n\r\n\x00\xed\xa0\x80",
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 50,
        b"From: " + b"(" * 5_000 + b"\r\nMessage-ID: <\x00@x>\r\n\r\nhi",
        b"From: =?utf-8?q?=00?= <a@b.example>\r\nReply-To: \xf0\x9f@x\r\nIn-Reply-To: <" + b"x" * 900 + b">\r\n\r\nhi",
    ],
)
async def test_hostile_mail_is_read_to_an_end(team: Team, raw: bytes) -> None:
    await team.receive(raw, mail_from="evil@x.example")
    (outcome,) = await team.outcomes()
    assert outcome in {"received", "automatic", "no_sender"}


async def test_the_answered_contact_of_another_workspace_is_never_found(
    team: Team, agent: Caller, database: Database, stranger: Caller
) -> None:
    async with database.transaction(stranger.workspace_id) as tx:
        theirs = Team(database, stranger.workspace_id, "")
    secret = await theirs.recognise("Ann Xu", "ann@x.example")
    message = await theirs.write_to(secret)
    await team.receive(make_mail(in_reply_to=message.header_id))
    conversation = await team.conversation(agent)
    assert conversation.contact_id != secret
    async with database.transaction(stranger.workspace_id) as tx:
        assert await service.list_conversations(tx, stranger, "open") == []


async def test_reading_twice_is_reading_once(team: Team, agent: Caller, database: Database) -> None:
    mail_id = await team.receive(make_mail())
    async with database.transaction(team.workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.job (workspace_id, kind, payload) VALUES (%s, 'inbox.read', %s::jsonb)",
            (team.workspace_id, f'{{"mail_id": "{mail_id}"}}'),
        )
    await run_jobs(database)
    conversation = await team.conversation(agent)
    assert len(await team.messages(conversation.contact_id)) == 1


async def test_an_answer_that_came_back_waits_again(team: Team, agent: Caller) -> None:
    await team.receive(make_mail())
    conversation = await team.conversation(agent)
    async with team.database.transaction(team.workspace_id) as tx:
        await service.reply(tx, agent, conversation.id, body="Sure.", key=uuid4())
    assert not (await team.conversation(agent)).is_waiting
    (out,) = [one for one in await team.messages(conversation.contact_id) if one.direction == "out"]
    raw = BOUNCE.format(address=team.address, header_id=out.header_id).replace("\n", "\r\n").encode()
    async with team.database.transaction(team.workspace_id) as tx:
        await tx.execute("UPDATE app.message SET state = 'sent', sent_at = app.now() WHERE id = %s", (out.id,))
    await team.receive(raw, mail_from="<>")
    assert (await team.conversation(agent)).is_waiting


async def test_the_message_row_names_its_mail(team: Team) -> None:
    mail_id = await team.receive(make_mail())
    (row,) = await team.rows("SELECT id, message_id FROM app.inbound_mail")
    assert row["id"] == mail_id
    assert isinstance(row["message_id"], UUID)
    async with team.database.transaction(team.workspace_id) as tx:
        assert row["message_id"] in await delivery.load_messages(tx, [row["message_id"]])


async def test_mail_read_by_two_workers_at_once_is_one_conversation(team: Team, agent: Caller, urls: Urls) -> None:
    other = Database(urls.application, build_hub(), max_connections=4)
    await other.open()
    for number in range(12):
        sender = f"Ann Xu <{'ANN' if number % 2 else 'ann'}@x.example>"
        await receive_mail(team.database, make_mail(sender=sender).as_bytes(), "ann@x.example", team.address)
    await asyncio.gather(*(run_jobs(database) for database in (team.database, other) for _ in range(2)))
    await other.close()
    conversation = await team.conversation(agent)
    assert len(await team.messages(conversation.contact_id)) == 12
    assert await team.outcomes() == ["received"] * 12
    assert len(await team.rows("SELECT id FROM app.contact")) == 1


async def test_a_mail_to_two_of_our_addresses_is_one_message_read_by_two_workers(team: Team, agent: Caller) -> None:
    mail = make_mail()
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    _, domain = team.address.split("@")
    await receive_for_all(team.database, mail.as_bytes(), "ann@x.example", [team.address, f"sales@{domain}"])
    await asyncio.gather(run_jobs(team.database), run_jobs(team.database))
    assert sorted(outcome or "" for outcome in await team.outcomes()) in (
        ["duplicate", "received"],
        ["received", "received"],
    )
    conversation = await team.conversation(agent)
    assert len(await team.messages(conversation.contact_id)) == 1
    assert len(await team.rows("SELECT id FROM app.attachment")) == 1


async def test_an_answer_to_a_notice_makes_no_contact_of_a_member(team: Team, agent: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id, created_by=agent.user_id)
    await team.receive(make_mail(in_reply_to=ours.header_id))
    (notice,) = await team.rows("SELECT header_id FROM app.message WHERE purpose = 'page'")
    await team.receive(make_mail("Got it.", sender="amir@acme.example", in_reply_to=notice["header_id"]))
    assert await team.outcomes() == ["received", "to_notice"]
    assert await team.find_contact("amir@acme.example") is None
