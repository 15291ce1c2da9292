"""The statements about mail as it came in and the files in it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from switchboard.inbox.models import Attachment, AttachmentContent, InboundMail, MailOutcome
from switchboard.inbox.parsing import IncomingAttachment
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import new_id


async def insert_mail(tx: Tx, mail_id: UUID, *, mail_from: str, recipient: str, raw: bytes, header_id: str) -> UUID:
    """Keep a mail; returns the id of the one kept before when this one has come to this recipient already."""
    # Once a Message-ID and recipient, by the unique index inbound_mail_once.
    added = await tx.execute(
        """
        INSERT INTO app.inbound_mail (id, workspace_id, mail_from, recipient, raw, header_id)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (workspace_id, header_id, recipient) DO NOTHING
        """,
        (mail_id, tx.workspace_id, mail_from, recipient, raw, header_id),
    )
    if added:
        return mail_id
    # By the same index.
    kept: UUID = await tx.fetch_value(
        "SELECT id FROM app.inbound_mail WHERE workspace_id = %s AND header_id = %s AND recipient = %s",
        (tx.workspace_id, header_id, recipient),
    )
    return kept


async def lock_mail(tx: Tx, mail_id: UUID) -> InboundMail | None:
    """A mail to be read, held so that it is read once."""
    # By primary key.
    return await tx.find_one(
        InboundMail,
        """
        SELECT id, mail_from, recipient, raw, header_id, message_id, outcome, created_at FROM app.inbound_mail
        WHERE workspace_id = %s AND id = %s FOR UPDATE
        """,
        (tx.workspace_id, mail_id),
    )


async def set_outcome(tx: Tx, mail_id: UUID, outcome: MailOutcome, message_id: UUID | None) -> None:
    """Say what became of a mail."""
    # By primary key.
    await tx.execute(
        "UPDATE app.inbound_mail SET outcome = %s, message_id = %s WHERE id = %s", (outcome, message_id, mail_id)
    )


async def find_original(tx: Tx, message_id: UUID) -> bytes | None:
    """The mail behind a message, as it came in."""
    # By the index inbound_mail_by_message.
    raw: bytes | None = await tx.fetch_value(
        "SELECT raw FROM app.inbound_mail WHERE workspace_id = %s AND message_id = %s ORDER BY id LIMIT 1",
        (tx.workspace_id, message_id),
    )
    return raw


async def delete_originals(tx: Tx, before: datetime, most: int) -> int:
    """Forget mail as it came in before then, once it has been read; says how many they were."""
    # By the index inbound_mail_by_age from its beginning, at most a batch, chosen once.
    return await tx.execute(
        """
        WITH old AS MATERIALIZED (
            SELECT id FROM app.inbound_mail
            WHERE workspace_id = %(workspace)s AND created_at < %(before)s AND outcome IS NOT NULL
            ORDER BY created_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
        )
        DELETE FROM app.inbound_mail m USING old WHERE m.workspace_id = %(workspace)s AND m.id = old.id
        """,
        {"workspace": tx.workspace_id, "before": before, "most": most},
    )


async def insert_attachments(tx: Tx, message_id: UUID, attachments: Sequence[IncomingAttachment]) -> None:
    """Keep the files of a message, unless they are kept already."""
    if not attachments:
        return
    # A mail has at most 50 of them, in one statement; the other job of a mail to two addresses may have been quicker.
    await tx.execute(
        """
        INSERT INTO app.attachment (id, workspace_id, message_id, name, content_type, size_bytes, content_id, content)
        SELECT id, %(workspace)s, %(message)s, name, content_type, size_bytes, content_id, content
        FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(types)s::text[], %(sizes)s::integer[],
                    %(content_ids)s::text[], %(contents)s::bytea[])
             AS new (id, name, content_type, size_bytes, content_id, content)
        WHERE NOT EXISTS (SELECT FROM app.attachment WHERE message_id = %(message)s)
        """,
        {
            "workspace": tx.workspace_id,
            "message": message_id,
            "ids": [new_id() for _ in attachments],
            "names": [one.name for one in attachments],
            "types": [one.media_type for one in attachments],
            "sizes": [one.size for one in attachments],
            "content_ids": [one.content_id for one in attachments],
            "contents": [one.content for one in attachments],
        },
    )


async def list_attachments(tx: Tx, message_ids: Sequence[UUID]) -> list[Attachment]:
    """The files of these messages, without their content."""
    # By the index attachment_by_message.
    return await tx.fetch_all(
        Attachment,
        """
        SELECT id, message_id, name, content_type, size_bytes, content_id FROM app.attachment
        WHERE workspace_id = %s AND message_id = ANY(%s) ORDER BY id
        """,
        (tx.workspace_id, list(message_ids)),
    )


async def find_attachment(tx: Tx, attachment_id: UUID) -> AttachmentContent | None:
    """One file with its content."""
    # By primary key.
    return await tx.find_one(
        AttachmentContent,
        "SELECT name, content_type, content_id, content FROM app.attachment WHERE workspace_id = %s AND id = %s",
        (tx.workspace_id, attachment_id),
    )


async def list_inline_pictures(
    tx: Tx, message_id: UUID, types: Sequence[str], most_bytes: int
) -> list[AttachmentContent]:
    """The pictures of a message that its HTML may show, none larger than `most_bytes`."""
    # By the index attachment_by_message.
    return await tx.fetch_all(
        AttachmentContent,
        """
        SELECT name, content_type, content_id, content FROM app.attachment
        WHERE workspace_id = %s AND message_id = %s AND content_id IS NOT NULL AND content_type = ANY(%s)
          AND size_bytes <= %s ORDER BY id
        """,
        (tx.workspace_id, message_id, list(types), most_bytes),
    )
