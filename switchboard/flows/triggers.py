"""What events do to flows, in the event's own transaction: they stop runs, wake those that wait, and begin new ones."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from switchboard.delivery.service import drop_queued
from switchboard.flows import repository, repository_runs
from switchboard.flows.endings import RUN_STOPPED, stop_runs
from switchboard.flows.entering import QUEUE, enter, event_texts, find_entrances
from switchboard.flows.knowledge import Knowledge, SubjectKey, subject_key
from switchboard.flows.models import EndedRun, Ending, Run, Version, VersionKey
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
        lead_ids = {event.lead_id for event in told if event.lead_id is not None}
        contact_ids = {event.contact_id for event in told if event.contact_id is not None}
        runs = await repository_runs.find_about(tx, list(lead_ids), list(contact_ids))
        ended = await repository_runs.find_ended_lately(tx, list(contact_ids), LONGEST_REST)
        if not runs and not ended:
            return
        journeys: list[Journey] = [*runs, *ended]
        versions = await self._shelf.load(tx, sorted({(each.flow_id, each.version) for each in journeys}))
        await knowledge.learn(_keys_to_learn(journeys, versions, told))
        stopped = await _stop(tx, runs, versions, told, knowledge)
        await _silence(tx, ended, versions, told, knowledge)
        await _wake(tx, [run for run in runs if run.id not in stopped], versions, told)

    async def _begin_runs(self, tx: Tx, told: Sequence[Event], knowledge: Knowledge) -> None:
        active = await repository.list_active_versions(tx)
        versions = await self._shelf.load(tx, active)
        for key in active:
            entrances = find_entrances(versions[key], told)
            if entrances:
                await enter(tx, versions[key], entrances, knowledge)


def concerns(event: Event, journey: Journey, version: Version) -> bool:
    """Whether an event is about a run: about its lead, or about the person."""
    if version.flow.subject == "lead" and event.lead_id is not None and event.kind not in PERSONAL:
        return journey.subject_id == event.lead_id
    return journey.contact_id is not None and journey.contact_id == event.contact_id


async def _stop(
    tx: Tx, runs: Sequence[Run], versions: dict[VersionKey, Version], told: Sequence[Event], knowledge: Knowledge
) -> set[UUID]:
    endings = []
    for run in runs:
        event = next(_stopping_events(run, versions[run.version_key], told, knowledge), None)
        if event is not None:
            endings.append(Ending(run.id, "stopped", event.kind))
    await stop_runs(tx, endings, versions)
    return {ending.run_id for ending in endings}


async def _silence(
    tx: Tx, ended: Sequence[EndedRun], versions: dict[VersionKey, Version], told: Sequence[Event], knowledge: Knowledge
) -> None:
    """The last message of a run that has ended may not have gone out yet: what stops the run stops it too."""
    run_ids = [
        run.id for run in ended if any(_stopping_events(run, versions[run.flow_id, run.version], told, knowledge))
    ]
    if run_ids:
        await drop_queued(tx, run_ids, RUN_STOPPED)


async def _wake(tx: Tx, runs: Sequence[Run], versions: dict[VersionKey, Version], told: Sequence[Event]) -> None:
    waiting = [(run, run.awaits.split()) for run in runs if run.awaits]
    ids = [
        run.id
        for run, kinds in waiting
        if any(event.kind in kinds and concerns(event, run, versions[run.version_key]) for event in told)
    ]
    if ids and await repository_runs.wake_runs(tx, ids):
        await wake(tx, QUEUE)


def _stopping_events(
    journey: Journey, version: Version, told: Sequence[Event], knowledge: Knowledge
) -> Iterator[Event]:
    key = _key(journey, version)
    for event in told:
        conditions = [trigger.where for trigger in version.flow.stops if trigger.event == event.kind]
        if conditions and concerns(event, journey, version):
            texts = event_texts(event)
            if any(knowledge.is_met(condition, key, texts) for condition in conditions):
                yield event


def _keys_to_learn(
    journeys: Iterable[Journey], versions: dict[VersionKey, Version], told: Sequence[Event]
) -> Iterator[SubjectKey]:
    kinds = {event.kind for event in told}
    for journey in journeys:
        version = versions[journey.flow_id, journey.version]
        if any(trigger.where is not None and trigger.event in kinds for trigger in version.flow.stops):
            yield _key(journey, version)


def _key(journey: Journey, version: Version) -> SubjectKey:
    return subject_key(version.flow.subject, journey.subject_id, journey.lead_id)
