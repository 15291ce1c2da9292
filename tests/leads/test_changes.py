"""What people do to leads, and what that sets off."""

from uuid import UUID

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import Event
from switchboard.leads import reversing, service
from switchboard.leads.errors import ClosedError, LeadNotFoundError, OpenAlreadyError, StageUnknownError
from switchboard.leads.models import Reversal
from switchboard.routing import service as routing
from switchboard.routing.errors import AcceptedAlreadyError
from tests.leads.conftest import list_events, open_lead, read


@pytest.fixture
async def lead_id(database: Database, agent: Caller, source_id: UUID) -> UUID:
    """Ada's open lead, which nobody has."""
    return await open_lead(database, agent, source_id)


async def test_accepting_makes_the_caller_the_owner(database: Database, agent: Caller, lead_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
        await service.accept(tx, agent, lead_id)
    lead = await read(database, agent, lead_id)
    assert lead.owner_id == agent.user_id
    assert lead.accepted_at is not None
    assert (await list_events(database, agent, lead_id)).count("lead.accepted") == 1


async def test_the_slower_of_two_is_told_who_was_quicker(
    database: Database, agent: Caller, owner: Caller, lead_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
    with pytest.raises(AcceptedAlreadyError, match="Amir Agent"):
        async with database.transaction(agent.workspace_id) as tx:
            await service.accept(tx, owner, lead_id)
    assert (await read(database, agent, lead_id)).owner_id == agent.user_id


async def test_a_lead_given_to_a_colleague_waits_for_them_to_accept(
    database: Database, agent: Caller, owner: Caller, lead_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
        made = await service.assign(tx, agent, [lead_id], user_id=owner.user_id)
    lead = await read(database, agent, lead_id)
    assert (lead.owner_id, lead.accepted_at) == (owner.user_id, None)
    await undo(database, agent, made)
    assert (await read(database, agent, lead_id)).owner_id == agent.user_id


async def test_taking_a_lead_oneself_accepts_it(database: Database, agent: Caller, lead_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.assign(tx, agent, [lead_id], user_id=agent.user_id)
    assert (await read(database, agent, lead_id)).accepted_at is not None


async def test_a_stranger_cannot_be_given_a_lead(
    database: Database, agent: Caller, stranger: Caller, lead_id: UUID
) -> None:
    with pytest.raises(InvalidError):
        async with database.transaction(agent.workspace_id) as tx:
            await service.assign(tx, agent, [lead_id], user_id=stranger.user_id)
    assert (await read(database, agent, lead_id)).owner_id is None


async def test_winning_closes_frees_the_owner_and_can_be_taken_back(
    database: Database, agent: Caller, lead_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
        made = await service.change_stage(tx, agent, [lead_id], "won")
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.is_open) == ("won", False)
    async with database.transaction(agent.workspace_id) as tx:
        assert (await routing.find_assignments(tx, [lead_id]))[lead_id].state == "released"
        with pytest.raises(ClosedError):
            await service.accept(tx, agent, lead_id)
    await undo(database, agent, made)
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.is_open, lead.owner_id) == ("new", True, agent.user_id)
    kinds = await list_events(database, agent, lead_id)
    assert {"lead.stage_changed", "lead.closed", "lead.released", "lead.reopened"} <= set(kinds)


async def test_moving_where_it_is_changes_nothing(database: Database, agent: Caller, lead_id: UUID) -> None:
    before = await list_events(database, agent, lead_id)
    async with database.transaction(agent.workspace_id) as tx:
        assert await service.change_stage(tx, agent, [lead_id], "new") is None
    assert await list_events(database, agent, lead_id) == before


async def test_a_stage_nobody_knows_is_refused(database: Database, agent: Caller, lead_id: UUID) -> None:
    with pytest.raises(StageUnknownError, match="gone"):
        async with database.transaction(agent.workspace_id) as tx:
            await service.change_stage(tx, agent, [lead_id], "gone")


async def test_junk_needs_a_reason_and_comes_back_through_the_rules(
    database: Database, agent: Caller, lead_id: UUID
) -> None:
    with pytest.raises(InvalidError):
        async with database.transaction(agent.workspace_id) as tx:
            await service.mark_junk(tx, agent, [lead_id], "  ")
    async with database.transaction(agent.workspace_id) as tx:
        made = await service.mark_junk(tx, agent, [lead_id], "spam")
    lead = await read(database, agent, lead_id)
    assert (lead.is_junk, lead.junk_reason, lead.is_open) == (True, "spam", False)
    await undo(database, agent, made)
    lead = await read(database, agent, lead_id)
    assert (lead.is_junk, lead.junk_reason, lead.is_open) == (False, None, True)
    assert (await list_events(database, agent, lead_id)).count("lead.waiting") == 2


async def test_a_second_open_lead_of_one_contact_is_refused(
    database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.change_stage(tx, agent, [lead_id], "lost")
    await open_lead(database, agent, source_id)
    with pytest.raises(OpenAlreadyError, match="Ada Byron"):
        async with database.transaction(agent.workspace_id) as tx:
            await service.reopen(tx, agent, [lead_id])
    assert not (await read(database, agent, lead_id)).is_open


async def test_reopening_puts_a_lost_lead_at_the_beginning(database: Database, agent: Caller, lead_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.change_stage(tx, agent, [lead_id], "lost")
        await service.reopen(tx, agent, [lead_id])
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.is_open) == ("new", True)


async def test_a_value_is_kept_with_what_it_was(database: Database, agent: Caller, lead_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await service.set_value(tx, agent, lead_id, 100, "EUR")
    async with database.transaction(agent.workspace_id) as tx:
        made = await service.set_value(tx, agent, lead_id, 200, "USD")
    await undo(database, agent, made)
    lead = await read(database, agent, lead_id)
    assert (lead.value_minor, lead.currency) == (100, "EUR")


@pytest.mark.parametrize(("value", "currency"), [(-1, "EUR"), (1, None), (None, "EUR"), (1, "eur"), (1, "EURO")])
async def test_a_value_that_cannot_be_is_refused(
    database: Database, agent: Caller, lead_id: UUID, value: int | None, currency: str | None
) -> None:
    with pytest.raises(InvalidError):
        async with database.transaction(agent.workspace_id) as tx:
            await service.set_value(tx, agent, lead_id, value, currency)


async def test_nobody_takes_back_what_a_colleague_did(
    database: Database, agent: Caller, owner: Caller, lead_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        made = await service.change_stage(tx, agent, [lead_id], "contacted")
    assert await undo(database, owner, made) == 0
    assert (await read(database, agent, lead_id)).stage == "contacted"


async def test_a_change_that_was_changed_since_stays(database: Database, agent: Caller, lead_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        made = await service.change_stage(tx, agent, [lead_id], "contacted")
    async with database.transaction(agent.workspace_id) as tx:
        await service.change_stage(tx, agent, [lead_id], "qualified")
    assert await undo(database, agent, made) == 0
    assert (await read(database, agent, lead_id)).stage == "qualified"


async def test_viewers_read_and_strangers_find_nothing(
    database: Database, viewer: Caller, stranger: Caller, lead_id: UUID
) -> None:
    assert (await read(database, viewer, lead_id)).stage == "new"
    with pytest.raises(RoleForbidsError):
        async with database.transaction(viewer.workspace_id) as tx:
            await service.change_stage(tx, viewer, [lead_id], "won")
    with pytest.raises(LeadNotFoundError):
        await read(database, stranger, lead_id)
    with pytest.raises(LeadNotFoundError):
        async with database.transaction(stranger.workspace_id) as tx:
            await service.change_stage(tx, stranger, [lead_id], "won")
    assert (await read(database, viewer, lead_id)).is_open


async def test_a_noted_call_or_a_sent_reply_stops_the_clock(
    database: Database, agent: Caller, source_id: UUID, lead_id: UUID
) -> None:
    other = await open_lead(database, agent, source_id, "Bob Stone")
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, lead_id, "They are in a meeting", is_call=False)
        lead = await service.access_lead(tx, agent, lead_id)
        sent = Event("message.sent", contact_id=lead.contact_id, lead_id=lead_id, data={"purpose": "marketing"})
        await events.append(tx, [sent])
    assert (await read(database, agent, lead_id)).first_responded_at is None
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, lead_id, "Spoke to her", is_call=True)
        reply = Event("message.sent", lead_id=other, data={"purpose": "reply"})
        await events.append(tx, [reply])
    assert (await read(database, agent, lead_id)).first_responded_at is not None
    assert (await read(database, agent, other)).first_responded_at is not None


async def test_who_calls_a_lead_that_nobody_accepted_has_accepted_it(
    database: Database, agent: Caller, owner: Caller, lead_id: UUID
) -> None:
    for caller, is_call in ((owner, False), (agent, True), (owner, True)):
        async with database.transaction(agent.workspace_id) as tx:
            await service.add_note(tx, caller, lead_id, "Spoke to her", is_call=is_call)
    lead = await read(database, agent, lead_id)
    assert (lead.owner_id, lead.accepted_at is not None) == (agent.user_id, True)
    async with database.transaction(agent.workspace_id) as tx:
        statement = "SELECT data ->> 'owner_id' FROM app.event WHERE kind = 'lead.accepted'"
        assert await tx.fetch_tuples(statement) == [(str(agent.user_id),)]


async def undo(database: Database, caller: Caller, made: Reversal | None) -> int:
    assert made is not None
    async with database.transaction(caller.workspace_id) as tx:
        return await reversing.undo(tx, caller, made.first, made.last)
