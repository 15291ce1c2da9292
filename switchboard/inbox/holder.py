"""What of the inbox belongs to a contact, for merging two contacts into one."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.inbox import repository
from switchboard.kernel.db import Tx


class ConversationHolder:
    """Two conversations over one channel become one; an undo gives the lost contact theirs back."""

    name = "conversations"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all conversations of one contact to another; returns their ids."""
        return await repository.move_contact(tx, from_id, to_id)

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give these conversations back."""
        await repository.move_back(tx, row_ids, to_id)
