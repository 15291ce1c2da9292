"""Leases: whoever took a message and is late changes nothing, and one that is left behind is taken back."""

import asyncio
from datetime import timedelta
from uuid import UUID

from switchboard.delivery import repository_outbox, service
from switchboard.delivery.channels.base import SendError
from switchboard.delivery.claiming import Claimer
from switchboard.delivery.completing import Completer, Outcome
from switchboard.delivery.letters import write
from switchboard.delivery.models import no_lead_facts
from switchboard.delivery.pacing import Room
from switchboard.kernel.db import Database
from tests.conftest import Urls, move_clock
from tests.delivery.letters import letter
from tests.delivery.sending import (
    LETTERHEAD,
    Outbox,
    event_kinds,
    outbox_rows,
    queue,
    states,
)
from tests.locks import wait_until_somebody_waits
from tests.timeouts import timing_out


async def test_a_late_writer_changes_nothing(database: Database, workspace_id: UUID, ann: UUID, urls: Urls) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose="transactional"))
    claimer = Claimer(database, LETTERHEAD, no_lead_facts)
    stale = (await claimer.claim(["email"], Room(10, 10))).outgoing[0]
    await move_clock(urls, "61 seconds")
    outbox = Outbox(database)
    assert await outbox.reap() == 1
    fresh = (await claimer.claim(["email"], Room(10, 10))).outgoing[0]
    assert (stale.token, fresh.token) == (1, 2)
    failure = SendError("permanent", "550", "5.1.1 no such user", at_fault="recipient")
    assert await Completer(database).complete([Outcome(stale, 0.1, "no", write(stale.content), failure)]) == 0
    assert await states(database, workspace_id, [message_id]) == [("sending", None)]
    assert await Completer(database).complete([Outcome(fresh, 0.1, "yes", write(fresh.content))]) == 1
    assert await Completer(database).complete([Outcome(stale, 0.1, "no", write(stale.content), failure)]) == 0
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]
    assert write(stale.content).envelope.key == write(fresh.content).envelope.key


async def test_a_message_that_is_just_being_taken_anew_is_waited_for_and_left_alone(
    database: Database, workspace_id: UUID, ann: UUID
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose="transactional"))
    stale = (await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))).outgoing[0]
    async with database.queue_loop() as another:
        await repository_outbox.take(another, [message_id], timedelta(minutes=1))
        outcome = Outcome(stale, 0.1, "yes", write(stale.content))
        settling = asyncio.create_task(Completer(database).complete([outcome]))
        await wait_until_somebody_waits(database)
    assert await settling == 0
    assert await states(database, workspace_id, [message_id]) == [("sending", None)]
    assert await outbox_rows(database) == 1
    async with database.transaction(workspace_id) as tx:
        assert await service.list_attempts(tx, message_id) == []


async def test_of_two_tries_of_a_message_in_one_batch_the_last_counts(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose="transactional"))
    claimer = Claimer(database, LETTERHEAD, no_lead_facts)
    stale = (await claimer.claim(["email"], Room(10, 10))).outgoing[0]
    await move_clock(urls, "61 seconds")
    assert await Outbox(database).reap() == 1
    fresh = (await claimer.claim(["email"], Room(10, 10))).outgoing[0]
    later = SendError("retryable", "busy", "Come back later.")
    outcomes = [
        Outcome(stale, 0.1, "no", write(stale.content), later),
        Outcome(fresh, 0.1, "yes", write(fresh.content)),
        Outcome(stale, 0.1, "yes", write(stale.content)),
    ]
    assert await Completer(database).complete(outcomes) == 1
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]
    assert await event_kinds(database, workspace_id, message_id) == ["message.queued", "message.sent"]
    assert await outbox_rows(database) == 0


async def test_an_outcome_that_cannot_be_written_keeps_no_other_from_it(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    drafts = [letter(ann, subject, purpose="transactional") for subject in ("Bad", "Good", "Fine")]
    ids = bad, *_ = await queue(database, workspace_id, *drafts)
    outbox = Outbox(database)
    with timing_out(urls, "app.message", f"NEW.id = '{bad}'"):
        await outbox.run()
        assert await states(database, workspace_id, ids) == [("sending", None), ("sent", None), ("sent", None)]
        (good,) = await queue(database, workspace_id, letter(ann, "Lost", purpose="transactional"))
        await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))
        await move_clock(urls, "2 minutes")
        assert await outbox.reap() == 2
        await outbox.run()
        assert await states(database, workspace_id, [bad, good]) == [("sending", None), ("sent", None)]
    assert await outbox.reap() == 1
    await outbox.run()
    assert await states(database, workspace_id, [bad]) == [("sent", None)]
    assert len(set(outbox.header_ids)) == 4


async def test_a_lease_that_has_not_run_out_is_left_alone(database: Database, workspace_id: UUID, ann: UUID) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))
    outbox = Outbox(database)
    assert await outbox.reap() == 0
    await outbox.run()
    assert outbox.channel.envelopes == []
    assert await states(database, workspace_id, [message_id]) == [("sending", None)]


async def test_what_one_reaper_holds_another_passes_by(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await queue(database, workspace_id, letter(ann))
    await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(slots=10, slots_for_flows=10))
    await move_clock(urls, "2 minutes")
    async with database.queue_loop() as first, database.queue_loop() as second:
        assert len(await repository_outbox.claim_expired(first, 10)) == 1
        assert await repository_outbox.claim_expired(second, 10) == []


async def test_after_a_crash_between_sending_and_writing_it_down_the_same_message_id_goes_again(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann))
    crashed = (await Claimer(database, LETTERHEAD, no_lead_facts).claim(["email"], Room(10, 10))).outgoing[0]
    await move_clock(urls, "61 seconds")
    outbox = Outbox(database)
    assert await outbox.reap() == 1
    await outbox.run()
    assert outbox.header_ids == [crashed.message.header_id]
    async with database.transaction(workspace_id) as tx:
        attempts = await service.list_attempts(tx, message_id)
    assert sorted((attempt.token, attempt.outcome) for attempt in attempts) == [(1, "lease_expired"), (2, "sent")]


async def test_a_message_whose_process_always_dies_is_given_up(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    (message_id,) = await queue(database, workspace_id, letter(ann, purpose="transactional"))
    outbox, claimer = Outbox(database), Claimer(database, LETTERHEAD, no_lead_facts)
    for number in range(1, 11):
        assert len((await claimer.claim(["email"], Room(10, 10))).outgoing) == 1
        await move_clock(urls, f"{number * 61} seconds")
        assert await outbox.reap() == 1
    assert await states(database, workspace_id, [message_id]) == [("failed", "too_many_attempts")]
    assert await outbox_rows(database) == 0
