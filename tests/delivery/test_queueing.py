"""Queueing messages: once a step, with an address, and visible when it cannot be."""

from uuid import UUID

import pytest

from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery import service
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.models import Draft, InboundMessage, Message
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.ids import new_id
from switchboard.people import service as people
from switchboard.people.models import Sighting
from tests.delivery.letters import WELCOME, make_contact


async def test_a_batch_is_queued_with_addresses_lanes_and_stable_message_ids(
    database: Database, workspace_id: UUID, agent: Caller
) -> None:
    ann = await make_contact(database, workspace_id, "ann@x.example")
    drafts = [
        Draft(purpose="marketing", contact_id=ann, subject="A", text="a"),
        Draft(purpose="reply", contact_id=ann, subject="B", text="b", created_by=agent.user_id),
        Draft(purpose="page", user_id=agent.user_id, subject="C", text="c"),
        Draft(purpose="transactional", contact_id=ann, subject="D", text="d", is_urgent=True),
        Draft(purpose="marketing", contact_id=ann, subject="E", text="e", campaign_id=new_id(), priority="low"),
    ]
    async with database.transaction(workspace_id) as tx:
        ids = await service.queue_messages(tx, drafts)
        messages = await service.load_messages(tx, ids)
        lanes = dict(await tx.fetch_tuples("SELECT message_id, lane FROM app.outbox"))
        kinds = await tx.fetch_tuples("SELECT kind, subject_id FROM app.event WHERE kind LIKE 'message.%%'", [])
    assert [messages[one].subject for one in ids] == ["A", "B", "C", "D", "E"]
    assert [messages[one].address for one in ids][1:3] == ["ann@x.example", "amir@acme.example"]
    assert [lanes[one] for one in ids] == [5, 1, 0, 0, 9]
    mail_domain = f"{workspace_id.hex[-8:]}.switchboard.localhost"
    assert messages[ids[0]].header_id == f"<{ids[0].hex}.{workspace_id.hex}@{mail_domain}>"
    assert sorted(kinds) == sorted(("message.queued", one) for one in ids)


async def test_a_step_writes_its_message_once_however_often_it_is_tried(database: Database, workspace_id: UUID) -> None:
    ann, run = await make_contact(database, workspace_id, "ann@x.example"), new_id()
    step = Draft(purpose="marketing", contact_id=ann, run_id=run, run_revision=3, subject="A", text="a")
    other = Draft(purpose="marketing", contact_id=ann, run_id=run, run_revision=4, subject="B", text="b")
    async with database.transaction(workspace_id) as tx:
        first = await service.queue_messages(tx, [step])
    async with database.transaction(workspace_id) as tx:
        again = await service.queue_messages(tx, [other, step, step])
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 2
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'message.queued'") == 2
    assert again[1:] == [first[0], first[0]]
    assert again[0] != first[0]


async def test_who_has_no_address_gets_a_dropped_message_that_says_so(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        found = await people.recognise(tx, [Sighting(name="Nobody Reachable")], "DE")
        drafts = [Draft(purpose="marketing", contact_id=found[0].contact_id, subject="A", text="a")]
        message = (await service.load_messages(tx, await service.queue_messages(tx, drafts))).popitem()[1]
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0
    assert (message.state, message.reason) == ("dropped", "no_address")
    assert message.detail == "The contact has no address for email."


async def test_a_template_that_is_not_there_fails_the_message_and_not_the_batch(
    database: Database, workspace_id: UUID
) -> None:
    ann = await make_contact(database, workspace_id, "ann@x.example")
    async with database.transaction(workspace_id) as tx:
        await create_template(tx, system_caller(workspace_id), WELCOME)
        names = ("gone", "welcome")
        ids = await service.queue_messages(
            tx, [Draft(purpose="marketing", contact_id=ann, template_name=name) for name in names]
        )
        messages = await service.load_messages(tx, ids)
    assert [messages[one].state for one in ids] == ["failed", "queued"]
    assert messages[ids[0]].detail == "There is no template called gone."
    assert messages[ids[1]].template_version == 1


async def test_the_number_of_statements_does_not_grow_with_the_batch(database: Database, workspace_id: UUID) -> None:
    ann = await make_contact(database, workspace_id, "ann@x.example")
    counts = []
    for size in (1, 200):
        drafts = [Draft(purpose="marketing", contact_id=ann, subject="A", text="a")] * size
        async with database.transaction(workspace_id) as tx:
            with recorded_queries() as statements:
                await service.queue_messages(tx, drafts)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 10


async def test_a_stop_takes_queued_messages_back_with_its_reason(database: Database, workspace_id: UUID) -> None:
    ann, runs = await make_contact(database, workspace_id, "ann@x.example"), [new_id(), new_id()]
    drafts = [
        Draft(purpose="marketing", contact_id=ann, run_id=run, run_revision=1, subject="A", text="a") for run in runs
    ]
    async with database.transaction(workspace_id) as tx:
        ids = await service.queue_messages(tx, drafts)
        assert await service.drop_queued(tx, runs[:1], "they answered") == ids[:1]
    async with database.transaction(workspace_id) as tx:
        messages = await service.load_messages(tx, ids)
        assert await tx.fetch_tuples("SELECT message_id FROM app.outbox") == [(ids[1],)]
    assert [messages[one].state for one in ids] == ["dropped", "queued"]
    assert messages[ids[0]].detail == "It was called back before it went out: they answered."


async def test_mail_that_comes_in_is_kept_once_and_found_by_its_message_id(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID
) -> None:
    inbound = InboundMessage(address="ann@x.example", header_id="<one@x.example>", subject="Re", text="Yes")
    async with database.transaction(workspace_id) as tx:
        first = await service.record_inbound(tx, inbound)
        assert await service.record_inbound(tx, inbound) == first
        found = await service.find_message_by_header_ids(tx, ["<none@x>", "<one@x.example>"])
        assert await service.find_message_by_header_ids(tx, []) is None
    async with database.transaction(strangers_workspace_id) as tx:
        assert await service.find_message_by_header_ids(tx, ["<one@x.example>"]) is None
    assert isinstance(found, Message)
    assert (found.id, found.direction, found.state) == (first, "in", "received")


@pytest.mark.parametrize("size", [3])
async def test_a_contacts_messages_are_paged_newest_first(database: Database, workspace_id: UUID, size: int) -> None:
    ann = await make_contact(database, workspace_id, "ann@x.example")
    async with database.transaction(workspace_id) as tx:
        drafts = [Draft(purpose="marketing", contact_id=ann, subject=str(number), text="") for number in range(size)]
        ids = await service.queue_messages(tx, drafts)
        newest = await service.list_messages_of_contact(tx, ann, limit=2)
        older = await service.list_messages_of_contact(tx, ann, before=newest[-1].id, limit=2)
    assert [message.id for message in newest + older] == ids[::-1]
