"""The lines of campaigns' ledgers when two contacts are merged."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.flows import repository_recipients
from switchboard.kernel.db import Tx


class RecipientHolder:
    """What became of a contact in campaigns."""

    name = "lines in campaigns"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give one contact's lines to another; returns the ids of the campaigns they are in.

        Where both are in one campaign, the lost one's line stays and rests, as their run does.
        """
        return await repository_recipients.move_contact(tx, from_id, to_id)

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give the lines in these campaigns back, and let those wait again that rested."""
        await repository_recipients.move_back_contact(tx, row_ids, to_id)
