"""Segments: making, changing and reading them, and the members of lists.

The loop `segments` keeps the members of a segment with a condition; those of a list are put in and taken out here.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.people import repository_segments as repository
from switchboard.people.errors import SegmentKeptByConditionError, SegmentNameTakenError, SegmentNotFoundError
from switchboard.people.normalising import fold
from switchboard.people.segment_models import MemberOf, Segment, SegmentForm, SegmentMember

PAGE_ROWS = 50
LONGEST_TITLE = 120
LONGEST_NAME = 60
MOST_AT_ONCE = 10_000
MOST_OF_CONTACT = 50
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


async def create_segment(tx: Tx, caller: Caller, form: SegmentForm) -> Segment:
    """Add a segment; raises InvalidError with each field that is wrong, SegmentNameTakenError."""
    caller.require("agent")
    draft = _draft(form, caller, await tx.now())
    if not await repository.insert_segment(tx, draft):
        raise SegmentNameTakenError(draft.name)
    await events.append(tx, [_event("segment.created", draft, caller)])
    return draft


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
    segment = await _list(tx, caller, segment_id, contact_ids)
    added = await repository.insert_members(tx, segment.id, contact_ids, is_first=False)
    await tell_of_changes(tx, segment, entered=added, left=(), actor=caller.actor)
    return len(added)


async def remove_members(tx: Tx, caller: Caller, segment_id: UUID, contact_ids: Collection[UUID]) -> int:
    """Take contacts out of a list and say how many were in it; raises as `add_members` does."""
    segment = await _list(tx, caller, segment_id, contact_ids)
    removed = await repository.delete_members(tx, segment.id, contact_ids)
    await tell_of_changes(tx, segment, entered=(), left=removed, actor=caller.actor)
    return len(removed)


async def tell_of_changes(
    tx: Tx, segment: Segment, *, entered: Sequence[UUID], left: Sequence[UUID], actor: Actor
) -> None:
    """Keep the size of a segment whose members have just been written, and say of each who has come and gone."""
    if len(entered) != len(left):
        await repository.add_to_tally(tx, segment.id, len(entered) - len(left))
    data = {"segment": segment.name, "title": segment.title}
    told = [("segment.entered", contact_id) for contact_id in entered]
    told += [("segment.left", contact_id) for contact_id in left]
    await events.append(tx, [Event(kind, segment.id, each, actor=actor, data=data) for kind, each in told])


async def _list(tx: Tx, caller: Caller, segment_id: UUID, contact_ids: Collection[UUID]) -> Segment:
    caller.require("agent")
    if len(contact_ids) > MOST_AT_ONCE:
        problem = Problem("contact_ids", f"at most {MOST_AT_ONCE:,} at once")
        raise InvalidError("These are too many contacts for one call.", problems=[problem])
    segment = await get_segment(tx, caller, segment_id)
    if segment.archived_at is not None:
        raise SegmentNotFoundError
    if not segment.is_list:
        raise SegmentKeptByConditionError
    return segment


def _event(kind: str, segment: Segment, caller: Caller) -> Event:
    data = {"segment": segment.name, "title": segment.title}
    return Event(kind, subject_id=segment.id, actor=caller.actor, data=data)


def _draft(form: SegmentForm, caller: Caller, now: datetime) -> Segment:
    title = " ".join(form.title.split())
    name = form.name.strip() or name_of(title)
    problems = []
    if not 1 <= len(title) <= LONGEST_TITLE:
        problems.append(Problem("title", f"give it a title of at most {LONGEST_TITLE} characters"))
    if not _NAME.fullmatch(name):
        hint = "up to 60 small letters, digits and _, with a letter first, such as big_customers"
        problems.append(Problem("name", hint))
    if problems:
        raise InvalidError("This segment cannot be saved as it is.", problems=problems)
    return Segment(
        id=new_id(),
        name=name,
        title=title,
        condition=None,
        reads=[],
        reads_clock=False,
        state="live",
        generation=1,
        checked=0,
        looked_at=None,
        created_by=caller.user_id,
        created_at=now,
        updated_at=now,
        archived_at=None,
        members=0,
    )


def name_of(title: str) -> str:
    """The name that a title gives: `big_customers` for `Big customers`; empty where it has no letter to begin with."""
    return re.sub(r"[^a-z0-9]+", "_", fold(title)).strip("_")[:LONGEST_NAME]
