"""What a row of a list says of a lead."""

from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.leads import listing, service
from switchboard.leads.models import LeadFilter, LeadSummary
from switchboard.routing import service as routing
from tests.leads.conftest import open_lead, read


async def summary_of(database: Database, caller: Caller, chosen: LeadFilter) -> LeadSummary:
    async with database.transaction(caller.workspace_id) as tx:
        names = await listing.load_names(tx)
        (found,) = (await listing.list_leads(tx, caller, chosen, names)).leads
    return found


async def test_the_clock_counts_to_the_next_escalation(database: Database, agent: Caller, source_id: UUID) -> None:
    lead_id = await open_lead(database, agent, source_id)
    answer_by = (await read(database, agent, lead_id)).respond_by
    assert (await summary_of(database, agent, LeadFilter())).clock == answer_by
    async with database.transaction(agent.workspace_id) as tx:
        five = timedelta(minutes=5)
        await routing.assign(tx, [lead_id], user_id=agent.user_id, accept_within=five, trigger="test")
        accept_by = await tx.now() + five
    assert (await summary_of(database, agent, LeadFilter())).clock == accept_by
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
    assert (await summary_of(database, agent, LeadFilter())).clock == answer_by
    async with database.transaction(agent.workspace_id) as tx:
        await service.add_note(tx, agent, lead_id, "Spoke to her", is_call=True)
    assert (await summary_of(database, agent, LeadFilter())).clock is None


async def test_a_row_names_stage_owner_and_source(database: Database, agent: Caller, source_id: UUID) -> None:
    lead_id = await open_lead(
        database, agent, source_id, title="Kitchen\nwith an island", value_minor=5, currency="EUR"
    )
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
        await service.change_stage(tx, agent, [lead_id], "won")
    found = await summary_of(database, agent, LeadFilter(view="closed"))
    assert (found.name, found.title, found.value_minor, found.currency) == ("Ada Byron", "Kitchen", 5, "EUR")
    assert (found.stage_title, found.stage_kind, found.owner_name) == ("Won", "won", "Amir Agent")
    assert (found.source_name, found.is_accepted, found.clock) == ("Website", True, None)


async def test_the_board_has_a_column_a_stage_with_its_count(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    for number in range(27):
        await open_lead(database, agent, source_id, f"Person {number}")
    async with database.transaction(agent.workspace_id) as tx:
        names = await listing.load_names(tx)
        columns = await listing.list_board(tx, agent, LeadFilter(), names)
        deep = await listing.list_board(tx, agent, LeadFilter(), names, deep="new")
        mine = await listing.list_board(tx, agent, LeadFilter(is_unowned=True), names)
    assert [(column.stage.key, len(column.leads), column.count) for column in columns[:2]] == [
        ("new", 25, 27),
        ("contacted", 0, 0),
    ]
    assert (columns[0].has_more, columns[0].is_counted) == (True, True)
    assert (len(deep[0].leads), deep[0].has_more) == (27, False)
    # Under a filter a column that goes on does not know how far.
    assert (mine[0].count, mine[0].is_counted, mine[0].has_more) == (25, False, True)
