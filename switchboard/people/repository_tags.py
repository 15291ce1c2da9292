"""The statements about tags."""

from collections.abc import Collection, Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID
from switchboard.people.models import ContactSummary
from switchboard.people.repository import SUMMARY_COLUMNS


async def insert_tags(tx: Tx, contact_ids: Collection[UUID], tags: Collection[str]) -> list[tuple[UUID, str]]:
    """Put tags on contacts and say which are new to whom; those merged away and strangers are left out."""
    # Contacts by primary key; one row each in the primary key and the index contact_tag_by_contact.
    return await tx.fetch_tuples(
        """
        INSERT INTO app.contact_tag (workspace_id, contact_id, tag)
        SELECT c.workspace_id, c.id, tag FROM app.contact c CROSS JOIN unnest(%s::text[]) AS new (tag)
        WHERE c.id = ANY(%s) AND c.workspace_id = %s AND c.merged_into IS NULL
        ORDER BY tag COLLATE "C", c.id ON CONFLICT DO NOTHING RETURNING contact_id, tag
        """,
        (list(tags), list(contact_ids), tx.workspace_id),
    )


async def delete_tags(tx: Tx, contact_ids: Collection[UUID], tags: Collection[str]) -> list[tuple[UUID, str]]:
    """Take tags from contacts and say which were on whom."""
    # By the primary key.
    return await tx.fetch_tuples(
        """
        DELETE FROM app.contact_tag WHERE workspace_id = %s AND tag = ANY(%s) AND contact_id = ANY(%s)
        RETURNING contact_id, tag
        """,
        (tx.workspace_id, list(tags), list(contact_ids)),
    )


async def list_tags(tx: Tx, contact_id: UUID) -> list[str]:
    """A contact's tags."""
    # By the index contact_tag_by_contact.
    rows = await tx.fetch_tuples(
        'SELECT tag FROM app.contact_tag WHERE contact_id = %s AND workspace_id = %s ORDER BY tag COLLATE "C"',
        (contact_id, tx.workspace_id),
    )
    return [row[0] for row in rows]


async def list_known(tx: Tx, limit: int) -> list[str]:
    """Tags that are on somebody, by name."""
    # Jumps from one tag to the next in the primary key, however many contacts have each.
    rows = await tx.fetch_tuples(
        """
        WITH RECURSIVE known AS (
            (SELECT tag FROM app.contact_tag WHERE workspace_id = %(workspace)s ORDER BY tag LIMIT 1)
            UNION ALL
            SELECT (
                SELECT t.tag FROM app.contact_tag t
                WHERE t.workspace_id = %(workspace)s AND t.tag > known.tag ORDER BY t.tag LIMIT 1
            ) FROM known WHERE known.tag IS NOT NULL
        )
        SELECT tag FROM known WHERE tag IS NOT NULL LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "limit": limit},
    )
    return [row[0] for row in rows]


async def list_tagged(tx: Tx, tag: str, before: UUID | None, limit: int) -> list[ContactSummary]:
    """Contacts with a tag, newest first, those older than `before`."""
    # Walks the primary key of contact_tag backwards; contacts by primary key.
    return await tx.fetch_all(
        ContactSummary,
        f"""
        SELECT {SUMMARY_COLUMNS} FROM app.contact_tag t JOIN app.contact c ON c.id = t.contact_id
        WHERE t.workspace_id = %s AND t.tag = %s AND c.merged_into IS NULL AND t.contact_id < %s
        ORDER BY t.contact_id DESC LIMIT %s
        """,
        (tx.workspace_id, tag, before or HIGHEST_ID, limit),
    )


async def move_tags(tx: Tx, from_id: UUID, to_id: UUID) -> list[str]:
    """Give a contact's tags to another; those that the other has too stay."""
    # By the index contact_tag_by_contact.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.contact_tag t SET contact_id = %(to)s
        WHERE t.contact_id = %(from)s AND NOT EXISTS (
            SELECT FROM app.contact_tag own WHERE own.contact_id = %(to)s AND own.tag = t.tag
        )
        RETURNING tag
        """,
        {"from": from_id, "to": to_id},
    )
    return sorted(row[0] for row in rows)


async def move_tags_back(tx: Tx, tags: Sequence[str], from_id: UUID, to_id: UUID) -> None:
    """Give tags back to the contact they came from; one that has been removed since stays away."""
    # By the index contact_tag_by_contact.
    await tx.execute(
        "UPDATE app.contact_tag SET contact_id = %s WHERE contact_id = %s AND tag = ANY(%s)",
        (to_id, from_id, list(tags)),
    )
