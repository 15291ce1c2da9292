"""Leads as flows know them."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.flows.subjects import Facts
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor
from switchboard.leads import changes, repository
from switchboard.leads.facts import load_facts
from switchboard.leads.models import Lead
from switchboard.leads.stages import get_stage, list_stages

JUNKED_BY_FLOW = "marked by a flow"


class LeadKind:
    """The kind of subject that `subject: lead` names in a flow."""

    kind = "lead"

    async def load_facts(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Facts]:
        """The facts of many leads in a bounded number of queries."""
        return await load_facts(tx, ids)

    async def lock(self, tx: Tx, ids: Sequence[UUID]) -> None:
        """Hold leads against changes by others."""
        await repository.lock(tx, ids)

    async def change(self, tx: Tx, ids: Sequence[UUID], field: str, value: object, actor: Actor) -> None:
        """Write one value to leads, as a person would; leads that have it already are left alone."""
        leads = list((await repository.lock(tx, ids)).values())
        if field == "stage":
            await _change_stage(tx, leads, str(value), actor)
        elif field == "value" and isinstance(value, int):
            await _change_value(tx, leads, value, actor)
        elif field == "junk" and value is True:
            await changes.write_junk(tx, actor, [lead for lead in leads if not lead.is_junk], JUNKED_BY_FLOW)
        elif field == "junk" and value is False:
            await changes.clear_junk(tx, actor, [lead for lead in leads if lead.is_junk])
        elif field.startswith("fields."):
            name = field.removeprefix("fields.")
            differing = [lead for lead in leads if lead.fields.get(name) != value]
            if differing:
                await changes.write_fields(tx, actor, differing, {name: str(value)})
        else:
            problem = Problem(field, "a flow may set stage, value, junk and fields")
            raise InvalidError(f"A lead has no {field} to set.", problems=[problem])

    async def current_owner(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
        """Who has each lead now."""
        return {lead.id: lead.owner_id for lead in (await repository.load(tx, ids)).values()}

    async def list_stages(self, tx: Tx) -> frozenset[str] | None:
        """The keys of the stages there are."""
        return frozenset(stage.key for stage in await list_stages(tx))


async def _change_stage(tx: Tx, leads: Sequence[Lead], key: str, actor: Actor) -> None:
    stage = await get_stage(tx, key)
    await changes.move_to_stage(tx, actor, [lead for lead in leads if lead.stage != key], stage)


async def _change_value(tx: Tx, leads: Sequence[Lead], value: int, actor: Actor) -> None:
    """The currency stays; a lead that had none yet keeps none, and its value is a bare number."""
    by_currency: dict[str | None, list[Lead]] = {}
    for lead in leads:
        if lead.value_minor != value:
            by_currency.setdefault(lead.currency, []).append(lead)
    for currency, group in by_currency.items():
        await changes.write_value(tx, actor, group, value, currency)
