"""The statements about many people at once: those of an import, a segment, a tag or a condition, slice by slice."""

from collections.abc import Mapping
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.people.repository_conditions import Predicate
from switchboard.people.segment_models import Crowd

# The next in the order of `place`, which is the contact's id but for an import: there it is the signal's.
_NEXT: Mapping[str, str] = {
    # The primary key of segment_member in its order.
    "segment": """
        SELECT contact_id AS place, contact_id FROM app.segment_member
        WHERE workspace_id = %(workspace)s AND segment_id = %(of)s::uuid AND contact_id > %(after)s
        ORDER BY contact_id LIMIT %(limit)s
    """,
    # The primary key of contact_tag in its order.
    "tag": """
        SELECT contact_id AS place, contact_id FROM app.contact_tag
        WHERE workspace_id = %(workspace)s AND tag = %(of)s AND contact_id > %(after)s
        ORDER BY contact_id LIMIT %(limit)s
    """,
    # The source's signals by signal_by_source, what came of each by primary key, contacts by theirs.
    "import": """
        SELECT s.id AS place, coalesce(c.merged_into, c.id) AS contact_id
        FROM (
            SELECT s.id, s.received_at FROM app.signal s
            WHERE s.workspace_id = %(workspace)s AND s.import_id = %(of)s::uuid AND s.id > %(after)s AND s.source_id = (
                SELECT source_id FROM app.import WHERE workspace_id = %(workspace)s AND id = %(of)s::uuid
            )
            ORDER BY s.id LIMIT %(limit)s
        ) AS s
        LEFT JOIN app.signal_outcome o ON o.signal_id = s.id AND o.received_at = s.received_at
        LEFT JOIN app.contact c ON c.id = o.contact_id
        ORDER BY s.id
    """,
}
# The partial index contact_list in its order; the condition is asked of the slice only.
_MEETING = """
    SELECT c.id AS place, CASE WHEN {condition} THEN c.id END AS contact_id FROM (
        SELECT * FROM app.contact WHERE workspace_id = %(workspace)s AND merged_into IS NULL AND id > %(after)s
        ORDER BY id LIMIT %(limit)s
    ) AS c ORDER BY c.id
"""


async def list_next(tx: Tx, crowd: Crowd, after: UUID, limit: int) -> list[tuple[UUID, UUID | None]]:
    """The next places behind `after`, each with its contact, None where a row of an import became nobody."""
    # By the index that stands above each kind.
    return await tx.fetch_tuples(
        _NEXT[crowd.kind], {"workspace": tx.workspace_id, "of": crowd.of, "after": after, "limit": limit}
    )


async def list_next_meeting(tx: Tx, predicate: Predicate, after: UUID, limit: int) -> list[tuple[UUID, UUID | None]]:
    """The next contacts behind `after`, each with its id again where it meets the condition."""
    # What it answers stands above _MEETING.
    return await tx.fetch_tuples(
        _MEETING.format(condition=predicate.sql),
        {**predicate.params, "workspace": tx.workspace_id, "after": after, "limit": limit},
    )


async def find_import_state(tx: Tx, import_id: UUID) -> str | None:
    """How far an import has come; `forgotten` when signals of its time are no longer kept."""
    # By the primary keys of both.
    found: str | None = await tx.fetch_value(
        """
        SELECT CASE WHEN i.created_at < l.kept_since THEN 'forgotten' ELSE i.state END
        FROM app.import i LEFT JOIN app.log_keeping l ON l.log = 'signal'
        WHERE i.workspace_id = %s AND i.id = %s
        """,
        (tx.workspace_id, import_id),
    )
    return found


async def begin_filling(tx: Tx, segment_id: UUID, job_kind: str) -> bool:
    """Say that a list is being filled; False while it is so already by a job that goes on."""
    # By primary key; the job by the unique index job_key.
    changed = await tx.execute(
        """
        UPDATE app.segment SET state = 'building', checked = 0
        WHERE id = %(segment)s AND workspace_id = %(workspace)s AND (state = 'live' OR NOT EXISTS (
            SELECT FROM app.job WHERE workspace_id = %(workspace)s AND kind = %(kind)s AND key = %(segment)s::text
              AND failed_at IS NULL
        ))
        """,
        {"segment": segment_id, "workspace": tx.workspace_id, "kind": job_kind},
    )
    return changed == 1


async def end_filling(tx: Tx, segment_id: UUID) -> None:
    """Say that a list has been filled."""
    # By primary key.
    await tx.execute(
        "UPDATE app.segment SET state = 'live' WHERE id = %s AND workspace_id = %s", (segment_id, tx.workspace_id)
    )
