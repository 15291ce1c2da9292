"""Segments with conditions: making them, and running what keeps their members."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import segment_vocabulary
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.jobs import JobLoop
from switchboard.people import segments, wiring
from switchboard.people.models import Sighting
from switchboard.people.segment_loop import SegmentLoop
from switchboard.people.segment_models import Segment, SegmentForm
from switchboard.people.service import recognise


async def meet(database: Database, caller: Caller, *people: Sighting | str) -> list[UUID]:
    """Contacts of these names or sightings, in this order."""
    sightings = [
        Sighting(name=one, email=f"{one.lower()}@x.example") if isinstance(one, str) else one for one in people
    ]
    async with database.transaction(caller.workspace_id) as tx:
        seen = await recognise(tx, sightings, "DE")
    return [found.contact_id for found in seen if found.contact_id is not None]


async def make_segment(database: Database, caller: Caller, condition: str, title: str = "Chosen") -> Segment:
    """A segment that is still to be filled."""
    async with database.transaction(caller.workspace_id) as tx:
        return await segments.create_segment(tx, caller, SegmentForm(title, condition=condition), segment_vocabulary())


async def work(database: Database) -> None:
    """Do what is due: passes over all contacts, and the notes of what has happened."""
    loop = SegmentLoop(database, segment_vocabulary())
    jobs = JobLoop(database, wiring.job_handlers(segment_vocabulary()))
    while (await jobs.tick()).has_more or (await loop.tick()).handled:
        continue


async def filled(database: Database, caller: Caller, condition: str, title: str = "Chosen") -> Segment:
    """A segment with its members."""
    made = await make_segment(database, caller, condition, title)
    await work(database)
    return await reread(database, caller, made.id)


async def reread(database: Database, caller: Caller, segment_id: UUID) -> Segment:
    async with database.transaction(caller.workspace_id) as tx:
        return await segments.get_segment(tx, caller, segment_id)


async def member_ids(tx: Tx, segment_id: UUID) -> list[UUID]:
    rows = await tx.fetch_tuples(
        "SELECT contact_id FROM app.segment_member WHERE segment_id = %s ORDER BY contact_id", (segment_id,)
    )
    return [row[0] for row in rows]


async def members(database: Database, caller: Caller, segment_id: UUID) -> list[UUID]:
    """Who is in a segment; its kept size says the same."""
    async with database.transaction(caller.workspace_id) as tx:
        found = await member_ids(tx, segment_id)
        assert await segments.count_members(tx, segment_id) == len(found)
    return found


async def told(database: Database, caller: Caller, segment_id: UUID) -> Sequence[tuple[str, UUID | None]]:
    """The events of a segment in their order: what happened, and to whom."""
    async with database.transaction(caller.workspace_id) as tx:
        return await tx.fetch_tuples(
            "SELECT kind, contact_id FROM app.event WHERE subject_id = %s ORDER BY at, id", (segment_id,)
        )
