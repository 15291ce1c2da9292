"""The statements about addresses that nothing is sent to."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from switchboard.delivery.models import SuppressedAddress
from switchboard.kernel.db import Tx


async def insert_suppression(tx: Tx, kind: str, value: str, reason: str, message_id: UUID | None) -> bool:
    """False when the address is on the list already; the first reason stays."""
    # Adds an address once; by primary key.
    added = await tx.execute(
        """
        INSERT INTO app.suppression (workspace_id, kind, value, reason, message_id) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (workspace_id, kind, value) DO NOTHING
        """,
        (tx.workspace_id, kind, value, reason, message_id),
    )
    return added == 1


async def delete_suppression(tx: Tx, kind: str, value: str) -> bool:
    """False when the address is not on the list."""
    # By primary key.
    deleted = await tx.execute(
        "DELETE FROM app.suppression WHERE workspace_id = %s AND kind = %s AND value = %s",
        (tx.workspace_id, kind, value),
    )
    return deleted == 1


async def list_suppressions(
    tx: Tx, *, search: str, before: tuple[datetime, str] | None, limit: int
) -> list[SuppressedAddress]:
    """The list, newest first; only addresses that begin with `search`, where there is one."""
    # Walks the index suppression_list.
    return await tx.fetch_all(
        SuppressedAddress,
        """
        SELECT kind, value, reason, message_id, created_at FROM app.suppression
        WHERE workspace_id = %(workspace)s AND starts_with(value, %(search)s)
          AND (%(at)s::timestamptz IS NULL OR (created_at, value) < (%(at)s::timestamptz, %(value)s::text))
        ORDER BY created_at DESC, value DESC LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "search": search,
            "at": before[0] if before else None,
            "value": before[1] if before else "",
            "limit": limit,
        },
    )


async def find_of_contacts(tx: Tx, contact_ids: Collection[UUID]) -> list[tuple[UUID, str, str]]:
    """Contact, address and reason of every suppressed address of these contacts, on whatever channel."""
    # The contacts' addresses by the index identity_by_contact, each on the list by primary key.
    return [
        (contact_id, value, reason)
        for contact_id, value, reason in await tx.fetch_tuples(
            """
            SELECT i.contact_id, s.value, s.reason FROM app.identity i
            JOIN app.suppression s ON s.workspace_id = i.workspace_id AND s.kind = i.kind AND s.value = i.value
            WHERE i.contact_id = ANY(%s) AND i.workspace_id = %s ORDER BY s.value
            """,
            (list(contact_ids), tx.workspace_id),
        )
    ]


async def find_of_addresses(tx: Tx, kind: str, values: Collection[str]) -> list[tuple[str, str]]:
    """Address and reason of those among these addresses that are on the list."""
    # By primary key.
    return [
        (value, reason)
        for value, reason in await tx.fetch_tuples(
            "SELECT value, reason FROM app.suppression WHERE workspace_id = %s AND kind = %s AND value = ANY(%s)",
            (tx.workspace_id, kind, list(values)),
        )
    ]
