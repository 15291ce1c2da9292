"""What events do to flows, in the event's own transaction: they stop runs, wake those that wait, and begin new ones."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from switchboard.delivery.service import drop_queued
from switchboard.flows import repository, repository_runs
from switchboard.flows.definition import EVENTS
from switchboard.flows.endings import RUN_STOPPED, stop_runs
from switchboard.flows.entering import CAMPAIGN_QUEUE, QUEUE, enter, event_texts, find_entrances
from switchboard.flows.knowledge import Knowledge, SubjectKey, subject_key
from switchboard.flows.models import EndedRun, Ending, Run, Version, VersionKey
from switchboard.flows.subject_actions import AWAITED
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.versions import VersionShelf
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.kernel.queues import wake

# These are about the person, whichever of their leads they name.
PERSONAL = frozenset(
    {"contact.created", "contact.opted_out", "conversation.closed", "message.bounced", "message.replied"}
)
# A message may rest in quiet hours, over a weekend, or behind a provider's outage.
LONGEST_REST = timedelta(days=7)
# What the step that assigns waits for, without its flow naming it.
ACCEPTANCES = frozenset(AWAITED.split())


class Journey(Protocol):
    """What events are held against: a run, or one that has ended lately."""

    @property
    def flow_id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def subject_id(self) -> UUID: ...
    @property
    def contact_id(self) -> UUID | None: ...
    @property
    def lead_id(self) -> UUID | None: ...


class FlowTriggers:
    """The subscriber of one process; it keeps the versions it has compiled."""

    def __init__(self, kinds: SubjectKinds) -> None:
        self._kinds = kinds
        self._shelf = VersionShelf()

    async def hear(self, tx: Tx, told: Sequence[Event]) -> None:
        """Stop, then wake, then begin."""
        knowledge = Knowledge(tx, self._kinds, await tx.now())
        await self._touch_runs(tx, told, knowledge)
        if not tx.is_backfill:
            await self._begin_runs(tx, told, knowledge)

    async def _touch_runs(self, tx: Tx, told: Sequence[Event], knowledge: Knowledge) -> None:
        heeded = await _list_heeded(tx)
        heard = Heard([event for event in told if event.kind in heeded and _may_concern_runs(tx, event)])
        if not heard.told:
            return
        runs = await repository_runs.find_about(tx, list(heard.by_lead), list(heard.by_contact))
        ended = await repository_runs.find_ended_lately(tx, list(heard.by_contact), LONGEST_REST)
        if not runs and not ended:
            return
        journeys: list[Journey] = [*runs, *ended]
        versions = await self._shelf.load(tx, sorted({(each.flow_id, each.version) for each in journeys}))
        await knowledge.learn(_keys_to_learn(journeys, versions, heard))
        stopped = await _stop(tx, runs, versions, heard, knowledge)
        await _silence(tx, ended, versions, heard, knowledge)
        await _wake(tx, [run for run in runs if run.id not in stopped], versions, heard)

    async def _begin_runs(self, tx: Tx, told: Sequence[Event], knowledge: Knowledge) -> None:
        active = await tx.remember("active flows", repository.list_active_versions)
        versions = await self._shelf.load(tx, active)
        for key in active:
            entrances = find_entrances(versions[key], told)
            if entrances:
                await enter(tx, versions[key], entrances, knowledge)


async def _list_heeded(tx: Tx) -> Collection[str]:
    """The kinds of events that some run may stop at or wait for: with no version that names one, none does."""

    async def read(tx: Tx) -> Collection[str]:
        return await repository.list_named(tx, EVENTS) | ACCEPTANCES

    # To read all versions for a single event would cost more than to look for its runs.
    return await tx.remember("events that flows name", read) if tx.keeps_furniture else EVENTS


def _may_concern_runs(tx: Tx, event: Event) -> bool:
    """Whether there can be a run about it: whoever has only just become known is in no flow, or has only begun one."""
    if event.contact_id in tx.newcomers:
        return event.kind in tx.newcomers[event.contact_id]
    return event.kind != "contact.created"


class Heard:
    """The events of a batch by whom they are about, so that no run is held against those of all others."""

    def __init__(self, told: Sequence[Event]) -> None:
        self.told = told
        self.kinds = frozenset(event.kind for event in told)
        self.by_lead: dict[UUID, list[int]] = defaultdict(list)
        self.by_contact: dict[UUID, list[int]] = defaultdict(list)
        for place, event in enumerate(told):
            if event.lead_id is not None:
                self.by_lead[event.lead_id].append(place)
            if event.contact_id is not None:
                self.by_contact[event.contact_id].append(place)

    def about(self, journey: Journey, version: Version) -> Iterator[Event]:
        """The events that concern a run, in the order in which they came."""
        places = set(self.by_lead.get(journey.subject_id, ()))
        if journey.contact_id is not None:
            places.update(self.by_contact.get(journey.contact_id, ()))
        events = (self.told[place] for place in sorted(places))
        return (event for event in events if concerns(event, journey, version))


def concerns(event: Event, journey: Journey, version: Version) -> bool:
    """Whether an event is about a run: about its lead, or about the person."""
    if version.flow.subject == "lead" and event.lead_id is not None and event.kind not in PERSONAL:
        return journey.subject_id == event.lead_id
    return journey.contact_id is not None and journey.contact_id == event.contact_id


async def _stop(
    tx: Tx, runs: Sequence[Run], versions: dict[VersionKey, Version], heard: Heard, knowledge: Knowledge
) -> set[UUID]:
    endings = []
    for run in runs:
        event = next(_stopping_events(run, versions[run.version_key], heard, knowledge), None)
        if event is not None:
            endings.append(Ending(run.id, "stopped", event.kind))
    await stop_runs(tx, endings, versions)
    return {ending.run_id for ending in endings}


async def _silence(
    tx: Tx, ended: Sequence[EndedRun], versions: dict[VersionKey, Version], heard: Heard, knowledge: Knowledge
) -> None:
    """The last message of a run that has ended may not have gone out yet: what stops the run stops it too."""
    run_ids = [
        run.id for run in ended if any(_stopping_events(run, versions[run.flow_id, run.version], heard, knowledge))
    ]
    if run_ids:
        await drop_queued(tx, run_ids, RUN_STOPPED)


async def _wake(tx: Tx, runs: Sequence[Run], versions: dict[VersionKey, Version], heard: Heard) -> None:
    waiting = [(run, run.awaits.split()) for run in runs if run.awaits]
    ids = [
        run.id
        for run, kinds in waiting
        if any(event.kind in kinds for event in heard.about(run, versions[run.version_key]))
    ]
    if ids and await repository_runs.wake_runs(tx, ids):
        for queue in {CAMPAIGN_QUEUE if run.campaign_id else QUEUE for run in runs}:
            await wake(tx, queue)


def _stopping_events(journey: Journey, version: Version, heard: Heard, knowledge: Knowledge) -> Iterator[Event]:
    if not any(trigger.event in heard.kinds for trigger in version.flow.stops):
        return
    key = _key(journey, version)
    for event in heard.about(journey, version):
        conditions = [trigger.where for trigger in version.flow.stops if trigger.event == event.kind]
        if conditions:
            texts = event_texts(event)
            if any(knowledge.is_met(condition, key, texts) for condition in conditions):
                yield event


def _keys_to_learn(
    journeys: Iterable[Journey], versions: dict[VersionKey, Version], heard: Heard
) -> Iterator[SubjectKey]:
    for journey in journeys:
        version = versions[journey.flow_id, journey.version]
        if any(trigger.where is not None and trigger.event in heard.kinds for trigger in version.flow.stops):
            yield _key(journey, version)


def _key(journey: Journey, version: Version) -> SubjectKey:
    return subject_key(version.flow.subject, journey.subject_id, journey.lead_id)
