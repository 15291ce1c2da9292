"""What happens to leads that are there: stage, value, junk. Each change writes rows and events and tells routing.

These functions act for whoever is named, a flow too; `service` checks what a person may do and locks the rows.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.leads import repository
from switchboard.leads.errors import OpenAlreadyError
from switchboard.leads.facts import load_facts
from switchboard.leads.models import Lead, Stage
from switchboard.leads.stages import list_stages
from switchboard.people import service as people
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject


async def move_to_stage(tx: Tx, actor: Actor, leads: Sequence[Lead], stage: Stage) -> list[Event]:
    """Put locked leads into a stage, which may close or reopen them; returns the events that say so.

    Raises OpenAlreadyError when one would be the second open lead of its contact.
    """
    if not leads:
        return []
    ids = [lead.id for lead in leads]
    async with _one_open_lead_each(tx, leads):
        await repository.write_stage(tx, ids, stage.key, is_open=stage.is_open)
    closing = [lead for lead in leads if lead.is_open and not stage.is_open]
    reopening = [lead for lead in leads if not lead.is_open and stage.is_open and not lead.is_junk]
    moved = [
        event_of("stage_changed", lead, actor, {"from": lead.stage, "to": stage.key, "stage": stage.title})
        for lead in leads
    ]
    closed = [event_of("closed", lead, actor, {"outcome": stage.outcome}) for lead in closing]
    reopened = [event_of("reopened", lead, actor, {}) for lead in reopening]
    await events.append(tx, [*moved, *closed, *reopened])
    await routing.release(tx, [lead.id for lead in closing])
    await place_again(tx, reopening, actor)
    return moved


async def write_value(
    tx: Tx, actor: Actor, leads: Sequence[Lead], value_minor: int | None, currency: str | None
) -> list[Event]:
    """Set what locked leads are worth, in minor units."""
    if not leads:
        return []
    await repository.write_value(tx, [lead.id for lead in leads], value_minor, currency)
    valued = [
        event_of(
            "valued",
            lead,
            actor,
            {
                "value_minor": value_minor,
                "currency": currency,
                "previous_value_minor": lead.value_minor,
                "previous_currency": lead.currency,
            },
        )
        for lead in leads
    ]
    await events.append(tx, valued)
    return valued


async def write_fields(tx: Tx, actor: Actor, leads: Sequence[Lead], fields: Mapping[str, str]) -> None:
    """Write some of the own fields of locked leads."""
    await repository.merge_fields(tx, [lead.id for lead in leads], fields)
    data = {"fields": sorted(fields)}
    await events.append(tx, [event_of("updated", lead, actor, data) for lead in leads])


async def write_junk(tx: Tx, actor: Actor, leads: Sequence[Lead], reason: str) -> list[Event]:
    """Close locked leads as junk; they are kept, and `clear_junk` brings them back."""
    if not leads:
        return []
    await repository.write_junk(tx, [lead.id for lead in leads], reason)
    junked = [event_of("junked", lead, actor, {"reason": reason}) for lead in leads]
    closing = [lead for lead in leads if lead.is_open]
    closed = [event_of("closed", lead, actor, {"outcome": "junk"}) for lead in closing]
    await events.append(tx, [*junked, *closed])
    await routing.release(tx, [lead.id for lead in closing])
    return junked


async def clear_junk(tx: Tx, actor: Actor, leads: Sequence[Lead]) -> list[Event]:
    """Bring locked leads back from junk, to their owners or through the rules; raises OpenAlreadyError."""
    if not leads:
        return []
    stages = {stage.key: stage for stage in await list_stages(tx)}
    ended = [stage.key for stage in stages.values() if not stage.is_open]
    minutes = (await accounts.get_workspace(tx)).first_response_minutes
    async with _one_open_lead_each(tx, leads):
        await repository.clear_junk(tx, [lead.id for lead in leads], ended, minutes)
    reopening = [lead for lead in leads if lead.stage not in ended]
    unjunked = [event_of("unjunked", lead, actor, {}) for lead in leads]
    await events.append(tx, [*unjunked, *(event_of("reopened", lead, actor, {}) for lead in reopening)])
    await place_again(tx, reopening, actor)
    return unjunked


async def place_again(tx: Tx, leads: Sequence[Lead], actor: Actor) -> None:
    """Give leads that are open again to the owner they had, as accepted as before; ask the rules for the others."""
    by_owner: dict[UUID, list[UUID]] = defaultdict(list)
    for lead in leads:
        if lead.owner_id is not None:
            by_owner[lead.owner_id].append(lead.id)
    contact_ids = {lead.id: lead.contact_id for lead in leads}
    for owner_id in sorted(by_owner):
        await routing.assign(
            tx,
            sorted(by_owner[owner_id]),
            user_id=owner_id,
            accept_within=None,
            trigger="opened again: had it before",
            actor=actor,
            contact_ids=contact_ids,
        )
    for lead in leads:
        if lead.owner_id is not None and lead.accepted_at is not None:
            # Who had accepted it is not asked again: they are in the midst of it.
            await routing.accept(tx, Caller(tx.workspace_id, "agent", lead.owner_id), lead.id)
    await route(tx, sorted(lead.id for lead in leads if lead.owner_id is None), trigger="opened again")


async def route(tx: Tx, lead_ids: Sequence[UUID], *, trigger: str) -> None:
    """Ask the rules who gets these leads."""
    if not lead_ids:
        return
    facts = await load_facts(tx, lead_ids)
    subjects = [
        RoutingSubject(lead_id, "lead", facts[lead_id].contact_id, facts[lead_id].values)
        for lead_id in lead_ids
        if lead_id in facts
    ]
    await routing.route(tx, subjects, trigger=trigger)


async def give(
    tx: Tx,
    actor: Actor,
    leads: Sequence[Lead],
    *,
    user_id: UUID | None = None,
    rota_id: UUID | None = None,
    trigger: str,
) -> None:
    """Give locked leads to one member or to the next ones of a rota."""
    await routing.assign(
        tx,
        sorted(lead.id for lead in leads),
        user_id=user_id,
        rota_id=rota_id,
        accept_within=None,
        trigger=trigger,
        actor=actor,
        contact_ids={lead.id: lead.contact_id for lead in leads},
    )


def event_of(verb: str, lead: Lead, actor: Actor, data: Mapping[str, object]) -> Event:
    """An event about a lead."""
    return Event(f"lead.{verb}", lead.id, lead.contact_id, lead.id, actor=actor, data=data)


@asynccontextmanager
async def _one_open_lead_each(tx: Tx, leads: Sequence[Lead]) -> AsyncIterator[None]:
    """Turn the refusal of the unique index lead_open, which alone can tell, into words with the contact's name."""
    try:
        async with tx.savepoint():
            yield
    except psycopg.errors.UniqueViolation as refusal:
        contacts = await people.load_contacts(tx, {lead.contact_id for lead in leads})
        name = next(iter(contacts.values())).title if len(contacts) == 1 else "One of these contacts"
        raise OpenAlreadyError(name) from refusal
