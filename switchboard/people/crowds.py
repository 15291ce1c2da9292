"""Many people at once: those of an import, a segment, a tag or a condition, to fill a list with or to put tags on.

They are taken as they are now, a slice at a time by a job; whoever comes later is not among them.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import find_id
from switchboard.kernel.jobs import Again, JobHandler
from switchboard.people import repository_crowds as repository
from switchboard.people import repository_membership, repository_segments
from switchboard.people.errors import SegmentBeingFilledError, SegmentNotFoundError
from switchboard.people.repository_vocabulary import OWN_WORDS
from switchboard.people.segment_changes import write_sizes
from switchboard.people.segment_conditions import check_condition
from switchboard.people.segment_loop import predicate_of
from switchboard.people.segment_models import CROWD_KINDS, Changes, Crowd, Segment
from switchboard.people.segment_vocabulary import Vocabulary
from switchboard.people.segments import get_open_list, get_segment, get_segment_by_name
from switchboard.people.tags import add_tags, check_tags

FILL = "people.fill_list"
TAG = "people.tag_crowd"
SLICE = 10_000
# Each of these has an event of its own.
TAGGED_SLICE = 2_000
_BEFORE_ALL = UUID(int=0)


async def fill_list(tx: Tx, caller: Caller, segment_id: UUID, asked: Crowd, vocabulary: Vocabulary = OWN_WORDS) -> None:
    """Put everybody who is `asked` for into a list, soon; until then the list `is_building`.

    A segment may be given by its name. Nobody is told of those that a list is filled with. Raises
    SegmentNotFoundError, SegmentKeptByConditionError, SegmentBeingFilledError, InvalidError.
    """
    segment = await get_open_list(tx, caller, segment_id)
    crowd = await check_crowd(tx, caller, asked, vocabulary)
    if crowd == Crowd("segment", str(segment.id)):
        raise _wrong("of", "a list cannot be filled with itself; choose another")
    if not await repository.begin_filling(tx, segment.id, FILL):
        raise SegmentBeingFilledError
    payload = {"segment_id": segment.id, "kind": crowd.kind, "of": crowd.of}
    await jobs.enqueue(tx, FILL, payload, key=str(segment.id), priority=8)


async def tag_crowd(
    tx: Tx, caller: Caller, asked: Crowd, words: Iterable[str], vocabulary: Vocabulary = OWN_WORDS
) -> None:
    """Put tags on everybody who is `asked` for, soon; raises as `fill_list` does."""
    caller.require("agent")
    tags = check_tags(words)
    if not tags:
        raise _wrong("tags", "name a tag")
    crowd = await check_crowd(tx, caller, asked, vocabulary)
    payload = {"kind": crowd.kind, "of": crowd.of, "tags": tags, "user_id": caller.user_id}
    await jobs.enqueue(tx, TAG, payload, priority=8)


async def check_crowd(tx: Tx, caller: Caller, asked: Crowd, vocabulary: Vocabulary = OWN_WORDS) -> Crowd:
    """The same people by the id of what they are in; raises InvalidError, SegmentNotFoundError."""
    kind, text = asked.kind, asked.of.strip()
    if kind == "segment":
        return Crowd("segment", str((await _segment(tx, caller, text)).id))
    if kind == "import":
        return Crowd("import", str(await _complete_import(tx, text)))
    if kind == "tag":
        return Crowd("tag", _one_tag(text))
    if kind == "condition":
        return Crowd("condition", check_condition(text, vocabulary).text)
    raise _wrong("from", f"expected one of {', '.join(CROWD_KINDS)}")


def job_handlers(vocabulary: Vocabulary) -> Mapping[str, JobHandler]:
    """The jobs that fill lists and put tags on many, for conditions of this vocabulary."""

    async def fill(tx: Tx, payload: Mapping[str, object]) -> Again | None:
        segment = await repository_segments.lock_segment(tx, UUID(str(payload["segment_id"])))
        if segment is None or segment.archived_at is not None:
            return None
        contacts, place, looked_at = await _next(tx, payload, vocabulary, SLICE)
        added = await repository_segments.insert_members(tx, segment.id, contacts, is_first=True)
        await write_sizes(tx, [Changes(segment, entered=added)])
        await repository_membership.note_progress(tx, segment.id, looked_at)
        if looked_at == SLICE:
            return Again({**payload, "after": str(place)})
        await repository.end_filling(tx, segment.id)
        data = {"segment": segment.name, "title": segment.title}
        await events.append(tx, [Event("segment.built", subject_id=segment.id, data=data)])
        return None

    async def tag(tx: Tx, payload: Mapping[str, object]) -> Again | None:
        contacts, place, looked_at = await _next(tx, payload, vocabulary, TAGGED_SLICE)
        words = payload["tags"]
        await add_tags(tx, _asker(tx, payload), contacts, words if isinstance(words, list) else [])
        return Again({**payload, "after": str(place)}) if looked_at == TAGGED_SLICE else None

    return {FILL: fill, TAG: tag}


async def _next(
    tx: Tx, payload: Mapping[str, object], vocabulary: Vocabulary, limit: int
) -> tuple[list[UUID], UUID | None, int]:
    """The contacts of the next slice, each once, where it ends, and how many rows were looked at."""
    after, crowd = UUID(str(payload.get("after", _BEFORE_ALL))), Crowd(str(payload["kind"]), str(payload["of"]))
    if crowd.kind == "condition":
        rows = await repository.list_next_meeting(tx, predicate_of(crowd.of, vocabulary), after, limit)
    else:
        rows = await repository.list_next(tx, crowd, after, limit)
    contacts = list(dict.fromkeys(contact_id for _, contact_id in rows if contact_id is not None))
    return contacts, rows[-1][0] if rows else None, len(rows)


def _asker(tx: Tx, payload: Mapping[str, object]) -> Caller:
    """Whoever asked, with the right that was theirs then."""
    user_id = payload.get("user_id")
    return Caller(tx.workspace_id, "agent", UUID(str(user_id)) if user_id else None)


async def _segment(tx: Tx, caller: Caller, text: str) -> Segment:
    segment_id = find_id(text)
    found = await (get_segment(tx, caller, segment_id) if segment_id else get_segment_by_name(tx, caller, text))
    if found.archived_at is not None:
        raise SegmentNotFoundError
    if found.is_building:
        raise _wrong("of", "the segment is being filled; wait until it is done")
    return found


async def _complete_import(tx: Tx, text: str) -> UUID:
    import_id = find_id(text)
    state = await repository.find_import_state(tx, import_id) if import_id else None
    if import_id is None or state is None:
        raise _wrong("of", "there is no such import; its id stands in the address of its page")
    if state == "forgotten":
        raise _wrong("of", "who came with this import is no longer known: its rows are past KEEP_SIGNALS_MONTHS")
    if state != "done":
        raise _wrong("of", f"the import is {state}; wait until it is done")
    return import_id


def _one_tag(text: str) -> str:
    found = check_tags([text])
    if not found:
        raise _wrong("of", "name a tag")
    return found[0]


def _wrong(field: str, message: str) -> InvalidError:
    return InvalidError("These people cannot be found.", problems=[Problem(field, message)])
