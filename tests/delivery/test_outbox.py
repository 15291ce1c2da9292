"""Sending: once, behind a fence, with the same Message-ID at every try, and never for want of trying."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import psycopg
import pytest

from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery import repository_outbox, service
from switchboard.delivery.channels.base import Envelope, SendError, Sent
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.claiming import Claimer
from switchboard.delivery.completing import Completer, Outcome
from switchboard.delivery.errors import MessageUnderWayError
from switchboard.delivery.letter_templates import apply_template, create_template
from switchboard.delivery.letters import write
from switchboard.delivery.models import Draft, LeadFacts, no_lead_facts
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.pacing import Room
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import Tick
from tests.conftest import Urls, move_clock
from tests.delivery.letters import WELCOME, letter, make_contact
from tests.delivery.sending import (
    DEADLINE_SECONDS,
    LETTERHEAD,
    HoldingChannel,
    Outbox,
    event_kinds,
    load,
    outbox_rows,
    queue,
    states,
)


@pytest.fixture
async def ann(database: Database, workspace_id: UUID) -> UUID:
    """A contact of a workspace that keeps no quiet hours, so that tests pass at night too."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00', cap_messages = 100")
    return await make_contact(database, workspace_id, "ann@x.example")


async def test_a_letter_goes_out_from_its_template_with_a_way_out(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    async with database.transaction(workspace_id) as tx:
        await create_template(tx, system_caller(workspace_id), WELCOME)
    (message_id,) = await queue(database, workspace_id, letter(ann, "", template_name="welcome"))
    async with database.transaction(workspace_id) as tx:
        # A version saved later is not the one that was queued.
        await apply_template(tx, system_caller(workspace_id), replace(WELCOME, subject="Changed"))
    outbox = Outbox(database)
    await outbox.run()
    mail = message_from_bytes(outbox.channel.envelopes[0].raw, policy=default)
    message = await load(database, workspace_id, message_id)
    assert mail["Subject"] == message.subject == "Welcome, Ann"
    assert mail["From"] == f"Acme <hello@{workspace_id.hex[-8:]}.switchboard.localhost>"
    assert mail["To"] == "Ann Lee <ann@x.example>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(mail["List-Unsubscribe"]).startswith("<https://switchboard.example/u/")
    assert "Hello Ann, I am Acme." in message.body_text
    assert message.body_html is not None
    assert (message.state, message.reason, message.sent_at is not None) == ("sent", None, True)
    assert await event_kinds(database, workspace_id, message_id) == ["message.queued", "message.sent"]
    async with database.transaction(workspace_id) as tx:
        attempts = await service.list_attempts(tx, message_id)
    assert [(attempt.token, attempt.outcome) for attempt in attempts] == [(1, "sent")]
    assert await outbox_rows(database) == 0


async def test_a_persons_answer_bears_their_name_and_its_thread_and_no_way_out(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller
) -> None:
    reply = letter(
        ann,
        "Re: Price",
        purpose="reply",
        created_by=agent.user_id,
        in_reply_to="<two@x.example>",
        reference_ids=["<one@x.example>", "<two@x.example>"],
    )
    await queue(database, workspace_id, reply)
    outbox = Outbox(database)
    await outbox.run()
    mail = message_from_bytes(outbox.channel.envelopes[0].raw, policy=default)
    assert str(mail["From"]).startswith("Amir Agent <hello@")
    assert mail["In-Reply-To"] == "<two@x.example>"
    assert mail["References"] == "<one@x.example> <two@x.example>"
    assert mail["List-Unsubscribe"] is None
    assert mail["Auto-Submitted"] is None


async def test_two_processes_send_every_transactional_message_once(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    ids = await queue(
        database, workspace_id, *[letter(ann, str(number), purpose="transactional") for number in range(150)]
    )
    first, second = Outbox(database), Outbox(database)
    await asyncio.gather(first.run(), second.run())
    await asyncio.gather(first.run(), second.run())
    assert sorted([*first.subjects, *second.subjects]) == sorted(map(str, range(150)))
    assert set(await states(database, workspace_id, ids)) == {("sent", None)}


async def test_what_may_work_later_is_tried_again_with_growing_pauses(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    for _ in range(2):
        outbox.fail_next("retryable", "451", "Try later", at_fault="message")
    await outbox.run()
    assert await states(database, workspace_id, [message_id]) == [("queued", "retrying")]
    await outbox.run()
    assert len(outbox.channel.failures) == 1
    await move_clock(urls, "13 seconds")
    await outbox.run()
    assert outbox.channel.failures == []
    await move_clock(urls, "60 seconds")
    await outbox.run()
    assert outbox.subjects == ["Hello"]
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]


async def test_after_ten_tries_a_message_fails_and_a_person_may_send_it_again(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls, agent: Caller
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    for number in range(10):
        outbox.fail_next("retryable", "451", "Try later", at_fault="message")
        await move_clock(urls, f"{number * 2} hours")
        await outbox.run()
    message = await load(database, workspace_id, message_id)
    assert (message.state, message.reason) == ("failed", "too_many_attempts")
    assert message.detail == "Given up after 10 tries. Try later"
    async with database.transaction(workspace_id) as tx:
        await service.send_again(tx, agent, message_id)
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(MessageUnderWayError):
            await service.send_again(tx, agent, message_id)
    await outbox.run()
    assert outbox.subjects == ["Hello"]
    async with database.transaction(workspace_id) as tx:
        attempts = await service.list_attempts(tx, message_id)
    assert [attempt.token for attempt in attempts] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


async def test_an_address_that_does_not_exist_fails_and_is_written_to_no_more(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    outbox.fail_next("permanent", "550", "The mail server answered 550 5.1.1 No such user", at_fault="recipient")
    await outbox.run()
    (second,) = await queue(database, workspace_id, letter(ann))
    await outbox.run()
    assert await states(database, workspace_id, [message_id, second]) == [("failed", "550"), ("dropped", "suppressed")]
    assert outbox.channel.envelopes == []


async def test_a_refusal_for_policy_does_not_speak_against_the_address(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    outbox.fail_next("permanent", "550", "550 5.7.1 Blocked for spam", at_fault="recipient")
    await outbox.run()
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.suppression") == 0


@pytest.mark.parametrize("purpose", ["page", "reply", "transactional"])
async def test_in_doubt_an_awaited_message_goes_again_with_its_message_id(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls, purpose: str
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose=purpose))
    outbox = Outbox(database)
    outbox.fail_next("in_doubt", "answer_lost", "The connection broke.")
    await outbox.run()
    message = await load(database, workspace_id, message_id)
    assert (message.state, message.reason) == ("in_doubt", "answer_lost")
    assert await outbox.reap() == 0
    await move_clock(urls, "61 seconds")
    assert await outbox.reap() == 1
    await outbox.run()
    assert outbox.header_ids == [message.header_id]
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]


async def test_in_doubt_advertising_is_shown_and_not_sent_again(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database)
    outbox.fail_next("in_doubt", "answer_lost", "The connection broke.")
    await outbox.run()
    await move_clock(urls, "1 day")
    await outbox.reap()
    await outbox.run()
    assert outbox.channel.envelopes == []
    async with database.transaction(workspace_id) as tx:
        troubles = await service.list_troubles(tx)
    assert [(one.id, one.state, one.reason) for one in troubles] == [(message_id, "in_doubt", "answer_lost")]


async def test_a_server_that_cannot_be_reached_stops_the_channel_and_costs_no_tries(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    ids = await queue(database, workspace_id, *[letter(ann, str(number)) for number in range(60)])
    outbox = Outbox(database)
    for _ in range(60):
        outbox.fail_next("retryable", "connect_failed", "Connection refused")
    await outbox.run()
    async with database.transaction(workspace_id) as tx:
        (found,) = await service.list_breaks(tx)
        assert await tx.fetch_value("SELECT max(attempts) FROM app.outbox") == 0
    assert (found.channel, found.detail) == ("email", "Connection refused")
    tried = 60 - len(outbox.channel.failures)
    await outbox.run()
    assert 60 - len(outbox.channel.failures) == tried
    # After the break one message tries; it fails, and the next break is longer.
    await move_clock(urls, "1 minute")
    await outbox.run()
    assert 60 - len(outbox.channel.failures) == tried + 1
    outbox.channel.failures.clear()
    for minutes in (10, 20, 30, 40, 50):
        await move_clock(urls, f"{minutes} minutes")
        await outbox.run()
    async with database.transaction(workspace_id) as tx:
        assert await service.list_breaks(tx) == []
    assert set(await states(database, workspace_id, ids)) == {("sent", None)}
    assert sorted(outbox.subjects, key=int) == [str(number) for number in range(60)]


async def test_a_break_that_one_process_begins_holds_for_another_that_knows_of_none(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await queue(database, workspace_id, letter(ann, "0", purpose="transactional"))
    first, second = Outbox(database), Outbox(database)
    await second.run()
    await queue(database, workspace_id, letter(ann, "1", purpose="transactional"))
    first.fail_next("retryable", "530", "Sign in first.", at_fault="connection")
    await first.run()
    await queue(database, workspace_id, *[letter(ann, subject, purpose="transactional") for subject in ("2", "3")])
    await second.run()
    await second.run()
    assert second.subjects == ["0"]
    await move_clock(urls, "1 minute")
    await second.run()
    assert sorted(second.subjects) == ["0", "1", "2", "3"]


async def test_an_urgent_message_overtakes_a_full_outbox(database: Database, workspace_id: UUID, agent: Caller) -> None:
    contact = await make_contact(database, workspace_id, "bob@x.example")
    channel = HoldingChannel()
    loop = OutboxLoop(database, {"email": channel}, LETTERHEAD)
    bulk = letter(contact, purpose="transactional", campaign_id=new_id())
    await queue(database, workspace_id, *[bulk] * 40)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
    await loop.tick()
    page = Draft(purpose="page", user_id=agent.user_id, subject="Wake up", text="Now")
    (page_id,) = await queue(database, workspace_id, page)
    await loop.tick()
    channel.released.set()
    await loop.close()
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT id FROM app.message WHERE state = 'sent'")
    order = [UUID(envelope.key.partition(".")[2]) for envelope in channel.envelopes]
    # The patient ones leave slots free, so the page is sent with the first of them.
    assert order.index(page_id) <= 8
    assert len(rows) == len(order)


async def test_a_stop_during_a_try_keeps_the_message_from_being_tried_again(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    run = new_id()
    (message_id,) = await queue(database, workspace_id, letter(ann, run_id=run, run_revision=1))
    taken = (await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))).outgoing[0]
    async with database.transaction(workspace_id) as tx:
        assert await service.drop_queued(tx, [run], "they answered") == []
    failure = SendError("retryable", "451", "Try later", at_fault="message")
    await Completer(database).complete([Outcome(taken, 0.1, "later", write(taken.content), failure)])
    await move_clock(urls, "1 hour")
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.channel.envelopes == []
    assert await states(database, workspace_id, [message_id]) == [("dropped", "stopped")]


async def test_a_letter_that_cannot_be_rendered_fails_alone(database: Database, workspace_id: UUID, ann: UUID) -> None:
    endless = replace(WELCOME, name="endless")
    async with database.transaction(workspace_id) as tx:
        template_id = await create_template(tx, system_caller(workspace_id), endless)
        await tx.execute(
            "UPDATE app.template_version SET body = '{%% for a in (1..9000) %%}x{%% endfor %%}' WHERE template_id = %s",
            (template_id,),
        )
    ids = await queue(database, workspace_id, letter(ann, "", template_name="endless"), letter(ann))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["Hello"]
    assert await states(database, workspace_id, ids) == [("failed", "template_invalid"), ("sent", None)]


class MumblingChannel(RecordingChannel):
    """Answers with what no database keeps, and fails like it."""

    async def send(self, envelope: Envelope) -> Sent:
        sent = await super().send(envelope)
        if len(self.envelopes) == 1:
            raise SendError("retryable", "451", "Not\0 now", at_fault="message")
        return Sent(sent.provider_id, "200 \0\ud800 queued")


async def test_a_servers_words_are_kept_whatever_they_are(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    outbox = Outbox(database, MumblingChannel())
    await outbox.run()
    assert (await load(database, workspace_id, message_id)).detail == "Not now It is tried again."
    await move_clock(urls, "1 hour")
    await outbox.run()
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]
    async with database.transaction(workspace_id) as tx:
        answers = await tx.fetch_tuples("SELECT response FROM app.attempt ORDER BY token")
    assert answers == [("Not now",), ("200 ? queued",)]


async def test_a_deadlock_costs_no_message_a_try(database: Database, workspace_id: UUID, ann: UUID, urls: Urls) -> None:
    async def deadlock(tx: Tx, lead_ids: Sequence[UUID]) -> Mapping[UUID, LeadFacts]:
        raise psycopg.errors.DeadlockDetected("deadlock detected")

    async with database.transaction(workspace_id) as tx:
        asking = replace(WELCOME, name="asking", body=f"{WELCOME.body}<mj-text>{{{{ lead.title }}}}</mj-text>")
        await create_template(tx, system_caller(workspace_id), asking)
    about = letter(ann, "", template_name="asking", lead_id=new_id())
    ids = await queue(database, workspace_id, about, letter(ann))
    with pytest.raises(psycopg.errors.DeadlockDetected):
        await Claimer(database, LETTERHEAD, deadlock).claim(["email"], Room(10, 10))
    async with database.queue_loop() as tx:
        assert await tx.fetch_tuples("SELECT attempts, due_at <= app.now() FROM app.outbox") == [(0, True), (0, True)]
    await Outbox(database).run()
    assert await states(database, workspace_id, ids) == [("sent", None), ("sent", None)]


async def test_messages_of_many_workspaces_go_in_one_batch_and_stay_apart(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID, ann: UUID
) -> None:
    async with database.transaction(strangers_workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
    theirs = await make_contact(database, strangers_workspace_id, "ann@x.example")
    async with database.transaction(strangers_workspace_id) as tx:
        await service.suppress(tx, "email", "ann@x.example", "manual", None)
    (mine,) = await queue(database, workspace_id, letter(ann, "Ours"))
    (other,) = await queue(database, strangers_workspace_id, letter(theirs, "Theirs"))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["Ours"]
    assert await states(database, workspace_id, [mine]) == [("sent", None)]
    assert await states(database, strangers_workspace_id, [other]) == [("dropped", "suppressed")]


async def test_it_looks_again_when_the_last_under_way_has_come_back(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    await queue(database, workspace_id, letter(ann, "One"), letter(ann, "Two"))
    channel = HoldingChannel()
    loop = OutboxLoop(database, {"email": channel}, LETTERHEAD, slots=1)
    assert (await loop.tick()).handled == 1
    channel.released.set()
    # There was room for none, so the other one is still due: waiting for a notice would hold it up.
    assert await loop.tick() == Tick(0, has_more=True)
    await loop.close()


async def test_what_becomes_due_behind_the_mark_is_found_when_there_is_nothing_else(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    outbox = Outbox(database)
    await queue(database, workspace_id, letter(ann, "first", purpose="transactional"))
    await outbox.run()
    await queue(database, workspace_id, letter(ann, "late", purpose="transactional"))
    async with database.queue_loop() as tx:
        await tx.execute("UPDATE app.outbox SET due_at = due_at - interval '1 hour'")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(outbox.subjects) < 2:
            await outbox.run()
    assert outbox.subjects == ["first", "late"]


async def test_a_mark_passes_over_nothing_of_a_channel_that_rests(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    outbox = Outbox(database)
    await queue(database, workspace_id, letter(ann, "waits", purpose="transactional"))
    async with database.queue_loop() as tx:
        await repository_outbox.begin_break(tx, "email", timedelta(seconds=5), "Connection refused")
    await outbox.run()
    assert outbox.subjects == []
    await move_clock(urls, "6 seconds")
    await outbox.run()
    assert outbox.subjects == ["waits"]
