"""Segments: making, changing and reading them, and the members of lists.

The loop `segments` keeps the members of a segment with a condition; those of a list are put in and taken out here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.people import repository_segments as repository
from switchboard.people.errors import SegmentKeptByConditionError, SegmentNameTakenError, SegmentNotFoundError
from switchboard.people.normalising import fold
from switchboard.people.repository_vocabulary import OWN_WORDS
from switchboard.people.segment_changes import write_changes
from switchboard.people.segment_conditions import Condition, check_condition, problems_of
from switchboard.people.segment_models import Changes, MemberOf, Segment, SegmentForm, SegmentMember
from switchboard.people.segment_passes import begin_pass
from switchboard.people.segment_vocabulary import Vocabulary

PAGE_ROWS = 50
LONGEST_TITLE = 120
LONGEST_NAME = 60
MOST_AT_ONCE = 10_000
MOST_OF_CONTACT = 50
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True, slots=True)
class CheckedForm:
    """What a form says, with its condition read; None for a list."""

    name: str
    title: str
    condition: Condition | None


async def create_segment(tx: Tx, caller: Caller, form: SegmentForm, vocabulary: Vocabulary = OWN_WORDS) -> Segment:
    """Add a segment, which is filled soon where it has a condition.

    `vocabulary` is what its condition may speak of. Raises InvalidError with each field that is wrong,
    SegmentNameTakenError.
    """
    caller.require("agent")
    checked = check_form(form, vocabulary)
    segment = _new(checked, caller, await tx.now())
    if not await repository.insert_segment(tx, segment):
        raise SegmentNameTakenError(segment.name)
    await events.append(tx, [_event("segment.created", segment, caller)])
    if not segment.is_list:
        await begin_pass(tx, segment.id, segment.generation)
    return segment


async def update_segment(
    tx: Tx, caller: Caller, segment_id: UUID, form: SegmentForm, vocabulary: Vocabulary = OWN_WORDS
) -> Segment:
    """Change a segment; with another condition its members are all looked at again, and nobody is told of.

    A list stays a list. Raises SegmentNotFoundError, SegmentNameTakenError, and InvalidError with each field that is
    wrong.
    """
    caller.require("agent")
    before = await repository.lock_segment(tx, segment_id)
    if before is None or before.archived_at is not None:
        raise SegmentNotFoundError
    after = _changed(before, check_form(form, vocabulary))
    if after == before:
        return before
    if not await repository.update_segment(tx, after):
        raise SegmentNameTakenError(after.name)
    await events.append(tx, [_event("segment.updated", after, caller)])
    if after.generation != before.generation:
        await begin_pass(tx, after.id, after.generation)
    return after


async def get_segment(tx: Tx, caller: Caller, segment_id: UUID) -> Segment:
    """One segment, in use or archived; raises SegmentNotFoundError.

    While it `is_building`, members may still be missing: whoever writes to all of them should wait.
    """
    caller.require("viewer")
    found = await repository.find_segment(tx, segment_id)
    if found is None:
        raise SegmentNotFoundError
    return found


async def get_segment_by_name(tx: Tx, caller: Caller, name: str) -> Segment:
    """The segment in use of that name; raises SegmentNotFoundError."""
    caller.require("viewer")
    found = await repository.find_by_name(tx, name)
    if found is None:
        raise SegmentNotFoundError
    return found


async def list_segments(tx: Tx, caller: Caller, *, before: UUID | None = None, limit: int = PAGE_ROWS) -> list[Segment]:
    """Segments in use, newest first, those older than the segment `before`."""
    caller.require("viewer")
    return await repository.list_segments(tx, before, limit)


async def archive_segment(tx: Tx, caller: Caller, segment_id: UUID) -> None:
    """Take a segment out of use; its members stay as they are then. Safe to repeat; raises SegmentNotFoundError."""
    caller.require("agent")
    segment = await get_segment(tx, caller, segment_id)
    if await repository.archive_segment(tx, segment_id):
        await events.append(tx, [_event("segment.archived", segment, caller)])


async def count_members(tx: Tx, segment_id: UUID) -> int:
    """How many contacts are in a segment: kept as they come and go, not counted. 0 for a segment there is none of."""
    return await repository.count_members(tx, segment_id)


async def list_members(
    tx: Tx, caller: Caller, segment_id: UUID, *, after: UUID | None = None, limit: int = PAGE_ROWS
) -> list[SegmentMember]:
    """Contacts in a segment in the order of their ids, those after the contact `after`."""
    caller.require("viewer")
    return await repository.list_members(tx, segment_id, after, limit)


async def list_entered(tx: Tx, caller: Caller, segment_id: UUID, limit: int = PAGE_ROWS) -> list[SegmentMember]:
    """Who entered a segment last, the latest first; not those it was filled with."""
    caller.require("viewer")
    return await repository.list_entered(tx, segment_id, limit)


async def list_segments_of(tx: Tx, contact_id: UUID) -> list[MemberOf]:
    """The segments in use that a contact is in, by title."""
    return await repository.list_of_contact(tx, contact_id, MOST_OF_CONTACT)


async def add_members(tx: Tx, caller: Caller, segment_id: UUID, contact_ids: Collection[UUID]) -> int:
    """Put contacts into a list and say how many are new there; unknown and merged ones are left out.

    Raises SegmentNotFoundError, SegmentKeptByConditionError, and InvalidError for more than MOST_AT_ONCE.
    """
    segment = await _list_for(tx, caller, segment_id, contact_ids)
    added = await repository.insert_members(tx, segment.id, contact_ids, is_first=False)
    await write_changes(tx, [Changes(segment, entered=added)], caller.actor)
    return len(added)


async def remove_members(tx: Tx, caller: Caller, segment_id: UUID, contact_ids: Collection[UUID]) -> int:
    """Take contacts out of a list and say how many were in it; raises as `add_members` does."""
    segment = await _list_for(tx, caller, segment_id, contact_ids)
    removed = await repository.delete_members(tx, segment.id, contact_ids)
    await write_changes(tx, [Changes(segment, left=removed)], caller.actor)
    return len(removed)


async def get_open_list(tx: Tx, caller: Caller, segment_id: UUID) -> Segment:
    """A list in use that people may be put into; raises SegmentNotFoundError, SegmentKeptByConditionError."""
    caller.require("agent")
    segment = await get_segment(tx, caller, segment_id)
    if segment.archived_at is not None:
        raise SegmentNotFoundError
    if not segment.is_list:
        raise SegmentKeptByConditionError
    return segment


async def _list_for(tx: Tx, caller: Caller, segment_id: UUID, contact_ids: Collection[UUID]) -> Segment:
    caller.require("agent")
    if len(contact_ids) > MOST_AT_ONCE:
        problem = Problem("contact_ids", f"at most {MOST_AT_ONCE:,} at once")
        raise InvalidError("These are too many contacts for one call.", problems=[problem])
    return await get_open_list(tx, caller, segment_id)


def _event(kind: str, segment: Segment, caller: Caller) -> Event:
    data = {"segment": segment.name, "title": segment.title}
    return Event(kind, subject_id=segment.id, actor=caller.actor, data=data)


def check_form(form: SegmentForm, vocabulary: Vocabulary) -> CheckedForm:
    """What a form says, tidied; raises InvalidError with each field that is wrong."""
    title = " ".join(form.title.split())
    name = form.name.strip() or name_of(title)
    problems = []
    if not 1 <= len(title) <= LONGEST_TITLE:
        problems.append(Problem("title", f"give it a title of at most {LONGEST_TITLE} characters"))
    if not _NAME.fullmatch(name):
        hint = "up to 60 small letters, digits and _, with a letter first, such as big_customers"
        problems.append(Problem("name", hint))
    condition = None
    try:
        condition = check_condition(form.condition, vocabulary) if form.condition.strip() else None
    except InvalidError as error:
        problems += problems_of(error)
    if problems:
        raise InvalidError("This segment cannot be saved as it is.", problems=problems)
    return CheckedForm(name, title, condition)


def _new(form: CheckedForm, caller: Caller, now: datetime) -> Segment:
    return Segment(
        id=new_id(),
        name=form.name,
        title=form.title,
        condition=form.condition.text if form.condition else None,
        reads=list(form.condition.reads) if form.condition else [],
        reads_clock=form.condition is not None and form.condition.reads_clock,
        state="building" if form.condition else "live",
        generation=1,
        checked=0,
        looked_at=None,
        problem=None,
        created_by=caller.user_id,
        created_at=now,
        updated_at=now,
        archived_at=None,
        members=0,
    )


def _changed(before: Segment, form: CheckedForm) -> Segment:
    after = replace(before, name=form.name, title=form.title)
    if before.is_list != (form.condition is None):
        message = "a list has no condition; make a segment of its own" if before.is_list else "write a condition"
        raise InvalidError("This segment cannot be saved as it is.", problems=[Problem("condition", message)])
    if form.condition is None or (form.condition.text == before.condition and before.problem is None):
        return after
    return replace(
        after,
        condition=form.condition.text,
        reads=list(form.condition.reads),
        reads_clock=form.condition.reads_clock,
        state="building",
        generation=before.generation + 1,
        checked=0,
        problem=None,
    )


def name_of(title: str) -> str:
    """The name that a title gives: `big_customers` for `Big customers`; empty where it has no letter to begin with."""
    return re.sub(r"[^a-z0-9]+", "_", fold(title)).strip("_")[:LONGEST_NAME]
