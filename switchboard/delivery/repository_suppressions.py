"""The statements about addresses that nothing is sent to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.delivery.gate import Suppression
from switchboard.delivery.models import SuppressedAddress
from switchboard.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class Objections:
    """What people said against mail: suppressed addresses, each with its contact where it was found by that, and what
    contacts said last to advertising on a channel.
    """

    suppressions: Sequence[tuple[UUID | None, Suppression]]
    consents: Mapping[tuple[UUID, str], bool]


async def insert_suppression(tx: Tx, kind: str, value: str, reason: str, message_id: UUID | None) -> bool:
    """False when the address is on the list already: the first reason stays, unless it is the weaker one.

    Whoever unsubscribes once more has unsubscribed since then.
    """
    # One row by primary key; what was there before is read by primary key as of the statement's beginning.
    changed = await tx.fetch_value(
        """
        WITH before AS (
            SELECT reason FROM app.suppression
            WHERE workspace_id = %(workspace)s AND kind = %(kind)s AND value = %(value)s
        ), written AS (
            INSERT INTO app.suppression AS old (workspace_id, kind, value, reason, message_id)
            VALUES (%(workspace)s, %(kind)s, %(value)s, %(reason)s, %(message)s)
            ON CONFLICT (workspace_id, kind, value) DO UPDATE
            SET reason = excluded.reason, message_id = excluded.message_id, created_at = app.now()
            WHERE old.reason = 'unsubscribed'
            RETURNING reason
        )
        SELECT written.reason IS DISTINCT FROM (SELECT reason FROM before) FROM written
        """,
        {"workspace": tx.workspace_id, "kind": kind, "value": value, "reason": reason, "message": message_id},
    )
    return bool(changed)


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


async def find_objections(
    tx: Tx, contact_ids: Collection[UUID], addresses: Collection[tuple[str, str]], asked: Collection[tuple[UUID, str]]
) -> Objections:
    """What stands against writing to these contacts: suppressed addresses of theirs, on whatever channel, those among
    `addresses`, each a kind and a value, and what the contacts `asked` said last to advertising on a channel.
    """
    # The contacts' addresses by the index identity_by_contact, each on the list by primary key, as the others; the
    # newest consent of each by the index consent_by_contact.
    rows = await tx.fetch_tuples(
        """
        SELECT i.contact_id, s.value, s.reason, s.created_at, NULL::boolean FROM app.identity i
        JOIN app.suppression s ON s.workspace_id = i.workspace_id AND s.kind = i.kind AND s.value = i.value
        WHERE i.contact_id = ANY(%(contacts)s) AND i.workspace_id = %(workspace)s
        UNION ALL
        SELECT NULL, s.value, s.reason, s.created_at, NULL
        FROM unnest(%(kinds)s::text[], %(values)s::text[]) AS address (kind, value)
        JOIN app.suppression s ON s.workspace_id = %(workspace)s AND s.kind = address.kind AND s.value = address.value
        UNION ALL
        SELECT asked.contact_id, asked.channel, NULL, NULL, newest.is_granted
        FROM unnest(%(asked)s::uuid[], %(channels)s::text[]) AS asked (contact_id, channel) CROSS JOIN LATERAL (
            SELECT c.is_granted FROM app.consent c
            WHERE c.workspace_id = %(workspace)s AND c.contact_id = asked.contact_id AND c.channel = asked.channel
              AND c.purpose = 'marketing'
            ORDER BY c.at DESC, c.id DESC LIMIT 1
        ) AS newest
        ORDER BY 2
        """,
        {
            "workspace": tx.workspace_id,
            "contacts": list(contact_ids),
            "kinds": [kind for kind, _ in addresses],
            "values": [value for _, value in addresses],
            "asked": [contact_id for contact_id, _ in asked],
            "channels": [channel for _, channel in asked],
        },
    )
    return Objections(
        suppressions=[(row[0], Suppression(*row[1:4])) for row in rows if row[4] is None],
        consents={(row[0], row[1]): row[4] for row in rows if row[4] is not None},
    )


async def find_of_addresses(tx: Tx, kind: str, values: Collection[str]) -> list[Suppression]:
    """Those among these addresses that are on the list."""
    # By primary key.
    return [
        Suppression(value, reason, since)
        for value, reason, since in await tx.fetch_tuples(
            """
            SELECT value, reason, created_at FROM app.suppression
            WHERE workspace_id = %s AND kind = %s AND value = ANY(%s)
            """,
            (tx.workspace_id, kind, list(values)),
        )
    ]
