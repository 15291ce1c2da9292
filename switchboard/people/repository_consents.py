"""The statements about consents and notes."""

from collections.abc import Collection, Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import new_id
from switchboard.people.drafts import ConsentGiven
from switchboard.people.models import Consent, Note

PURPOSE = "marketing"
_CONSENT = "id, contact_id, channel, purpose, is_granted, proof, at"
_NOTE = "id, contact_id, author_id, body, is_call, created_at"


async def insert_consents(tx: Tx, given: Sequence[ConsentGiven], *, is_repeated: bool = False) -> list[UUID]:
    """Write what contacts said, once more only when `is_repeated`; returns the ids of the rows written."""
    # The newest row of each by the index consent_by_contact.
    rows = await tx.fetch_tuples(
        """
        INSERT INTO app.consent (id, workspace_id, contact_id, channel, purpose, is_granted, proof, at)
        SELECT new.id, %(workspace)s, new.contact_id, new.channel, %(purpose)s, new.is_granted, new.proof, app.now()
        FROM unnest(%(ids)s::uuid[], %(contacts)s::uuid[], %(channels)s::text[], %(granted)s::boolean[],
                    %(proofs)s::text[]) AS new (id, contact_id, channel, is_granted, proof)
        WHERE %(is_repeated)s OR new.is_granted IS DISTINCT FROM (
            SELECT c.is_granted FROM app.consent c
            WHERE c.contact_id = new.contact_id AND c.channel = new.channel AND c.purpose = %(purpose)s
            ORDER BY c.at DESC, c.id DESC LIMIT 1
        )
        RETURNING id
        """,
        {
            "workspace": tx.workspace_id,
            "purpose": PURPOSE,
            "is_repeated": is_repeated,
            "ids": [new_id() for _ in given],
            "contacts": [one.contact_id for one in given],
            "channels": [one.channel for one in given],
            "granted": [one.is_granted for one in given],
            "proofs": [one.proof for one in given],
        },
    )
    return [row[0] for row in rows]


async def list_consents(tx: Tx, contact_ids: Collection[UUID]) -> list[Consent]:
    """All that these contacts said, newest first."""
    # By the index consent_by_contact.
    return await tx.fetch_all(
        Consent,
        f"SELECT {_CONSENT} FROM app.consent WHERE contact_id = ANY(%s) ORDER BY at DESC, id DESC",
        (list(contact_ids),),
    )


async def delete_consents(tx: Tx, consent_ids: Collection[UUID]) -> None:
    """Take back rows that a merge added."""
    # By primary key.
    await tx.execute("DELETE FROM app.consent WHERE id = ANY(%s)", (list(consent_ids),))


async def insert_note(tx: Tx, note: Note) -> None:
    """Add a note."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.note (id, workspace_id, contact_id, author_id, body, is_call, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        (note.id, tx.workspace_id, note.contact_id, note.author_id, note.body, note.is_call, note.created_at),
    )


async def list_notes(tx: Tx, contact_id: UUID, limit: int) -> list[Note]:
    """A contact's notes, newest first."""
    # By the index note_by_contact.
    return await tx.fetch_all(
        Note,
        f"SELECT {_NOTE} FROM app.note WHERE contact_id = %s ORDER BY id DESC LIMIT %s",
        (contact_id, limit),
    )


async def load_note_bodies(tx: Tx, note_ids: Collection[UUID]) -> dict[UUID, str]:
    """The texts of these notes."""
    # By primary key.
    rows = await tx.fetch_tuples("SELECT id, body FROM app.note WHERE id = ANY(%s)", (list(note_ids),))
    return dict(rows)
