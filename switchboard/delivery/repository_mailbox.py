"""The statements about the local mailbox."""

from uuid import UUID

from switchboard.delivery.models import Mail, MailSummary
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID


async def insert_mail(
    tx: Tx, mail_id: UUID, message_id: UUID, *, mail_from: str, recipient: str, subject: str, raw: bytes
) -> None:
    """Keep a mail once a message."""
    # Adds a mail once a message; by the unique index mailbox_mail_once.
    await tx.execute(
        """
        INSERT INTO app.mailbox_mail (id, workspace_id, message_id, mail_from, recipient, subject, raw)
        VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (message_id) DO NOTHING
        """,
        (mail_id, tx.workspace_id, message_id, mail_from, recipient, subject, raw),
    )


async def list_mails(tx: Tx, before: UUID | None, recipient: str, limit: int) -> list[MailSummary]:
    """Mails, newest first; those to addresses that hold the text `recipient` only, where there is one."""
    # Walks the index mailbox_mail_list.
    return await tx.fetch_all(
        MailSummary,
        """
        SELECT id, message_id, mail_from, recipient, subject, created_at FROM app.mailbox_mail
        WHERE workspace_id = %(workspace)s AND id < %(before)s
          AND (%(recipient)s = '' OR strpos(recipient, %(recipient)s) > 0)
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "before": before or HIGHEST_ID, "recipient": recipient, "limit": limit},
    )


async def find_mail(tx: Tx, mail_id: UUID) -> Mail | None:
    """A mail with its bytes."""
    # By primary key.
    return await tx.find_one(
        Mail,
        """
        SELECT id, message_id, mail_from, recipient, subject, raw, created_at FROM app.mailbox_mail
        WHERE id = %s AND workspace_id = %s
        """,
        (mail_id, tx.workspace_id),
    )
