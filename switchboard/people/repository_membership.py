"""The statements that keep the members of segments with a condition: whom to look at, and who enters and leaves."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from switchboard.kernel.columns import Column
from switchboard.kernel.db import Tx
from switchboard.people.repository_conditions import Predicate
from switchboard.people.segment_models import Dirty, Kept

# Whether there is any note; by the index segment_dirty_due.
IS_DUE = "EXISTS (SELECT FROM app.segment_dirty WHERE at <= app.now())"

# Holds one contact to the condition of one segment as it is at the start of the statement, so whoever runs it holds
# the lock of `lock_members`. Contacts and members by primary key; NOT IN is asked of a hash of those who fit, whose
# number the planner cannot know.
_SETTLE = """
WITH fitting AS MATERIALIZED (
    SELECT c.id FROM app.contact c
    WHERE c.workspace_id = %(workspace)s AND c.merged_into IS NULL AND {contacts} AND {condition}
), gone AS (
    DELETE FROM app.segment_member m
    WHERE m.segment_id = %(segment)s AND m.workspace_id = %(workspace)s AND {members}
      AND m.contact_id NOT IN (SELECT f.id FROM fitting f)
    RETURNING m.contact_id
), come AS (
    INSERT INTO app.segment_member (segment_id, contact_id, workspace_id, added_at, is_first)
    SELECT %(segment)s, f.id, %(workspace)s, app.now(), %(is_first)s FROM fitting f
    ORDER BY f.id ON CONFLICT DO NOTHING
    RETURNING contact_id
)
SELECT contact_id, true FROM come UNION ALL SELECT contact_id, false FROM gone
"""


# Notes contacts with the noun of what happened to them. The workspace's few segments by the partial index
# segment_reading; one row each where there is one that reads the noun, none where there is not.
_MARK = """
INSERT INTO app.segment_dirty (workspace_id, contact_id, noun, is_backfill)
SELECT %(workspace)s, contact_id, noun, %(is_backfill)s FROM {touched}
WHERE contact_id IS NOT NULL AND noun = ANY (ARRAY(
    SELECT unnest(s.reads) FROM app.segment s
    WHERE s.workspace_id = %(workspace)s AND s.condition IS NOT NULL AND s.archived_at IS NULL
))
"""


async def list_nouns_read(tx: Tx) -> frozenset[str]:
    """The nouns that any segment of the workspace reads."""
    # The partial index segment_reading, which holds the workspace's few segments.
    rows = await tx.fetch_tuples(
        """
        SELECT DISTINCT unnest(reads) FROM app.segment
        WHERE workspace_id = %s AND condition IS NOT NULL AND archived_at IS NULL
        """,
        (tx.workspace_id,),
    )
    return frozenset(row[0] for row in rows)


async def mark_dirty(tx: Tx, touched: Collection[tuple[UUID, str]]) -> int:
    """Note contacts with the noun of what happened to them, as far as a segment reads it; says how many were noted."""
    # What it answers stands above _MARK.
    return await tx.execute(
        _MARK.format(touched="unnest(%(contacts)s::uuid[], %(nouns)s::text[]) AS new (contact_id, noun)"),
        {
            "workspace": tx.workspace_id,
            "is_backfill": tx.is_backfill,
            "contacts": [contact_id for contact_id, _ in touched],
            "nouns": [noun for _, noun in touched],
        },
    )


async def mark_all_dirty(tx: Tx, contact_ids: Column, noun: str) -> int:
    """The same for many to whom the same happened, whose ids come as a column."""
    # What it answers stands above _MARK.
    return await tx.execute(
        _MARK.format(touched="(SELECT unnest(%(contacts)s::uuid[]) AS contact_id, %(noun)s::text AS noun) new"),
        {"workspace": tx.workspace_id, "is_backfill": tx.is_backfill, "contacts": contact_ids, "noun": noun},
    )


async def claim_dirty(tx: Tx, since: datetime, limit: int) -> list[Dirty]:
    """Take away the oldest notes from `since` on; they are gone when the transaction commits."""
    # Walks the index segment_dirty_due, then by place in the table; rows that another loop holds are passed over.
    return await tx.fetch_all(
        Dirty,
        """
        WITH claimed AS MATERIALIZED (
            SELECT ctid FROM app.segment_dirty WHERE at >= %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
        )
        DELETE FROM app.segment_dirty d USING claimed WHERE d.ctid = claimed.ctid
        RETURNING d.workspace_id, d.contact_id, d.noun, d.is_backfill, d.at
        """,
        (since, limit),
    )


async def lock_members(tx: Tx) -> None:
    """Let one transaction at a time decide who is in the workspace's segments with conditions.

    Two that look at one contact at different moments could otherwise write what they saw in the wrong order. Taken
    before anything else is locked.
    """
    # An advisory lock of this workspace, let go at the end of the transaction.
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 30))", (str(tx.workspace_id),))


async def list_kept(tx: Tx) -> list[Kept]:
    """The workspace's segments whose members follow a condition."""
    # The partial index segment_reading, which holds the workspace's few segments.
    return await tx.fetch_all(
        Kept,
        """
        SELECT id, name, title, condition, reads FROM app.segment
        WHERE workspace_id = %s AND condition IS NOT NULL AND archived_at IS NULL AND problem IS NULL ORDER BY id
        """,
        (tx.workspace_id,),
    )


async def settle_contacts(
    tx: Tx, segment_id: UUID, predicate: Predicate, contact_ids: Collection[UUID]
) -> list[tuple[UUID, bool]]:
    """Make these contacts members or not, as the condition says: who entered (True) and who left."""
    statement = _SETTLE.format(
        contacts="c.id = ANY(%(contacts)s)", members="m.contact_id = ANY(%(contacts)s)", condition=predicate.sql
    )
    params = {"contacts": list(contact_ids), "is_first": False}
    # What it answers stands above _SETTLE.
    return await tx.fetch_tuples(statement, _bound(tx, segment_id, predicate, params))


async def settle_slice(
    tx: Tx, segment_id: UUID, predicate: Predicate, after: UUID, last: UUID, *, is_first: bool
) -> list[tuple[UUID, bool]]:
    """The same for all contacts after the id `after` up to `last`; `is_first` while the segment is filled."""
    statement = _SETTLE.format(
        contacts="c.id > %(after)s AND c.id <= %(last)s",
        members="m.contact_id > %(after)s AND m.contact_id <= %(last)s",
        condition=predicate.sql,
    )
    params = {"after": after, "last": last, "is_first": is_first}
    # What it answers stands above _SETTLE; contacts by the partial index contact_list.
    return await tx.fetch_tuples(statement, _bound(tx, segment_id, predicate, params))


def _bound(tx: Tx, segment_id: UUID, predicate: Predicate, params: Mapping[str, object]) -> dict[str, object]:
    return {**predicate.params, **params, "segment": segment_id, "workspace": tx.workspace_id}


async def find_slice_end(tx: Tx, after: UUID, limit: int) -> tuple[UUID | None, int]:
    """The id of the last of the next `limit` contacts after one, and how many they are; None behind the last."""
    # Walks the partial index contact_list backwards.
    rows = await tx.fetch_tuples(
        """
        SELECT id, count(*) OVER () FROM (
            SELECT id FROM app.contact WHERE workspace_id = %s AND merged_into IS NULL AND id > %s
            ORDER BY id LIMIT %s
        ) next ORDER BY id DESC LIMIT 1
        """,
        (tx.workspace_id, after, limit),
    )
    return rows[0] if rows else (None, 0)


async def delete_members_after(tx: Tx, segment_id: UUID, after: UUID) -> list[UUID]:
    """Take out members behind the last contact: they have been merged away since they came."""
    # By the primary key of segment_member.
    rows = await tx.fetch_tuples(
        """
        DELETE FROM app.segment_member WHERE segment_id = %s AND workspace_id = %s AND contact_id > %s
          AND NOT EXISTS (
              SELECT FROM app.contact c WHERE c.id = segment_member.contact_id AND c.merged_into IS NULL
          )
        RETURNING contact_id
        """,
        (segment_id, tx.workspace_id, after),
    )
    return [row[0] for row in rows]


async def get_number(tx: Tx) -> int:
    """The number of this transaction, above those of all that have written anything before it did."""
    # Asks for the number alone, and no table.
    return int(await tx.fetch_value("SELECT pg_current_xact_id()::text"))


async def have_all_ended_before(tx: Tx, number: int) -> bool:
    """Whether every transaction has ended whose number is below that of a former one.

    A number of another server, from which the data were restored, is long over: it may be above all of this one.
    """
    # Asks for the snapshot alone, and no table.
    return bool(
        await tx.fetch_value(
            """
            SELECT %(number)s::text::xid8 <= pg_snapshot_xmin(pg_current_snapshot())
                OR %(number)s::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())
            """,
            {"number": number},
        )
    )


async def note_progress(tx: Tx, segment_id: UUID, checked: int) -> None:
    """Say how many contacts have been looked at."""
    # By primary key.
    await tx.execute(
        "UPDATE app.segment SET checked = checked + %s WHERE id = %s AND workspace_id = %s",
        (checked, segment_id, tx.workspace_id),
    )


async def finish_pass(tx: Tx, segment_id: UUID) -> bool:
    """Say that all contacts have been looked at; True when the segment was being filled until now."""
    # By primary key; what it was before comes with it.
    was_building = await tx.fetch_value(
        """
        UPDATE app.segment s SET state = 'live', looked_at = app.now() FROM app.segment before
        WHERE s.id = %(segment)s AND s.workspace_id = %(workspace)s AND before.id = s.id
        RETURNING before.state = 'building'
        """,
        {"segment": segment_id, "workspace": tx.workspace_id},
    )
    return bool(was_building)


async def note_problem(tx: Tx, segment_id: UUID, problem: str) -> None:
    """Say why a condition cannot be asked."""
    # By primary key.
    await tx.execute(
        "UPDATE app.segment SET problem = %s WHERE id = %s AND workspace_id = %s",
        (problem, segment_id, tx.workspace_id),
    )


async def list_reading(tx: Tx, nouns: Sequence[str]) -> list[tuple[UUID, int]]:
    """Id and generation of the segments that read any of these nouns."""
    # The partial index segment_reading.
    return await tx.fetch_tuples(
        """
        SELECT id, generation FROM app.segment
        WHERE workspace_id = %s AND condition IS NOT NULL AND archived_at IS NULL AND reads && %s ORDER BY id
        """,
        (tx.workspace_id, list(nouns)),
    )
