"""Beginning runs: who enters a flow because of an event."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from switchboard.flows import first_steps, repository_runs
from switchboard.flows.knowledge import Knowledge, SubjectKey, subject_key
from switchboard.flows.models import NewRun, Version
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.ids import in_order, new_id
from switchboard.kernel.queues import wake

QUEUE = first_steps.QUEUE
# Runs of campaigns have a queue of their own, so that single runs never stand behind a million of them.
CAMPAIGN_QUEUE = "campaign-steps"
DEEPEST = 5
MOST_EVENT_ENTRIES = 50
LONGEST_EVENT_TEXT = 500

log = structlog.get_logger()


class Entrance(msgspec.Struct, frozen=True):
    """One event that may begin a run of one subject, where the condition holds."""

    event: Event
    subject_id: UUID
    where: str | None
    key: SubjectKey


def find_entrances(version: Version, told: Sequence[Event]) -> list[Entrance]:
    """What of the events begins runs of this version, as far as its triggers alone can tell."""
    found = []
    for event in told:
        for trigger in version.flow.starts:
            subject_id = event.lead_id if version.flow.subject == "lead" else event.contact_id
            if trigger.event == event.kind and subject_id is not None:
                key = subject_key(version.flow.subject, subject_id, event.lead_id)
                found.append(Entrance(event, subject_id, trigger.where, key))
    return found


async def enter(tx: Tx, version: Version, entrances: Sequence[Entrance], knowledge: Knowledge) -> int:
    """Begin a run for each subject that may enter; returns how many began."""
    await knowledge.learn(entrance.key for entrance in entrances if _needs_facts(entrance))
    entrances = [one for one in entrances if knowledge.is_met(one.where, one.key, event_texts(one.event))]
    depths = await _find_depths(tx, entrances)
    runs: dict[UUID, NewRun] = {}
    for entrance, depth in zip(entrances, depths, strict=True):
        if depth > DEEPEST:
            log.warning("flow.too_deep", flow_id=str(version.flow_id), subject_id=str(entrance.subject_id))
        elif entrance.subject_id not in runs:
            runs[entrance.subject_id] = _new_run(version, entrance, depth, knowledge)
    wanted = [runs[subject_id] for subject_id in in_order(runs)]
    return await _begin(tx, version, wanted, are_first=all(_is_first(tx, entrance) for entrance in entrances))


def event_texts(event: Event) -> dict[str, str]:
    """What an event says, as conditions read it: names and texts, of bounded length."""
    pairs = [(name, value) for name, value in event.data.items() if value is not None][:MOST_EVENT_ENTRIES]
    return {"kind": event.kind} | {str(name): str(value)[:LONGEST_EVENT_TEXT] for name, value in pairs}


def _is_first(tx: Tx, entrance: Entrance) -> bool:
    """Whether it is a lead that nothing can have brought into a flow before: that it was made is told once, and first.

    A contact may be in the flow by another event of this transaction.
    """
    is_made = entrance.event.kind == "lead.created" and entrance.subject_id == entrance.event.lead_id
    return is_made and entrance.subject_id in tx.newcomers


def _needs_facts(entrance: Entrance) -> bool:
    return entrance.where is not None or entrance.event.contact_id is None


def _new_run(version: Version, entrance: Entrance, depth: int, knowledge: Knowledge) -> NewRun:
    return NewRun(
        id=new_id(),
        subject_kind=version.flow.subject,
        subject_id=entrance.subject_id,
        contact_id=entrance.event.contact_id or knowledge.contact_of(entrance.key),
        lead_id=entrance.event.lead_id,
        depth=depth,
        event_data=event_texts(entrance.event) if version.reads_event else {},
    )


async def _find_depths(tx: Tx, entrances: Sequence[Entrance]) -> list[int]:
    """How many flows set each other off before each entrance: 0 where a person or a signal did it."""
    causes = {cause for entrance in entrances for cause in _causes(entrance.event)}
    if not causes:
        return [0] * len(entrances)
    subject_ids = {each for entrance in entrances for each in _subjects(entrance.event)}
    of_runs = await repository_runs.find_depths_of_runs(tx, list(causes))
    of_flows = await repository_runs.find_depths_of_flows(tx, list(causes), list(subject_ids))
    return [_depth(entrance.event, of_runs, of_flows) for entrance in entrances]


def _depth(event: Event, of_runs: dict[UUID, int], of_flows: dict[tuple[UUID, UUID], int]) -> int:
    known = [of_runs[cause] for cause in _causes(event) if cause in of_runs]
    pairs = [(cause, subject_id) for cause in _causes(event) for subject_id in _subjects(event)]
    known += [of_flows[pair] for pair in pairs if pair in of_flows]
    return 1 + max(known) if known else 0


def _causes(event: Event) -> list[UUID]:
    """The run, or the flow, that made this event happen, itself or by a message of it."""
    causes = [event.actor.id] if event.actor.kind == "flow" and event.actor.id is not None else []
    run_id = event.data.get("run_id")
    return [*causes, run_id] if isinstance(run_id, UUID) else causes


def _subjects(event: Event) -> list[UUID]:
    return [each for each in (event.lead_id, event.contact_id) if each is not None]


async def _begin(tx: Tx, version: Version, runs: Sequence[NewRun], *, are_first: bool) -> int:
    if not runs:
        return 0
    begun = await _enter_first(tx, version, runs) if are_first else await _enter(tx, version, runs)
    if not begun:
        return 0
    _listen(tx, version, begun)
    await events.append(tx, [_started(version, run) for run in begun])
    if not first_steps.are_taken(tx, begun):
        await wake(tx, QUEUE)
    return len(begun)


async def _enter_first(tx: Tx, version: Version, runs: Sequence[NewRun]) -> Sequence[NewRun]:
    await repository_runs.enter_first(tx, version.key, runs)
    return runs


async def _enter(tx: Tx, version: Version, runs: Sequence[NewRun]) -> Sequence[NewRun]:
    entered = set(await repository_runs.enter(tx, version.key, version.flow.reentry_after, runs))
    return [run for run in runs if run.id in entered]


def _listen(tx: Tx, version: Version, begun: Sequence[NewRun]) -> None:
    """From here on these events concern those who have begun, also where the transaction has only just made them."""
    stopping = frozenset(trigger.event for trigger in version.flow.stops)
    for run in begun:
        if run.contact_id in tx.newcomers:
            tx.newcomers[run.contact_id] |= stopping


def _started(version: Version, run: NewRun) -> Event:
    data = {"flow": version.flow.title, "run_id": run.id, "version": version.version}
    return Event("run.started", run.id, run.contact_id, run.lead_id, actor=Actor("flow", version.flow_id), data=data)
