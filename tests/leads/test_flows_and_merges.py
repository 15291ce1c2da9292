"""Leads as flows know and change them, and what a merge of contacts does to them."""

from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.flows.definition import FLOW_FIELDS
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import Actor
from switchboard.kernel.expressions import compile_expression
from switchboard.kernel.ids import new_id
from switchboard.leads import service
from switchboard.leads.facts import LEAD_FIELDS
from switchboard.leads.holder import LeadHolder
from switchboard.leads.subject import LeadKind
from switchboard.people import merging
from switchboard.routing import service as routing
from switchboard.routing.fields import RULE_FIELDS
from tests.leads.conftest import list_events, meet, open_lead, read

FLOW = Actor("flow", new_id())


async def test_the_facts_hold_every_name_that_rules_and_flows_may_read(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    lead_id = await open_lead(database, agent, source_id, value_minor=5_000, currency="EUR", utm={"source": "ads"})
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lead_id)
        facts = (await service.load_facts(tx, [lead_id, new_id()]))[lead_id]
    for name in {*RULE_FIELDS, *FLOW_FIELDS} - {"event"}:
        noun, _, field = name.partition(".")
        assert field in facts.values[noun], name
    condition = (
        'lead.value > 4000 && lead.owner == "amir@acme.example" && lead.source == "Website" && !lead.junk'
        ' && lead.outcome == "" && lead.utm.source == "ads" && contact.name == "Ada Byron"'
    )
    assert compile_expression(condition, LEAD_FIELDS).evaluate(facts.values)
    assert facts.values["owner"]["name"] == "Amir Agent"


async def test_a_flow_changes_what_a_person_could(database: Database, agent: Caller, source_id: UUID) -> None:
    lead_id = await open_lead(database, agent, source_id)
    kind = LeadKind()
    async with database.transaction(agent.workspace_id) as tx:
        for field, value in (("stage", "qualified"), ("value", 700), ("fields.plan", "gold"), ("junk", True)):
            await kind.change(tx, [lead_id], field, value, FLOW)
            await kind.change(tx, [lead_id], field, value, FLOW)
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.value_minor, lead.fields["plan"], lead.is_junk) == ("qualified", 700, "gold", True)
    kinds = await list_events(database, agent, lead_id)
    assert [kinds.count(f"lead.{verb}") for verb in ("stage_changed", "valued", "updated", "junked")] == [1, 1, 1, 1]
    async with database.transaction(agent.workspace_id) as tx:
        await kind.change(tx, [lead_id], "junk", value=False, actor=FLOW)
        assert await kind.current_owner(tx, [lead_id]) == {lead_id: None}
        assert await kind.list_stages(tx) == frozenset(("new", "contacted", "qualified", "proposal", "won", "lost"))
        with pytest.raises(InvalidError):
            await kind.change(tx, [lead_id], "owner", "somebody", FLOW)
    assert (await read(database, agent, lead_id)).is_open


async def test_a_merge_leaves_one_open_lead_and_an_undo_brings_the_other_back(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    kept_lead = await open_lead(database, agent, source_id, "Ada Byron")
    lost_lead = await open_lead(database, agent, source_id, "Ada King")
    async with database.transaction(agent.workspace_id) as tx:
        await service.accept(tx, agent, lost_lead)
        ada, king = await meet(tx, "Ada Byron"), await meet(tx, "Ada King")
    async with database.transaction(agent.workspace_id) as tx:
        merge_id = await merging.merge(tx, agent, ada, king, [LeadHolder()])
    joined = await read(database, agent, lost_lead)
    assert (joined.contact_id, joined.is_open, joined.joined_into) == (ada, False, kept_lead)
    assert (await read(database, agent, kept_lead)).is_open
    async with database.transaction(agent.workspace_id) as tx:
        await merging.undo(tx, agent, merge_id, [LeadHolder()])
    back = await read(database, agent, lost_lead)
    assert (back.contact_id, back.is_open, back.joined_into) == (king, True, None)
    assert back.owner_id == agent.user_id
    async with database.transaction(agent.workspace_id) as tx:
        assert (await routing.find_assignments(tx, [lost_lead]))[lost_lead].state == "accepted"
