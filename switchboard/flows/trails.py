"""Trails: one run goes ahead, and all that stand as it did follow in its footsteps.

Most steps ask nothing that differs between runs: a letter to the contact, a wait of a fixed length, a stop. Where runs
come to such steps only, a stand-in walks the very steps that `actions` has for single runs, and what it did is then
written for the whole cohort in a few statements. So there is one meaning of each step, and no run passes through
Python. Whatever needs code for each run (a condition, an owner, a local hour) is walked by each run itself.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from switchboard.delivery.service import queue_alike
from switchboard.flows import repository_cohorts
from switchboard.flows.actions import ACTIONS, is_too_late
from switchboard.flows.cohorts import Cohort
from switchboard.flows.compiled import CompiledStep
from switchboard.flows.endings import as_tallies, count_endings, ended_event
from switchboard.flows.models import EndedRun, Ending, Run, Tally
from switchboard.flows.walking import MOST_STEPS_A_TICK, Batch, Walk, position_of
from switchboard.kernel.events import Event
from switchboard.kernel.events_alike import AlikeEvents, append_alike
from switchboard.kernel.queues import concerns_batch

NOBODY = UUID(int=0)
"""Stands for the run and the contact of whoever follows."""

log = structlog.get_logger()


class StrayedError(Exception):
    """Some run of a cohort is no longer where it was claimed: each has to be looked at by itself."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What a stand-in did: its walk, and its batch with what it wrote and said."""

    cohort: Cohort
    batch: Batch
    walk: Walk


async def find_trail(cohort: Cohort, batch: Batch) -> Trail | None:
    """What every run of the cohort does now, by the one stand-in of the batch; None where that may differ."""
    (walk,) = batch.walks
    for _ in range(MOST_STEPS_A_TICK):
        step = batch.version.steps[walk.step]
        if not walk.is_moving or step.kind not in ACTIONS:
            break
        if not _is_alike(step, cohort, batch.now):
            return None
        await ACTIONS[step.kind](batch, step, [walk])
    if walk.is_moving:
        walk.pause()
    return Trail(cohort, batch, walk)


FindTrail = Callable[[Cohort, Batch], Awaitable[Trail | None]]


async def go_together(cohort: Cohort, batch: Batch, find_trail: FindTrail = find_trail) -> bool:
    """Let the stand-in of the batch go ahead and all others follow; where they cannot, nothing is written."""
    try:
        async with batch.tx.savepoint():
            return await go_unguarded(cohort, batch, find_trail)
    except Exception as error:
        if concerns_batch(error):
            raise
        # Each run by itself says what is wrong with it.
        log.warning("flow.cohort_failed", flow_id=str(cohort.flow_id), step=cohort.step, exc_info=error)
        return False


async def go_unguarded(cohort: Cohort, batch: Batch, find_trail: FindTrail = find_trail) -> bool:
    """The same without a savepoint: what fails is raised, and the caller undoes all of it."""
    trail = await find_trail(cohort, batch)
    if trail is None:
        return False
    await follow(trail)
    return True


async def follow(trail: Trail) -> None:
    """Write what the stand-in did for every run of the cohort; raises StrayedError where one is missing."""
    cohort, batch, walk = trail.cohort, trail.batch, trail.walk
    for draft in batch.drafts:
        not_after = draft.not_after - cohort.first_due if draft.not_after is not None else None
        await queue_alike(batch.tx, draft, cohort.recipients, not_after)
    if await _write(trail) != cohort.runs:
        raise StrayedError
    for event in batch.events():
        await _tell(trail, event)
    if walk.ending is not None:
        await _tell(trail, ended_event(_ended(cohort, walk.ending), batch.version))


async def _write(trail: Trail) -> int:
    tx, walk = trail.batch.tx, trail.walk
    if walk.ending is not None:
        return await repository_cohorts.end(tx, trail.cohort, walk.ending, walk.history, _tallies(trail))
    # A walk that has only paused stays due from when it was.
    position = position_of(walk)
    due_at = None if position.due_at == trail.cohort.first_due else position.due_at
    moved = replace(position, due_at=due_at)
    return await repository_cohorts.move(tx, trail.cohort, moved, walk.history, _tallies(trail))


def _tallies(trail: Trail) -> list[Tally]:
    """What all of the cohort add to what the flow counts."""
    cohort, walk = trail.cohort, trail.walk
    counts = Counter(walk.outcomes)
    if walk.ending is not None:
        counts += count_endings([_ended(cohort, walk.ending)])
    return as_tallies({left: count * cohort.runs for left, count in counts.items()})


async def _tell(trail: Trail, event: Event) -> None:
    cohort = trail.cohort
    told = AlikeEvents(
        kind=event.kind,
        cause="run_id",
        cause_ids=cohort.run_ids,
        subject_ids=cohort.run_ids,
        contact_ids=cohort.contact_ids,
        lead_ids=cohort.lead_ids,
        actor_kind=event.actor.kind,
        actor_id=event.actor.id,
        data=event.data,
    )
    await append_alike(trail.batch.tx, told)


def _ended(cohort: Cohort, ending: Ending) -> EndedRun:
    """The stand-in, at its end."""
    step = cohort.step if ending.step is None else ending.step
    return EndedRun(
        NOBODY,
        cohort.flow_id,
        cohort.version,
        NOBODY,
        None,
        None,
        step,
        ending.outcome,
        ending.reason,
        cohort.campaign_id,
    )


def _is_alike(step: CompiledStep, cohort: Cohort, now: datetime) -> bool:
    """Whether the step does the same for every run of the cohort, without a look at any of them."""
    match step.kind:
        case "wait":
            return "until" not in step.config
        case "wait_for" | "stop":
            return True
        case "send":
            moments = (cohort.first_due, cohort.last_due)
            return step.config["to"] == "contact" and len({is_too_late(step, due_at, now) for due_at in moments}) == 1
        case _:
            return False


def stand_in(cohort: Cohort) -> Run:
    """A run as those of the cohort are, at revision 0."""
    return Run(
        id=NOBODY,
        workspace_id=cohort.workspace_id,
        flow_id=cohort.flow_id,
        version=cohort.version,
        subject_kind="",
        subject_id=NOBODY,
        contact_id=NOBODY if cohort.has_contact else None,
        lead_id=None,
        step=cohort.step,
        revision=0,
        phase=cohort.phase,
        due_at=cohort.first_due,
        awaits=None,
        rounds=0,
        attempts=0,
        event_data={},
        campaign_id=cohort.campaign_id,
    )
