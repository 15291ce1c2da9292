"""The statements about segments, their members and their size."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID, LOWEST_ID
from switchboard.people.models import ContactSummary
from switchboard.people.repository import load_contacts
from switchboard.people.segment_models import MemberOf, Segment, SegmentMember

MOST_TALLIES = 100
# What was counted already, and what has come and gone since; by the index segment_tally_by_segment.
_MEMBERS = """(s.members + coalesce((SELECT sum(t.members) FROM app.segment_tally t WHERE t.segment_id = s.id), 0)
    )::bigint AS members"""
_SEGMENT = f"""s.id, s.name, s.title, s.condition, s.reads, s.reads_clock, s.state, s.generation, s.checked,
    s.looked_at, s.problem, s.created_by, s.created_at, s.updated_at, s.archived_at, {_MEMBERS}"""


async def insert_segment(tx: Tx, segment: Segment) -> bool:
    """Add a segment; False when another in use has its name."""
    # One row, by the unique index segment_name.
    return bool(
        await tx.execute(
            """
            INSERT INTO app.segment (id, workspace_id, name, title, condition, reads, reads_clock, state, created_by)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (workspace_id, name) WHERE archived_at IS NULL DO NOTHING
            """,
            (
                segment.id,
                tx.workspace_id,
                segment.name,
                segment.title,
                segment.condition,
                segment.reads,
                segment.reads_clock,
                segment.state,
                segment.created_by,
            ),
        )
    )


async def find_segment(tx: Tx, segment_id: UUID) -> Segment | None:
    """One segment, in use or not."""
    # By primary key.
    return await tx.find_one(
        Segment,
        f"SELECT {_SEGMENT} FROM app.segment s WHERE s.id = %s AND s.workspace_id = %s",
        (segment_id, tx.workspace_id),
    )


async def lock_segment(tx: Tx, segment_id: UUID) -> Segment | None:
    """One segment, held against changes by others until the transaction ends."""
    # By primary key.
    return await tx.find_one(
        Segment,
        f"SELECT {_SEGMENT} FROM app.segment s WHERE s.id = %s AND s.workspace_id = %s FOR NO KEY UPDATE OF s",
        (segment_id, tx.workspace_id),
    )


async def find_by_name(tx: Tx, name: str) -> Segment | None:
    """The segment in use of that name."""
    # By the unique index segment_name.
    return await tx.find_one(
        Segment,
        f"SELECT {_SEGMENT} FROM app.segment s WHERE s.workspace_id = %s AND s.name = %s AND s.archived_at IS NULL",
        (tx.workspace_id, name),
    )


async def list_segments(tx: Tx, before: UUID | None, limit: int) -> list[Segment]:
    """The segments in use, newest first, those older than `before`."""
    # Walks the partial index segment_list.
    return await tx.fetch_all(
        Segment,
        f"""
        SELECT {_SEGMENT} FROM app.segment s
        WHERE s.workspace_id = %s AND s.archived_at IS NULL AND s.id < %s
        ORDER BY s.id DESC LIMIT %s
        """,
        (tx.workspace_id, before or HIGHEST_ID, limit),
    )


async def count_members(tx: Tx, segment_id: UUID) -> int:
    """How many contacts a segment has, by what was kept of their coming and going."""
    # By primary key.
    found = await tx.fetch_value(
        f"SELECT {_MEMBERS} FROM app.segment s WHERE s.id = %s AND s.workspace_id = %s", (segment_id, tx.workspace_id)
    )
    return int(found or 0)


async def archive_segment(tx: Tx, segment_id: UUID) -> bool:
    """Take a segment out of use; False when it is so already."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.segment SET archived_at = app.now() WHERE id = %s AND workspace_id = %s AND archived_at IS NULL",
        (segment_id, tx.workspace_id),
    )
    return changed == 1


async def insert_members(tx: Tx, segment_id: UUID, contact_ids: Collection[UUID], *, is_first: bool) -> list[UUID]:
    """Put contacts into a segment and say who is new there; those merged away and strangers are left out."""
    # Contacts by primary key; one row each in the primary key and two indexes of segment_member.
    rows = await tx.fetch_tuples(
        """
        INSERT INTO app.segment_member (segment_id, contact_id, workspace_id, added_at, is_first)
        SELECT %s, c.id, c.workspace_id, app.now(), %s FROM app.contact c
        WHERE c.id = ANY(%s) AND c.workspace_id = %s AND c.merged_into IS NULL
        ORDER BY c.id ON CONFLICT DO NOTHING RETURNING contact_id
        """,
        (segment_id, is_first, list(contact_ids), tx.workspace_id),
    )
    return [row[0] for row in rows]


async def delete_members(tx: Tx, segment_id: UUID, contact_ids: Collection[UUID]) -> list[UUID]:
    """Take contacts out of a segment and say who was in it."""
    # By primary key.
    rows = await tx.fetch_tuples(
        """
        DELETE FROM app.segment_member WHERE segment_id = %s AND contact_id = ANY(%s) AND workspace_id = %s
        RETURNING contact_id
        """,
        (segment_id, list(contact_ids), tx.workspace_id),
    )
    return [row[0] for row in rows]


async def list_members(tx: Tx, segment_id: UUID, after: UUID | None, limit: int) -> list[SegmentMember]:
    """Contacts in a segment by id, those after the contact `after`."""
    # Walks the primary key of segment_member.
    rows = await tx.fetch_tuples(
        """
        SELECT contact_id, added_at FROM app.segment_member
        WHERE segment_id = %s AND workspace_id = %s AND contact_id > %s
        ORDER BY contact_id LIMIT %s
        """,
        (segment_id, tx.workspace_id, after or LOWEST_ID, limit),
    )
    return await _with_contacts(tx, rows)


async def list_entered(tx: Tx, segment_id: UUID, limit: int) -> list[SegmentMember]:
    """Who entered a segment last and is in it still, the latest first; not those it was filled with."""
    # Walks the partial index segment_member_entered.
    rows = await tx.fetch_tuples(
        """
        SELECT contact_id, added_at FROM app.segment_member
        WHERE segment_id = %s AND workspace_id = %s AND NOT is_first
        ORDER BY added_at DESC, contact_id DESC LIMIT %s
        """,
        (segment_id, tx.workspace_id, limit),
    )
    return await _with_contacts(tx, rows)


async def _with_contacts(tx: Tx, rows: Sequence[tuple[UUID, datetime]]) -> list[SegmentMember]:
    contacts = await load_contacts(tx, [contact_id for contact_id, _ in rows])
    return [
        SegmentMember(ContactSummary.of(contacts[contact_id]), added_at)
        for contact_id, added_at in rows
        if contact_id in contacts
    ]


async def list_of_contact(tx: Tx, contact_id: UUID, limit: int) -> list[MemberOf]:
    """The segments in use that a contact is in, by title."""
    # By the index segment_member_by_contact, joined to segments by primary key.
    return await tx.fetch_all(
        MemberOf,
        """
        SELECT s.id, s.name, s.title, s.condition IS NULL AS is_list, m.added_at
        FROM app.segment_member m JOIN app.segment s ON s.id = m.segment_id
        WHERE m.contact_id = %s AND m.workspace_id = %s AND s.archived_at IS NULL
        ORDER BY lower(s.title), s.id LIMIT %s
        """,
        (contact_id, tx.workspace_id, limit),
    )


async def add_to_tally(tx: Tx, changes: Sequence[tuple[UUID, int]]) -> None:
    """Note by how many each segment has grown or shrunk; nothing is locked, so writers never wait for each other."""
    if not changes:
        return
    # One row a segment.
    await tx.execute(
        """
        INSERT INTO app.segment_tally (segment_id, workspace_id, members)
        SELECT segment_id, %s, members FROM unnest(%s::uuid[], %s::bigint[]) AS new (segment_id, members)
        """,
        (tx.workspace_id, [segment_id for segment_id, _ in changes], [members for _, members in changes]),
    )


async def fold_tally(tx: Tx, segment_id: UUID) -> None:
    """Put what was noted into the segment itself, when it is much and nobody else is doing so."""
    # A few rows by the index segment_tally_by_segment; then a lock of this tally only, let go at the end of the
    # transaction.
    is_ours = await tx.fetch_value(
        """
        SELECT CASE WHEN count(*) > %s THEN pg_try_advisory_xact_lock(hashtextextended(%s, 31)) END
        FROM (SELECT FROM app.segment_tally WHERE segment_id = %s LIMIT %s) few
        """,
        (MOST_TALLIES, str(segment_id), segment_id, MOST_TALLIES + 1),
    )
    if not is_ours:
        return
    # By the index segment_tally_by_segment, and one segment by primary key.
    await tx.execute(
        """
        WITH gone AS (
            DELETE FROM app.segment_tally WHERE segment_id = %(segment)s AND workspace_id = %(workspace)s
            RETURNING members
        )
        UPDATE app.segment SET members = members + (SELECT coalesce(sum(members), 0) FROM gone)
        WHERE id = %(segment)s AND workspace_id = %(workspace)s
        """,
        {"segment": segment_id, "workspace": tx.workspace_id},
    )


async def update_segment(tx: Tx, segment: Segment) -> bool:
    """Write a segment that is locked as a person changed it; False when another in use has its name."""
    # By primary key; the unique index segment_name is asked by the same snapshot, and decides in the end.
    changed = await tx.execute(
        """
        UPDATE app.segment s
        SET name = %(name)s, title = %(title)s, condition = %(condition)s, reads = %(reads)s,
            reads_clock = %(reads_clock)s, state = %(state)s, generation = %(generation)s, checked = %(checked)s,
            problem = %(problem)s, updated_at = app.now(),
            changed_in = CASE WHEN generation = %(generation)s THEN changed_in ELSE pg_current_xact_id() END
        WHERE s.id = %(id)s AND s.workspace_id = %(workspace)s AND NOT EXISTS (
            SELECT FROM app.segment other WHERE other.workspace_id = %(workspace)s AND other.name = %(name)s
              AND other.archived_at IS NULL AND other.id <> s.id
        )
        """,
        {
            "workspace": tx.workspace_id,
            "id": segment.id,
            "name": segment.name,
            "title": segment.title,
            "condition": segment.condition,
            "reads": segment.reads,
            "reads_clock": segment.reads_clock,
            "state": segment.state,
            "generation": segment.generation,
            "checked": segment.checked,
            "problem": segment.problem,
        },
    )
    return changed == 1


async def move_lists(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give a contact's places in lists to another, and say in which; where the other is already, nothing moves."""
    # By the index segment_member_by_contact, joined to segments by primary key.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.segment_member m SET contact_id = %(to)s FROM app.segment s
        WHERE m.contact_id = %(from)s AND s.id = m.segment_id AND s.condition IS NULL AND NOT EXISTS (
            SELECT FROM app.segment_member own WHERE own.segment_id = m.segment_id AND own.contact_id = %(to)s
        )
        RETURNING m.segment_id
        """,
        {"from": from_id, "to": to_id},
    )
    return sorted(row[0] for row in rows)


async def move_lists_back(tx: Tx, segment_ids: Sequence[UUID], from_id: UUID, to_id: UUID) -> None:
    """Give places in lists back to the contact they came from; one that was taken away since stays away."""
    # By primary key.
    await tx.execute(
        "UPDATE app.segment_member SET contact_id = %s WHERE segment_id = ANY(%s) AND contact_id = %s",
        (to_id, list(segment_ids), from_id),
    )


async def delete_from_lists(tx: Tx, contact_id: UUID) -> list[UUID]:
    """Take a contact out of all lists, and say of which."""
    # By the index segment_member_by_contact, joined to segments by primary key.
    rows = await tx.fetch_tuples(
        """
        DELETE FROM app.segment_member m USING app.segment s
        WHERE m.contact_id = %s AND s.id = m.segment_id AND s.condition IS NULL RETURNING m.segment_id
        """,
        (contact_id,),
    )
    return sorted(row[0] for row in rows)


async def put_into_lists(tx: Tx, segment_ids: Sequence[UUID], contact_id: UUID) -> list[UUID]:
    """Put a contact into lists, and say into which it was not in yet."""
    # One row each, by primary key.
    rows = await tx.fetch_tuples(
        """
        INSERT INTO app.segment_member (segment_id, contact_id, workspace_id, is_first)
        SELECT segment_id, %s, %s, true FROM unnest(%s::uuid[]) AS lists (segment_id)
        ON CONFLICT DO NOTHING RETURNING segment_id
        """,
        (contact_id, tx.workspace_id, list(segment_ids)),
    )
    return [row[0] for row in rows]
