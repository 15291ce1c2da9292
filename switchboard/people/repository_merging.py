"""The statements that merge contacts and take merges back."""

import json
from collections.abc import Collection, Mapping
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.people.models import Merge
from switchboard.people.repository_consents import PURPOSE

_MERGE = "id, kept_id, lost_id, merged_by, merged_at, undone_at, moved"


async def lock_identities(tx: Tx, contact_ids: Collection[UUID]) -> None:
    """Hold the addresses of these contacts against changes by others until the transaction ends."""
    # By the index identity_by_contact; in the order of keys, as recognition claims them.
    await tx.execute(
        """
        SELECT FROM app.identity WHERE contact_id = ANY(%s)
        ORDER BY kind COLLATE "C", value COLLATE "C", id FOR NO KEY UPDATE
        """,
        (list(contact_ids),),
    )


async def move_identities(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give a contact's addresses to another, behind its own; a shared one that the other has too stays."""
    # By the index identity_by_contact.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.identity i SET contact_id = %(to)s, rank = rank + 1
        WHERE contact_id = %(from)s AND NOT EXISTS (
            SELECT FROM app.identity own
            WHERE own.contact_id = %(to)s AND own.kind = i.kind AND own.value = i.value
        )
        RETURNING id
        """,
        {"from": from_id, "to": to_id},
    )
    return [row[0] for row in rows]


async def move_identities_back(tx: Tx, identity_ids: Collection[UUID], from_id: UUID, to_id: UUID) -> None:
    """Give addresses back to the contact they came from, unless they have gone elsewhere since."""
    # By primary key.
    await tx.execute(
        "UPDATE app.identity SET contact_id = %s, rank = rank - 1 WHERE id = ANY(%s) AND contact_id = %s",
        (to_id, list(identity_ids), from_id),
    )


async def move_notes(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give a contact's notes to another."""
    # By the index note_by_contact.
    rows = await tx.fetch_tuples(
        "UPDATE app.note SET contact_id = %s WHERE contact_id = %s RETURNING id", (to_id, from_id)
    )
    return [row[0] for row in rows]


async def move_notes_back(tx: Tx, note_ids: Collection[UUID], to_id: UUID) -> None:
    """Give notes back to the contact they came from."""
    # By primary key.
    await tx.execute("UPDATE app.note SET contact_id = %s WHERE id = ANY(%s)", (to_id, list(note_ids)))


async def move_consents(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give what a contact said to another."""
    # By the index consent_by_contact.
    rows = await tx.fetch_tuples(
        "UPDATE app.consent SET contact_id = %s WHERE contact_id = %s RETURNING id", (to_id, from_id)
    )
    return [row[0] for row in rows]


async def move_consents_back(tx: Tx, consent_ids: Collection[UUID], to_id: UUID) -> None:
    """Give what was said back to the contact who said it."""
    # By primary key.
    await tx.execute("UPDATE app.consent SET contact_id = %s WHERE id = ANY(%s)", (to_id, list(consent_ids)))


async def list_refused_channels(tx: Tx, contact_ids: Collection[UUID]) -> list[str]:
    """Channels on which any of these contacts last said no to marketing."""
    # By the index consent_by_contact.
    rows = await tx.fetch_tuples(
        """
        SELECT DISTINCT channel FROM (
            SELECT DISTINCT ON (contact_id, channel) channel, is_granted FROM app.consent
            WHERE contact_id = ANY(%s) AND purpose = %s ORDER BY contact_id, channel, at DESC, id DESC
        ) newest WHERE NOT is_granted ORDER BY channel
        """,
        (list(contact_ids), PURPOSE),
    )
    return [row[0] for row in rows]


async def has_refused_since(tx: Tx, merge: Merge, except_ids: Collection[UUID]) -> bool:
    """Whether the kept contact has refused anything since a merge, other than by the merge itself."""
    # By the index consent_by_contact.
    return bool(
        await tx.fetch_value(
            """
            SELECT EXISTS (
                SELECT FROM app.consent
                WHERE contact_id = %s AND NOT is_granted AND at >= %s AND NOT id = ANY(%s)
            )
            """,
            (merge.kept_id, merge.merged_at, list(except_ids)),
        )
    )


async def repoint_merged(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Lead those merged into one contact to another, so that one step always finds the contact that is kept."""
    # By the index contact_merged.
    rows = await tx.fetch_tuples(
        "UPDATE app.contact SET merged_into = %s WHERE merged_into = %s RETURNING id", (to_id, from_id)
    )
    return [row[0] for row in rows]


async def repoint_back(tx: Tx, contact_ids: Collection[UUID], to_id: UUID) -> None:
    """Lead contacts back to the one they were merged into before."""
    # By primary key.
    await tx.execute("UPDATE app.contact SET merged_into = %s WHERE id = ANY(%s)", (to_id, list(contact_ids)))


async def insert_merge(
    tx: Tx, merge_id: UUID, *, kept_id: UUID, lost_id: UUID, merged_by: UUID | None, moved: Mapping[str, object]
) -> None:
    """Write what a merge did, so that it can be undone."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.merge (id, workspace_id, kept_id, lost_id, merged_by, merged_at, moved)
        VALUES (%s, %s, %s, %s, %s, app.now(), %s)
        """,
        (merge_id, tx.workspace_id, kept_id, lost_id, merged_by, json.dumps(moved, default=str)),
    )


async def find_merge(tx: Tx, merge_id: UUID) -> Merge | None:
    """One merge."""
    # By primary key.
    return await tx.find_one(
        Merge, f"SELECT {_MERGE} FROM app.merge WHERE id = %s AND workspace_id = %s", (merge_id, tx.workspace_id)
    )


async def find_later_merge(tx: Tx, merge: Merge) -> Merge | None:
    """The merge in force by which the kept contact of this one was itself merged into another."""
    # By the index merge_by_lost.
    return await tx.find_one(
        Merge,
        f"SELECT {_MERGE} FROM app.merge WHERE lost_id = %s AND undone_at IS NULL",
        (merge.kept_id,),
    )


async def mark_undone(tx: Tx, merge_id: UUID) -> bool:
    """End a merge; False when somebody else has ended it."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.merge SET undone_at = app.now() WHERE id = %s AND undone_at IS NULL", (merge_id,)
    )
    return changed == 1


async def list_merges(tx: Tx, kept_id: UUID) -> list[Merge]:
    """Merges in force into one contact, newest first."""
    # By the index merge_by_kept.
    return await tx.fetch_all(
        Merge,
        f"SELECT {_MERGE} FROM app.merge WHERE kept_id = %s AND undone_at IS NULL ORDER BY id DESC LIMIT 50",
        (kept_id,),
    )
