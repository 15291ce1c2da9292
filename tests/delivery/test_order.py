"""A run's letters go in the order of its steps, also where the first has to be tried again."""

from dataclasses import replace
from uuid import UUID

import pytest

from switchboard.delivery.models import Draft
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from tests.conftest import Urls, freeze_clock, move_clock
from tests.delivery.letters import letter, make_contact
from tests.delivery.sending import Outbox, load, queue, states


@pytest.fixture
async def ann(database: Database, workspace_id: UUID) -> UUID:
    return await make_contact(database, workspace_id, "ann@x.example")


def two_letters(contact_id: UUID) -> tuple[Draft, Draft]:
    first = letter(contact_id, "First", purpose="transactional", run_id=new_id(), run_revision=1)
    return first, replace(first, subject="Second", run_revision=3)


async def test_two_letters_of_a_run_that_are_due_together_go_one_after_the_other(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    await queue(database, workspace_id, *two_letters(ann))
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.subjects == ["First"]
    await move_clock(urls, "2 seconds")
    await outbox.run()
    assert outbox.subjects == ["First", "Second"]


async def test_a_letter_waits_while_the_one_before_is_tried_again(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    first, second = two_letters(ann)
    (first_id,) = await queue(database, workspace_id, first)
    outbox = Outbox(database)
    outbox.fail_next("temporary", "busy", "Come back later.")
    await outbox.run()
    (second_id,) = await queue(database, workspace_id, second)
    await outbox.run()
    assert await states(database, workspace_id, [first_id, second_id]) == [
        ("queued", "retrying"),
        ("queued", "in_order"),
    ]
    await move_clock(urls, "1 minute")
    await outbox.run()
    await move_clock(urls, "2 minutes")
    await outbox.run()
    assert outbox.subjects == ["First", "Second"]


async def test_a_letter_that_the_gate_puts_off_holds_no_later_one_up(
    database: Database, workspace_id: UUID, ann: UUID, urls: Urls
) -> None:
    first, second = two_letters(ann)
    async with database.directory() as tx:
        now = await tx.now()
    freeze_clock(urls, now.replace(hour=1))
    (first_id,) = await queue(database, workspace_id, replace(first, purpose="marketing"))
    outbox = Outbox(database)
    await outbox.run()
    assert (await load(database, workspace_id, first_id)).reason == "quiet_hours"
    await queue(database, workspace_id, second)
    await outbox.run()
    assert outbox.subjects == ["Second"]


async def test_a_page_waits_for_no_letter(database: Database, workspace_id: UUID, ann: UUID) -> None:
    first, second = two_letters(ann)
    outbox = Outbox(database)
    outbox.fail_next("temporary", "busy", "Come back later.")
    await queue(database, workspace_id, first)
    await outbox.run()
    await queue(database, workspace_id, replace(second, purpose="page"))
    await outbox.run()
    assert outbox.subjects == ["Second"]
