"""What rules, flows and letters may know of a lead.

The names are those of `flows.definition.FLOW_FIELDS` and `routing.fields.RULE_FIELDS`: one set of facts serves both.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Member
from switchboard.flows.definition import FLOW_FIELDS
from switchboard.flows.subjects import Facts
from switchboard.kernel.db import Tx
from switchboard.kernel.expressions import Fields
from switchboard.leads import repository, repository_lists
from switchboard.leads.models import Lead, Stage
from switchboard.leads.repository_lists import SourceName
from switchboard.leads.stages import list_stages
from switchboard.people import service as people
from switchboard.people.models import Contact
from switchboard.routing.fields import RULE_FIELDS

LEAD_FIELDS: Fields = {**RULE_FIELDS, **FLOW_FIELDS}


async def load_facts(tx: Tx, lead_ids: Sequence[UUID]) -> dict[UUID, Facts]:
    """The facts of these leads, in five queries however many they are; unknown ids are missing."""
    leads = await repository.load(tx, lead_ids)
    if not leads:
        return {}
    contacts = await people.load_contacts(tx, {lead.contact_id for lead in leads.values()})
    sources = await repository_lists.list_sources(tx)
    stages = {stage.key: stage for stage in await list_stages(tx)}
    members = {member.user_id: member for member in await tx.remember("members", accounts.list_members)}
    found = {}
    for lead in leads.values():
        owner = members.get(lead.owner_id) if lead.owner_id else None
        source = sources.get(lead.source_id)
        values = {
            "lead": _lead_facts(lead, stages.get(lead.stage), source, owner),
            "contact": _contact_facts(contacts.get(lead.contact_id)),
            "source": _source_facts(lead, source),
            "owner": _owner_facts(owner),
        }
        found[lead.id] = Facts(lead.contact_id, values)
    return found


async def load_values(tx: Tx, lead_ids: Sequence[UUID]) -> dict[UUID, Mapping[str, object]]:
    """As `load_facts`, for those who know whose the leads are."""
    return {lead_id: facts.values for lead_id, facts in (await load_facts(tx, lead_ids)).items()}


def _lead_facts(
    lead: Lead, stage: Stage | None, source: SourceName | None, owner: Member | None
) -> Mapping[str, object]:
    return {
        "id": str(lead.id),
        "title": lead.title,
        "stage": lead.stage,
        "outcome": stage.outcome if stage else "",
        "owner": owner.email if owner else "",
        "source": source.name if source else "",
        "value": lead.value_minor,
        "currency": lead.currency or "",
        "signals": lead.signals,
        "junk": lead.is_junk,
        "fields": lead.fields,
        "utm": lead.utm,
        "created_at": lead.created_at,
        "accepted_at": lead.accepted_at,
        "first_responded_at": lead.first_responded_at,
        "closed_at": lead.closed_at,
    }


def _contact_facts(contact: Contact | None) -> Mapping[str, object]:
    if contact is None:
        return {}
    return {**people.contact_facts(contact), "created_at": contact.created_at}


def _source_facts(lead: Lead, source: SourceName | None) -> Mapping[str, object]:
    return {
        "id": str(lead.source_id),
        "name": source.name if source else "",
        "format": source.format if source else "",
    }


def _owner_facts(owner: Member | None) -> Mapping[str, object]:
    if owner is None:
        return {"id": "", "name": "", "email": ""}
    return {"id": str(owner.user_id), "name": owner.name, "email": owner.email}
