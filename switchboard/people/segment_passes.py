"""Passes over all contacts: to fill a segment, and to look again at one that reads the clock.

A pass is a job that looks at one slice of contacts at a time; the slice and how far it came are committed together.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg

from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import SYSTEM, Event
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.people import repository_membership as repository
from switchboard.people import repository_segments
from switchboard.people.segment_changes import write_changes, write_sizes
from switchboard.people.segment_loop import changes_of, predicate_of, set_aside
from switchboard.people.segment_models import Changes, Kept, Segment
from switchboard.people.segment_vocabulary import Vocabulary

JOB = "people.segment_pass"
SLICE = 10_000
CLOCK_PAUSE = timedelta(minutes=15)
# Long enough for the transactions that were under way, each of which ends within a statement or two.
SETTLING_PAUSE = timedelta(milliseconds=200)
_BEFORE_ALL = UUID(int=0)
# How far a pass has come, and how many contacts it looks at next.
_OF_SLICES = ("after", "slice")


async def begin_pass(tx: Tx, segment_id: UUID, generation: int, *, is_extra: bool = False) -> None:
    """Look at all contacts, beginning soon; an extra pass stands beside the one that fills or repeats."""
    payload = {"segment_id": segment_id, "generation": generation, "is_extra": is_extra}
    await jobs.enqueue(tx, JOB, payload, priority=8)


async def hear_of_many(tx: Tx, told: Sequence[Event]) -> None:
    """A stage or a source has changed, and with it what many contacts' leads say: look at all contacts again."""
    nouns = sorted({event.topic for event in told})
    for segment_id, generation in await repository.list_reading(tx, nouns):
        await begin_pass(tx, segment_id, generation, is_extra=True)


def pass_handler(vocabulary: Vocabulary) -> JobHandler:
    """The handler of the job, for conditions of this vocabulary."""

    async def handle(tx: Tx, payload: Mapping[str, object]) -> Again | None:
        await repository.lock_members(tx)
        segment = await repository_segments.lock_segment(tx, UUID(str(payload["segment_id"])))
        if segment is None or segment.archived_at is not None or segment.generation != payload["generation"]:
            return None
        if segment.is_building and "known_from" not in payload:
            # Whoever changes a contact without knowing of the segment has a number by now, which is below ours.
            return Again({**payload, "known_from": await repository.get_number(tx)})
        if segment.is_building and not await repository.have_all_ended_before(tx, int(str(payload["known_from"]))):
            return Again(payload, after=SETTLING_PAUSE)
        return await _look(tx, segment, payload, vocabulary)

    return handle


async def _look(tx: Tx, segment: Segment, payload: Mapping[str, object], vocabulary: Vocabulary) -> Again | None:
    after = UUID(str(payload.get("after", _BEFORE_ALL)))
    limit = int(str(payload.get("slice", SLICE)))
    last, looked_at = await repository.find_slice_end(tx, after, limit)
    if last is None:
        return await _finish(tx, segment, payload, after)
    try:
        changes = await _settle_slice(tx, segment, vocabulary, after, last)
    except psycopg.errors.QueryCanceled:
        if limit == 1:
            raise
        # The condition is dear, or the machine is busy: fewer contacts take less time.
        return Again({**payload, "slice": max(limit // 10, 1)})
    if changes is None:
        return None
    await _write(tx, segment, changes)
    if segment.is_building and not payload["is_extra"]:
        await repository.note_progress(tx, segment.id, looked_at)
    return Again({**payload, "after": str(last), "slice": min(limit * 2, SLICE)})


async def _settle_slice(tx: Tx, segment: Segment, vocabulary: Vocabulary, after: UUID, last: UUID) -> Changes | None:
    kept = _kept(segment)
    try:
        predicate = predicate_of(kept.condition, vocabulary)
        async with tx.savepoint():
            rows = await repository.settle_slice(tx, segment.id, predicate, after, last, is_first=segment.is_building)
    except (InvalidError, psycopg.DataError, psycopg.ProgrammingError) as error:
        await set_aside(tx, segment.id, error)
        return None
    return changes_of(kept, rows)


async def _finish(tx: Tx, segment: Segment, payload: Mapping[str, object], after: UUID) -> Again | None:
    gone = await repository.delete_members_after(tx, segment.id, after)
    await _write(tx, segment, Changes(_kept(segment), left=gone))
    if payload["is_extra"]:
        return None
    if await repository.finish_pass(tx, segment.id):
        data = {"segment": segment.name, "title": segment.title}
        await events.append(tx, [Event("segment.built", subject_id=segment.id, data=data)])
    if not segment.reads_clock:
        return None
    return Again({name: value for name, value in payload.items() if name not in _OF_SLICES}, after=CLOCK_PAUSE)


async def _write(tx: Tx, segment: Segment, changes: Changes) -> None:
    """Nobody is told of those that a segment is filled with."""
    if segment.is_building:
        await write_sizes(tx, [changes])
    elif changes.entered or changes.left:
        await write_changes(tx, [changes], SYSTEM)


def _kept(segment: Segment) -> Kept:
    return Kept(segment.id, segment.name, segment.title, segment.condition or "", segment.reads)
