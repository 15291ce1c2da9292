"""What of delivery belongs to a contact, for merging two contacts into one."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.delivery import repository
from switchboard.kernel.db import Tx


class MessageHolder:
    """Messages both ways."""

    name = "messages"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all messages of one contact to another; returns their ids."""
        return await repository.move_contact(tx, from_id, to_id)

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give these messages back."""
        await repository.set_contact(tx, row_ids, to_id)
