"""The queue `segments`: whoever something happened to is held against the conditions that read it.

A change notes whom it concerns in its own transaction (`hear`); this loop takes the notes away and looks afterwards. A
note is only ever added, so a change that comes while its contact is being looked at leaves a note of its own.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import psycopg
import structlog

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.events import SYSTEM, Event, topic_of
from switchboard.kernel.events_alike import AlikeEvents
from switchboard.kernel.low_water import LowWater
from switchboard.kernel.queues import Tick, wake
from switchboard.people import repository_membership as repository
from switchboard.people.repository_conditions import Predicate, write_predicate
from switchboard.people.segment_changes import write_changes
from switchboard.people.segment_conditions import check_condition
from switchboard.people.segment_models import Changes, Dirty, Kept
from switchboard.people.segment_vocabulary import Vocabulary

QUEUE = "segments"
BATCH = 1_000
# How long it stands back after a notice: nobody waits for it, and others may be waking.
PATIENCE_SECONDS = 0.05

log = structlog.get_logger()

Notes = Mapping[UUID, Sequence[Dirty]]


async def hear(tx: Tx, told: Sequence[Event]) -> None:
    """Note the contacts of these events, where a segment reads their nouns: one statement, however many they are."""
    reads = await _nouns_read(tx)
    topics = {kind: topic for kind in {event.kind for event in told} if (topic := topic_of(kind)) in reads}
    heard = [event for event in told if event.kind in topics]
    touched = {(event.contact_id, topics[event.kind]) for event in heard if event.contact_id is not None}
    # Who was merged away belongs nowhere any more, and no event is about them.
    naming = [event for event in heard if "lost_id" in event.data]
    touched |= {(lost, event.topic) for event in naming if (lost := event.find_id("lost_id")) is not None}
    if touched and await repository.mark_dirty(tx, touched):
        await wake(tx, QUEUE)


async def hear_alike(tx: Tx, told: AlikeEvents) -> None:
    """The same of events of one kind, whose contacts nobody has taken apart."""
    noun = topic_of(told.kind)
    if noun in await _nouns_read(tx) and await repository.mark_all_dirty(tx, told.contact_ids, noun):
        await wake(tx, QUEUE)


async def _nouns_read(tx: Tx) -> frozenset[str]:
    """What the workspace's segments read, as a queue loop knows it since it entered the workspace.

    One that is newer than that does not miss the change: it is filled only when this transaction has ended.
    """
    with tx.remembering():
        return await tx.remember("nouns that segments read", repository.list_nouns_read)


class SegmentLoop:
    """Takes the notes of all workspaces, oldest first, and looks at each workspace's contacts segment by segment."""

    name = QUEUE
    due = repository.IS_DUE
    patience_seconds = PATIENCE_SECONDS

    def __init__(self, database: Database, vocabulary: Vocabulary) -> None:
        self._database = database
        self._vocabulary = vocabulary
        self._mark = LowWater()
        self._batch = BATCH

    async def tick(self) -> Tick:
        """Settle one batch of contacts; a smaller one where that took longer than a statement may."""
        try:
            tick = await self._settle_some(self._batch)
        except psycopg.errors.QueryCanceled:
            # One workspace's dear condition must not keep the others waiting for ever.
            self._batch = max(self._batch // 10, 1)
            raise
        self._batch = min(self._batch * 2, BATCH)
        return tick

    async def _settle_some(self, limit: int) -> Tick:
        look = self._mark.begin()
        try:
            async with self._database.queue_loop() as tx:
                notes = await repository.claim_dirty(tx, look.since, limit)
                is_full = len(notes) == limit
                self._mark.conclude(look, await tx.now(), max(note.at for note in notes) if is_full else None)
                await self._settle(tx, notes)
        except BaseException:
            self._mark.reset()
            raise
        return Tick(len(notes), has_more=is_full)

    async def _settle(self, tx: Tx, notes: Sequence[Dirty]) -> None:
        by_workspace: dict[UUID, dict[UUID, list[Dirty]]] = defaultdict(lambda: defaultdict(list))
        for note in notes:
            by_workspace[note.workspace_id][note.contact_id].append(note)
        # In one order everywhere, so that no two loops wait for each other's workspaces.
        for workspace_id in sorted(by_workspace):
            await tx.enter_workspace(workspace_id)
            await repository.lock_members(tx)
            await self._settle_workspace(tx, by_workspace[workspace_id])

    async def _settle_workspace(self, tx: Tx, notes: Notes) -> None:
        changes = []
        for segment in await repository.list_kept(tx):
            reads = set(segment.reads)
            touched = [contact_id for contact_id, each in notes.items() if any(note.noun in reads for note in each)]
            if touched:
                changes.append(await settle_contacts(tx, segment, self._vocabulary, touched))
        await _tell(tx, [each for each in changes if each.entered or each.left], notes)


async def settle_contacts(tx: Tx, segment: Kept, vocabulary: Vocabulary, contact_ids: Sequence[UUID]) -> Changes:
    """Hold contacts against one segment's condition; one that cannot be asked is set aside with its problem."""
    try:
        predicate = predicate_of(segment.condition, vocabulary)
        async with tx.savepoint():
            rows = await repository.settle_contacts(tx, segment.id, predicate, contact_ids)
    except (InvalidError, psycopg.DataError, psycopg.ProgrammingError) as error:
        await set_aside(tx, segment.id, error)
        return Changes(segment)
    return changes_of(segment, rows)


async def set_aside(tx: Tx, segment_id: UUID, error: InvalidError | psycopg.Error) -> None:
    """Keep a condition that cannot be asked from being asked again, and say why on the segment."""
    log.error("segment.condition_failed", segment_id=str(segment_id), exc_info=error)
    problem = (
        error.message if isinstance(error, InvalidError) else f"Postgres cannot ask it: {error.diag.message_primary}"
    )
    await repository.note_problem(tx, segment_id, problem)


def predicate_of(condition: str, vocabulary: Vocabulary) -> Predicate:
    """A condition as SQL; raises InvalidError where it is none any more."""
    return write_predicate(check_condition(condition, vocabulary).tree)


def changes_of(segment: Kept, rows: Sequence[tuple[UUID, bool]]) -> Changes:
    """Who entered and who left, from the rows of a settling statement."""
    entered = sorted(contact_id for contact_id, has_entered in rows if has_entered)
    left = sorted(contact_id for contact_id, has_entered in rows if not has_entered)
    return Changes(segment, entered, left)


async def _tell(tx: Tx, changes: Sequence[Changes], notes: Notes) -> None:
    """Those whose past is being filled in are told apart, so that nothing new begins with them."""
    past = {contact_id for contact_id, each in notes.items() if all(note.is_backfill for note in each)}
    for is_backfill in (False, True):
        chosen = [_only(each, past, is_past=is_backfill) for each in changes]
        if any(each.entered or each.left for each in chosen):
            with tx.backfill(is_backfill=is_backfill):
                await write_changes(tx, chosen, SYSTEM)


def _only(changes: Changes, past: set[UUID], *, is_past: bool) -> Changes:
    def chosen(contact_ids: Sequence[UUID]) -> list[UUID]:
        return [contact_id for contact_id in contact_ids if (contact_id in past) == is_past]

    return Changes(changes.segment, chosen(changes.entered), chosen(changes.left))
