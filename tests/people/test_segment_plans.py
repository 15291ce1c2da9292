"""How Postgres looks for the members of segments: by indexes, however little it knows of the tables."""

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import segment_vocabulary
from switchboard.kernel.db import Database
from switchboard.people import repository_membership, repository_segments, repository_tags
from switchboard.people.models import Sighting
from switchboard.people.segment_loop import predicate_of
from tests.people.segment_world import filled, meet
from tests.plans import ExplainingTx

CONDITIONS = {
    'events.exists(e, e.kind == "message.sent")': "contact_id_id_idx",
    # Two indexes hold a contact's leads; which one is cheaper the statistics decide.
    "leads.exists(l, l.is_open && l.value > 5)": "using lead_",
    '"vip" in contact.tags': "contact_tag",
    'consents.exists(k, k.channel == "email")': "consent_by_contact",
    "has(contact.email)": "identity_by_contact",
}


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_contacts_are_settled_by_indexes(database: Database, agent: Caller, condition: str) -> None:
    people = await meet(database, agent, *(Sighting(email=f"p{number}@x.example") for number in range(200)))
    segment = await filled(database, agent, condition)
    predicate = predicate_of(condition, segment_vocabulary())
    async with database.transaction(agent.workspace_id) as tx:
        explaining = ExplainingTx(tx, agent.workspace_id)
        await tx.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
        await repository_membership.settle_contacts(explaining, segment.id, predicate, people[:5])
        await repository_membership.settle_slice(
            explaining, segment.id, predicate, people[0], people[-1], is_first=True
        )
    for plan in explaining.plans:
        assert "Seq Scan" not in plan
        assert CONDITIONS[condition] in plan
        # Asked for each contact by itself, never as a join over all that happened to anybody.
        assert "SubPlan" in plan
        assert "Semi Join" not in plan
        assert "hashed SubPlan" in plan


@pytest.mark.usefixtures("never_analysed")
async def test_lists_walk_their_indexes(database: Database, agent: Caller) -> None:
    people = await meet(database, agent, "Ada", "Bob")
    segment = await filled(database, agent, "true")
    async with database.transaction(agent.workspace_id) as tx:
        explaining = ExplainingTx(tx, agent.workspace_id)
        await tx.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
        await repository_segments.list_members(explaining, segment.id, people[0], 10)
        await repository_segments.list_entered(explaining, segment.id, 10)
        await repository_segments.list_of_contact(explaining, people[0], 10)
        await repository_tags.list_tagged(explaining, "vip", people[1], 10)
        await repository_tags.list_known(explaining, 10)
        await repository_membership.mark_dirty(explaining, [(people[0], "contact")])
    wanted = ("segment_member_pkey", "segment_member_entered", "segment_member_by_contact", "contact_tag_pkey")
    plans = [plan for plan in explaining.plans if " on identity" not in plan or "contact_tag" in plan]
    for index, plan in zip((*wanted, "contact_tag_pkey", "Index Scan using segment_"), plans, strict=True):
        assert index in plan
