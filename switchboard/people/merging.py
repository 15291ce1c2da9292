"""Making one contact of two, and two of one again.

A merge moves rows and writes down which; an undo moves exactly those back. Rooms above people hold rows of a contact
too: each gives a ContactHolder, and the page or command that merges passes them in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from uuid import UUID

from msgspec.structs import replace

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.people import (
    repository,
    repository_consents,
    repository_merging,
    repository_segments,
    repository_suggestions,
    repository_tags,
)
from switchboard.people.drafts import ConsentGiven
from switchboard.people.errors import ContactNotFoundError, MergeNotFoundError, MergeRefusedError
from switchboard.people.models import ContactRow, Merge
from switchboard.people.recognition import refresh_words

# Columns of which the kept contact takes the lost one's where its own is empty; the name goes as one.
_NAME = ("name", "first_name", "last_name")
_FILLED = ("company", "time_zone", "country", "locale")


class ContactHolder(Protocol):
    """The rows of one room that belong to contacts."""

    @property
    def name(self) -> str:
        """What the rows are called on the preview, in the plural: `leads`."""
        ...

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all rows of one contact to another; returns their ids."""
        ...

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give these rows back."""
        ...


@dataclass(frozen=True, slots=True)
class Moved:
    """What a merge did. `filled` has the value before and after of each column of the kept contact it changed,
    custom fields as `fields.plan`. `lists_of_both` have the lost contact no more, for the kept one is in them."""

    identities: list[UUID]
    notes: list[UUID]
    consents: list[UUID]
    refusals: list[UUID]
    repointed: list[UUID]
    filled: dict[str, list[object]]
    held: dict[str, list[UUID]]
    was_suggested: bool
    tags: list[str]
    lists: list[UUID]
    lists_of_both: list[UUID]

    def as_json(self) -> dict[str, object]:
        """The shape of the column `moved`."""
        return {name: getattr(self, name) for name in self.__slots__}


async def merge(tx: Tx, caller: Caller, kept_id: UUID, lost_id: UUID, holders: Sequence[ContactHolder]) -> UUID:
    """Make one contact of two and return the merge's id, by which it can be undone.

    What the kept one lacks it takes from the lost one; a refusal of either refuses. Raises ContactNotFoundError, and
    MergeRefusedError when either has been merged away already.
    """
    caller.require("agent")
    kept, lost = await _lock_both(tx, kept_id, lost_id)
    after = combine(kept, lost)
    moved = await move_rows(tx, kept, lost, after, holders)
    merge_id = new_id()
    await repository.update_contacts(tx, [after, replace(lost, merged_into=kept.id)])
    await refresh_words(tx, [after])
    await repository_merging.insert_merge(
        tx, merge_id, kept_id=kept.id, lost_id=lost.id, merged_by=caller.user_id, moved=moved.as_json()
    )
    data = {"merge_id": merge_id, "lost_id": lost.id}
    await events.append(tx, [Event("contact.merged", merge_id, kept.id, actor=caller.actor, data=data)])
    return merge_id


async def undo(tx: Tx, caller: Caller, merge_id: UUID, holders: Sequence[ContactHolder]) -> Merge:
    """Make two contacts of one again, each with the rows it had; rows that came since stay with the kept one.

    Raises MergeNotFoundError, and MergeRefusedError when it is undone already or the kept contact has been merged
    into another since.
    """
    caller.require("agent")
    done = await access_merge(tx, caller, merge_id)
    moved = _read_moved(done)
    kept, lost = await _lock_for_undo(tx, done, moved)
    if not await repository_merging.mark_undone(tx, merge_id):
        raise MergeRefusedError("This merge has been undone already. Load the contact again.")
    kept_after = _without_filled(kept, moved)
    if kept.opted_out_at and await repository_merging.has_refused_since(tx, done, moved.refusals):
        # They opted out while they were one contact, so nobody can tell which of the two meant it: both did.
        kept_after = replace(kept_after, opted_out_at=kept.opted_out_at)
        lost = replace(lost, opted_out_at=lost.opted_out_at or kept.opted_out_at)
    await _move_back(tx, done, moved, holders)
    rows = [kept_after, replace(lost, merged_into=None)]
    await repository.update_contacts(tx, rows)
    await refresh_words(tx, rows)
    await events.append(
        tx,
        [Event("contact.unmerged", merge_id, row.id, actor=caller.actor, data={"merge_id": merge_id}) for row in rows],
    )
    return done


async def access_merge(tx: Tx, caller: Caller, merge_id: UUID) -> Merge:
    """One merge; raises MergeNotFoundError."""
    caller.require("viewer")
    found = await repository_merging.find_merge(tx, merge_id)
    if found is None:
        raise MergeNotFoundError
    return found


async def list_merges(tx: Tx, kept_id: UUID) -> list[Merge]:
    """Merges in force into one contact, newest first."""
    return await repository_merging.list_merges(tx, kept_id)


def combine(kept: ContactRow, lost: ContactRow) -> ContactRow:
    """The contact that remains: what the kept one lacks comes from the lost one, and an opt-out of either holds."""
    name_of = kept if kept.name else lost
    filled = {column: getattr(kept, column) or getattr(lost, column) for column in _FILLED}
    return replace(
        kept,
        **{column: getattr(name_of, column) for column in _NAME},
        **filled,
        fields=lost.fields | kept.fields,
        opted_out_at=kept.opted_out_at or lost.opted_out_at,
    )


async def move_rows(
    tx: Tx, kept: ContactRow, lost: ContactRow, after: ContactRow, holders: Sequence[ContactHolder]
) -> Moved:
    """Give the lost contact's rows of every kind to the kept one, and say which they were."""
    refused = await repository_merging.list_refused_channels(tx, (kept.id, lost.id))
    return Moved(
        identities=await repository_merging.move_identities(tx, lost.id, kept.id),
        notes=await repository_merging.move_notes(tx, lost.id, kept.id),
        consents=await repository_merging.move_consents(tx, lost.id, kept.id),
        refusals=await repository_consents.insert_consents(
            tx, [ConsentGiven(kept.id, channel, False, "One of two merged contacts refused") for channel in refused]
        ),
        repointed=await repository_merging.repoint_merged(tx, lost.id, kept.id),
        filled=_filled(kept, after),
        held={holder.name: await holder.move(tx, lost.id, kept.id) for holder in holders},
        was_suggested=await repository_suggestions.decide_pair(tx, kept.id, lost.id, "open", "merged"),
        tags=await repository_tags.move_tags(tx, lost.id, kept.id),
        lists=await repository_segments.move_lists(tx, lost.id, kept.id),
        lists_of_both=await _leave_lists(tx, lost.id),
    )


async def _leave_lists(tx: Tx, lost_id: UUID) -> list[UUID]:
    left = await repository_segments.delete_from_lists(tx, lost_id)
    await repository_segments.add_to_tally(tx, [(segment_id, -1) for segment_id in left])
    return left


async def _lock_both(tx: Tx, kept_id: UUID, lost_id: UUID) -> tuple[ContactRow, ContactRow]:
    if kept_id == lost_id:
        raise InvalidError(
            "A contact cannot be merged with itself.", problems=[Problem("lost_id", "choose another contact")]
        )
    await repository_merging.lock_identities(tx, (kept_id, lost_id))
    rows = await repository.lock_rows(tx, (kept_id, lost_id))
    if kept_id not in rows or lost_id not in rows:
        raise ContactNotFoundError
    if any(row.merged_into is not None for row in rows.values()):
        raise MergeRefusedError("One of the two has been merged already. Load the contact again.")
    return rows[kept_id], rows[lost_id]


def _filled(before: ContactRow, after: ContactRow) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        column: [getattr(before, column), getattr(after, column)]
        for column in (*_NAME, *_FILLED, "opted_out_at")
        if getattr(before, column) != getattr(after, column)
    }
    added = after.fields.keys() - before.fields.keys()
    return columns | {f"fields.{name}": [None, after.fields[name]] for name in sorted(added)}


def _without_filled(kept: ContactRow, moved: Moved) -> ContactRow:
    """The kept contact without what the merge gave it; what somebody has changed since stays as they left it."""
    fields = dict(kept.fields)
    columns: dict[str, object] = {}
    for path, (before, after) in moved.filled.items():
        column, _, name = path.partition(".")
        if name:
            if fields.get(name) == after:
                del fields[name]
        elif column == "opted_out_at":
            # The column is filled only where it was empty.
            columns[column] = None
        elif getattr(kept, column) == after:
            columns[column] = before
    return replace(kept, fields=fields, **columns)


async def _lock_for_undo(tx: Tx, done: Merge, moved: Moved) -> tuple[ContactRow, ContactRow]:
    await repository_merging.lock_identities(tx, (done.kept_id, done.lost_id))
    rows = await repository.lock_rows(tx, (done.kept_id, done.lost_id, *moved.repointed))
    if done.kept_id not in rows or done.lost_id not in rows:
        raise ContactNotFoundError
    later = await repository_merging.find_later_merge(tx, done)
    if done.undone_at is None and later is not None:
        raise MergeRefusedError(
            "The contact has been merged into another since. Undo that merge first, then this one.",
            data={"merge_id": str(later.id), "contact_id": str(later.kept_id)},
        )
    return rows[done.kept_id], rows[done.lost_id]


async def _move_back(tx: Tx, done: Merge, moved: Moved, holders: Sequence[ContactHolder]) -> None:
    await repository_merging.move_identities_back(tx, moved.identities, done.kept_id, done.lost_id)
    await repository_merging.move_notes_back(tx, moved.notes, done.lost_id)
    await repository_merging.move_consents_back(tx, moved.consents, done.lost_id)
    await repository_consents.delete_consents(tx, moved.refusals)
    await repository_merging.repoint_back(tx, moved.repointed, done.lost_id)
    await repository_tags.move_tags_back(tx, moved.tags, done.kept_id, done.lost_id)
    await repository_segments.move_lists_back(tx, moved.lists, done.kept_id, done.lost_id)
    back = await repository_segments.put_into_lists(tx, moved.lists_of_both, done.lost_id)
    await repository_segments.add_to_tally(tx, [(segment_id, 1) for segment_id in back])
    for holder in holders:
        row_ids = moved.held.get(holder.name)
        if row_ids:
            await holder.move_back(tx, row_ids, done.lost_id)
    if moved.was_suggested:
        await repository_suggestions.decide_pair(tx, done.kept_id, done.lost_id, "merged", "open")


def _read_moved(done: Merge) -> Moved:
    # A merge of before there were tags and lists says nothing of them.
    def ids(name: str) -> list[UUID]:
        return [UUID(text) for text in cast(Sequence[str], done.moved.get(name, []))]

    held = cast(Mapping[str, Sequence[str]], done.moved["held"])
    return Moved(
        identities=ids("identities"),
        notes=ids("notes"),
        consents=ids("consents"),
        refusals=ids("refusals"),
        repointed=ids("repointed"),
        filled=cast(dict[str, list[object]], done.moved["filled"]),
        held={name: [UUID(text) for text in row_ids] for name, row_ids in held.items()},
        was_suggested=bool(done.moved["was_suggested"]),
        tags=list(cast(Sequence[str], done.moved.get("tags", []))),
        lists=ids("lists"),
        lists_of_both=ids("lists_of_both"),
    )
