"""From enquiries to leads: each contact has one open lead, which the next enquiry joins."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from msgspec.structs import replace

from switchboard.accounts import service as accounts
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.leads import repository
from switchboard.leads.changes import move_to_stage
from switchboard.leads.facts import load_values
from switchboard.leads.models import Enquiry, Opened, Stage
from switchboard.leads.repository import NewLead
from switchboard.leads.stages import find_by_words, first_open, list_stages
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject

LONGEST_TITLE = 2_000
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(slots=True)
class _Folded:
    """The enquiries of one contact as one: `lead` as it would be new, and where the sender says it stands."""

    lead: NewLead
    stage: Stage | None
    places: list[int]

    @property
    def is_past(self) -> bool:
        """Whether the sender says that it was won or lost."""
        return self.stage is not None and not self.stage.is_open


async def open_or_join(tx: Tx, enquiries: Sequence[Enquiry]) -> list[Opened]:
    """Make each enquiry a new lead of its contact or part of the open one; answers in the order of the enquiries.

    Safe when others see the same contact at the same time. Junk is kept as a closed lead of its own, and so is what
    its sender calls won or lost, unless the contact has an open lead: then that one is closed by it. Appends
    `lead.created`, `lead.joined`, `lead.junked` or `lead.recorded`, and what a new stage brings.
    """
    return await _open_with(tx, enquiries, _open)


async def open_and_route(tx: Tx, enquiries: Sequence[Enquiry], *, trigger: str) -> list[Opened]:
    """As `open_or_join`, and gives each lead that is new and open to whom the rules say."""
    answers = await _open_with(tx, enquiries, partial(_open_routed, trigger=trigger))
    fresh = {
        opened.lead_id: enquiry.contact_id
        for opened, enquiry in zip(answers, enquiries, strict=True)
        # Those that were written with their owner are newcomers.
        if opened.is_new and opened.is_open and opened.lead_id not in tx.newcomers
    }
    subjects = [RoutingSubject(lead_id, "lead", contact_id) for lead_id, contact_id in fresh.items()]
    await routing.route(tx, subjects, trigger=trigger, load_facts=load_values)
    return answers


_Opener = Callable[[Tx, Sequence[_Folded]], Awaitable[dict[int, Opened]]]


async def _open_with(tx: Tx, enquiries: Sequence[Enquiry], open_some: _Opener) -> list[Opened]:
    stages = await list_stages(tx)
    junk = [_junk(place, enquiry, first_open(stages)) for place, enquiry in enumerate(enquiries) if enquiry.is_junk]
    folded = _fold(enquiries, stages)
    past = [group for group in folded if group.is_past]
    standing = await repository.lock_open(tx, [group.lead.contact_id for group in past]) if past else {}
    closed = [group for group in past if group.lead.contact_id not in standing]
    current = [group for group in folded if group not in closed]
    answers = await _close(tx, closed, junk) | await open_some(tx, current)
    return [answers[place] for place in range(len(enquiries))]


async def _open_routed(tx: Tx, groups: Sequence[_Folded], *, trigger: str) -> dict[int, Opened]:
    """Leads of people who have only just come are routed first, and written once, with their owner.

    Nobody else can see their contacts, so nobody can have opened a lead for them. The others are opened before, since
    leads are locked before rotas; they are routed afterwards.
    """
    ours = [group for group in groups if group.lead.contact_id in tx.newcomers]
    if not ours or not await routing.is_alike_for_all(tx):
        return await _open(tx, groups)
    answers = await _open(tx, [group for group in groups if group.lead.contact_id not in tx.newcomers])
    tx.newcomers |= {group.lead.id: frozenset() for group in ours}
    subjects = [RoutingSubject(group.lead.id, "lead", group.lead.contact_id) for group in ours]
    plan = await routing.plan_route(tx, subjects, trigger=trigger)
    owners = plan.list_owners()
    for group in ours:
        group.lead = replace(group.lead, owner_id=owners.get(group.lead.id))
    answers |= await _open(tx, ours, are_first=True)
    await routing.settle(tx, plan, are_first=True)
    return answers


async def _open(tx: Tx, groups: Sequence[_Folded], *, are_first: bool = False) -> dict[int, Opened]:
    """`are_first` says that nobody else can have opened a lead for any of these contacts."""
    if not groups:
        return {}
    minutes = (await tx.remember("workspace", accounts.get_workspace)).first_response_minutes
    leads = [group.lead for group in groups]
    if are_first:
        await repository.open_first(tx, leads, minutes)
        opened = {lead.contact_id: lead.id for lead in leads}
    else:
        opened = await repository.open_or_join(tx, leads, minutes)
    answers: dict[int, Opened] = {}
    changed: list[Event] = []
    for group in groups:
        lead_id = opened[group.lead.contact_id]
        is_new = lead_id == group.lead.id
        changed.append(_event("created", group.lead) if is_new else _event("joined", replace(group.lead, id=lead_id)))
        for number, place in enumerate(group.places):
            answers[place] = Opened(lead_id, is_new and number == 0, is_open=not group.is_past)
    await events.append(tx, changed)
    await _follow_stages(tx, groups, opened)
    return answers


async def _close(tx: Tx, past: Sequence[_Folded], junk: Sequence[_Folded]) -> dict[int, Opened]:
    groups = [*past, *junk]
    if not groups:
        return {}
    await repository.insert_closed(tx, [group.lead for group in groups])
    recorded = [_event("recorded", group.lead) for group in past]
    junked = [event for group in junk for event in (_event("created", group.lead), _event("junked", group.lead))]
    await events.append(tx, [*recorded, *junked])
    return {
        place: Opened(group.lead.id, number == 0, is_open=False)
        for group in groups
        for number, place in enumerate(group.places)
    }


async def _follow_stages(tx: Tx, groups: Sequence[_Folded], opened: Mapping[UUID, UUID]) -> None:
    """Put leads that enquiries joined where the sender says they stand."""
    wanted = {
        opened[group.lead.contact_id]: group
        for group in groups
        if group.stage is not None and opened[group.lead.contact_id] != group.lead.id
    }
    if not wanted:
        return
    leads = await repository.lock(tx, wanted)
    for stage in {group.stage.key: group.stage for group in wanted.values() if group.stage is not None}.values():
        moving = [lead for lead in leads.values() if wanted[lead.id].stage == stage and lead.stage != stage.key]
        if moving:
            await move_to_stage(tx, Actor("source", wanted[moving[0].id].lead.source_id), moving, stage)


def _fold(enquiries: Sequence[Enquiry], stages: list[Stage]) -> list[_Folded]:
    groups: dict[UUID, _Folded] = {}
    for place, enquiry in enumerate(enquiries):
        if enquiry.is_junk:
            continue
        stage = find_by_words(stages, enquiry.stage)
        group = groups.get(enquiry.contact_id)
        if group is None:
            begins = stage or first_open(stages)
            groups[enquiry.contact_id] = _Folded(_new_lead(enquiry, begins.key), stage, [place])
        else:
            group.lead = _joined(group.lead, enquiry)
            group.stage = stage or group.stage
            group.places.append(place)
            if group.stage is not None:
                group.lead = replace(group.lead, stage=group.stage.key)
    return list(groups.values())


def _joined(lead: NewLead, enquiry: Enquiry) -> NewLead:
    """A lead with one more enquiry: the first touch keeps its campaign, the newest value and answers count."""
    value, currency = _money(enquiry)
    return replace(
        lead,
        title=lead.title or _title(enquiry),
        value_minor=lead.value_minor if value is None else value,
        currency=lead.currency if value is None else currency,
        utm={**enquiry.utm, **lead.utm},
        fields={**lead.fields, **enquiry.fields},
        signals=lead.signals + 1,
        created_at=min(lead.created_at, enquiry.occurred_at),
    )


def _junk(place: int, enquiry: Enquiry, stage: Stage) -> _Folded:
    reason = enquiry.junk_reason or "marked as junk by its source"
    return _Folded(replace(_new_lead(enquiry, stage.key), junk_reason=reason), None, [place])


def _new_lead(enquiry: Enquiry, stage: str) -> NewLead:
    value, currency = _money(enquiry)
    return NewLead(
        id=new_id(enquiry.occurred_at),
        contact_id=enquiry.contact_id,
        source_id=enquiry.source_id,
        stage=stage,
        title=_title(enquiry),
        value_minor=value,
        currency=currency,
        utm=enquiry.utm,
        fields=enquiry.fields,
        signals=1,
        created_at=enquiry.occurred_at,
    )


def _title(enquiry: Enquiry) -> str:
    return enquiry.title.replace("\x00", "").strip()[:LONGEST_TITLE]


def _money(enquiry: Enquiry) -> tuple[int | None, str | None]:
    currency = (enquiry.currency or "").strip().upper()
    return enquiry.value_minor, currency if _CURRENCY.fullmatch(currency) else None


def _event(verb: str, lead: NewLead) -> Event:
    data = {
        "source_id": lead.source_id,
        "signals": lead.signals,
        "value_minor": lead.value_minor,
        "currency": lead.currency,
    }
    if verb == "junked":
        data = {"reason": lead.junk_reason}
    actor = Actor("source", lead.source_id)
    return Event(f"lead.{verb}", lead.id, lead.contact_id, lead.id, actor=actor, data=data)
