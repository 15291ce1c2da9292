"""Taking back what one member just did to leads: the log says what it was, so nothing else need be remembered."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.leads import changes, repository
from switchboard.leads.models import Lead
from switchboard.leads.stages import list_stages

Change = tuple[str, UUID, Mapping[str, object]]


async def undo(tx: Tx, caller: Caller, first: UUID, last: UUID) -> int:
    """Take back the caller's own changes between two events; returns how many leads are as they were.

    A lead that has been changed again since stays as it is. Only changes of the last quarter of an hour are known.
    """
    caller.require("agent")
    made = await repository.list_own_changes(tx, first, last, caller.user_id)
    leads = await repository.lock(tx, {lead_id for _, lead_id, _ in made})
    return (
        await _undo_stages(tx, caller, made, leads)
        + await _undo_junk(tx, caller, made, leads)
        + await _undo_values(tx, caller, made, leads)
        + await _undo_owners(tx, caller, made, leads)
    )


async def _undo_stages(tx: Tx, caller: Caller, made: list[Change], leads: Mapping[UUID, Lead]) -> int:
    stages = {stage.key: stage for stage in await list_stages(tx)}
    back: dict[str, list[Lead]] = defaultdict(list)
    for kind, lead_id, data in made:
        if kind == "lead.stage_changed" and lead_id in leads and leads[lead_id].stage == data["to"]:
            back[str(data["from"])].append(leads[lead_id])
    for key in sorted(back.keys() & stages.keys()):
        await changes.move_to_stage(tx, caller.actor, back[key], stages[key])
    return sum(len(back[key]) for key in back.keys() & stages.keys())


async def _undo_junk(tx: Tx, caller: Caller, made: list[Change], leads: Mapping[UUID, Lead]) -> int:
    junked = _still(made, leads, "lead.junked", is_junk=True)
    brought = _still(made, leads, "lead.unjunked", is_junk=False)
    await changes.clear_junk(tx, caller.actor, junked)
    await changes.write_junk(tx, caller.actor, brought, "marked as junk again")
    return len(junked) + len(brought)


def _still(made: list[Change], leads: Mapping[UUID, Lead], kind: str, *, is_junk: bool) -> list[Lead]:
    changed = [leads[lead_id] for made_kind, lead_id, _ in made if made_kind == kind and lead_id in leads]
    return [lead for lead in changed if lead.is_junk == is_junk]


async def _undo_values(tx: Tx, caller: Caller, made: list[Change], leads: Mapping[UUID, Lead]) -> int:
    undone = 0
    for kind, lead_id, data in made:
        lead = leads.get(lead_id)
        if kind != "lead.valued" or lead is None or lead.value_minor != data["value_minor"]:
            continue
        value, currency = data["previous_value_minor"], data["previous_currency"]
        before = value if isinstance(value, int) else None
        await changes.write_value(tx, caller.actor, [lead], before, str(currency) if currency else None)
        undone += 1
    return undone


async def _undo_owners(tx: Tx, caller: Caller, made: list[Change], leads: Mapping[UUID, Lead]) -> int:
    """Give leads back to whom they belonged; one that was nobody's stays where it is."""
    back: dict[UUID, list[Lead]] = defaultdict(list)
    for kind, lead_id, data in made:
        lead = leads.get(lead_id)
        if kind == "lead.assigned" and lead is not None and str(lead.owner_id) == data["owner_id"]:
            former = data["previous_owner_id"]
            if former is not None and lead.is_open:
                back[UUID(str(former))].append(lead)
    for owner_id in sorted(back):
        await changes.give(tx, caller.actor, back[owner_id], user_id=owner_id, trigger="taken back")
    return sum(len(group) for group in back.values())
