"""What puts an address on the list, what takes it off, and what is not believed."""

from dataclasses import replace
from uuid import UUID

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.delivery import service, suppressing
from switchboard.delivery.bounces import Bounce
from switchboard.delivery.errors import SuppressionNotFoundError
from switchboard.delivery.holder import MessageHolder
from switchboard.delivery.models import Draft
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.people import service as people
from tests.delivery.letters import make_contact
from tests.delivery.sending import Outbox, event_kinds, load, queue

HARD = Bounce("ann@x.example", "hard", "5.1.1", "550 no such user", None)


@pytest.fixture
async def sent_id(database: Database, workspace_id: UUID, ann: UUID) -> UUID:
    """A message that went out to the contact."""
    (message_id,) = await queue(
        database, workspace_id, Draft(purpose="marketing", contact_id=ann, subject="Hi", text="Hi")
    )
    await Outbox(database).run()
    return message_id


async def bounce(database: Database, workspace_id: UUID, report: Bounce) -> bool:
    async with database.transaction(workspace_id) as tx:
        return await service.record_bounce(tx, report) is not None


async def suppressed(database: Database, workspace_id: UUID) -> list[tuple[str, str]]:
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT value, reason FROM app.suppression ORDER BY value")
    return [(value, reason) for value, reason in rows]


async def test_mail_that_came_back_for_good_suppresses_its_address_once(
    database: Database, workspace_id: UUID, sent_id: UUID
) -> None:
    message = await load(database, workspace_id, sent_id)
    report = replace(HARD, original_message_id=message.header_id)
    assert await bounce(database, workspace_id, report)
    assert await bounce(database, workspace_id, report)
    after = await load(database, workspace_id, sent_id)
    assert (after.state, after.reason) == ("bounced", "bounced")
    assert after.detail == "The mail system of ann@x.example reports: 5.1.1 550 no such user"
    assert await suppressed(database, workspace_id) == [("ann@x.example", "bounced")]
    assert await event_kinds(database, workspace_id, sent_id) == [
        "message.queued",
        "message.sent",
        "message.bounced",
        "suppression.added",
    ]


async def test_a_delay_is_noted_and_suppresses_nobody(database: Database, workspace_id: UUID, sent_id: UUID) -> None:
    message = await load(database, workspace_id, sent_id)
    report = replace(HARD, kind="soft", status="4.4.1", original_message_id=message.header_id)
    assert await bounce(database, workspace_id, report)
    after = await load(database, workspace_id, sent_id)
    assert (after.state, after.reason) == ("sent", "delayed")
    assert await suppressed(database, workspace_id) == []


async def test_a_complaint_opts_the_contact_out(
    database: Database, workspace_id: UUID, ann: UUID, sent_id: UUID
) -> None:
    message = await load(database, workspace_id, sent_id)
    assert await bounce(database, workspace_id, replace(HARD, kind="complaint", original_message_id=message.header_id))
    async with database.transaction(workspace_id) as tx:
        assert (await people.load_contacts(tx, [ann]))[ann].opted_out_at is not None
    assert await suppressed(database, workspace_id) == [("ann@x.example", "complained")]


@pytest.mark.parametrize("header_id", [None, "<made-up@x.example>"])
async def test_a_report_that_does_not_know_our_message_id_is_not_believed(
    database: Database, workspace_id: UUID, sent_id: UUID, header_id: str | None
) -> None:
    assert not await bounce(database, workspace_id, replace(HARD, original_message_id=header_id))
    assert await suppressed(database, workspace_id) == []
    assert (await load(database, workspace_id, sent_id)).state == "sent"


async def test_a_report_to_another_workspace_changes_nothing(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID, sent_id: UUID
) -> None:
    message = await load(database, workspace_id, sent_id)
    report = replace(HARD, original_message_id=message.header_id)
    assert not await bounce(database, strangers_workspace_id, report)
    assert await suppressed(database, workspace_id) == []


async def test_only_admins_take_an_address_off_the_list_and_say_why(
    database: Database, workspace_id: UUID, owner: Caller, agent: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        assert await suppressing.suppress_by_hand(tx, agent, "+49 151 12345678") == "+4915112345678"
        with pytest.raises(RoleForbidsError):
            await service.unsuppress(tx, agent, "phone", "+4915112345678", "asked")
        with pytest.raises(InvalidError):
            await service.unsuppress(tx, owner, "phone", "+4915112345678", " ")
        with pytest.raises(SuppressionNotFoundError):
            await service.unsuppress(tx, owner, "email", "+4915112345678", "asked")
        assert await suppressing.is_suppressed(tx, "phone", "+4915112345678")
        await service.unsuppress(tx, owner, "phone", "+4915112345678", "asked")
        assert not await suppressing.is_suppressed(tx, "phone", "+4915112345678")


@pytest.mark.parametrize("text", ["", "nobody", "0151 12345678", "a@", "@x.example"])
async def test_what_is_no_address_is_refused_in_words(
    database: Database, workspace_id: UUID, agent: Caller, text: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        with pytest.raises(InvalidError):
            await suppressing.suppress_by_hand(tx, agent, text)
    assert await suppressed(database, workspace_id) == []


async def test_messages_follow_a_contact_that_is_merged_and_come_back(
    database: Database, workspace_id: UUID, ann: UUID, sent_id: UUID
) -> None:
    other, holder = await make_contact(database, workspace_id, "ann2@x.example"), MessageHolder()
    async with database.transaction(workspace_id) as tx:
        moved = await holder.move(tx, ann, other)
        assert moved == [sent_id]
        assert [one.id for one in await service.list_messages_of_contact(tx, other)] == [sent_id]
        await holder.move_back(tx, moved, ann)
        assert await service.list_messages_of_contact(tx, other) == []
        assert [one.id for one in await service.list_messages_of_contact(tx, ann)] == [sent_id]
