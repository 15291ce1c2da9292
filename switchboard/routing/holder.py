"""What of routing belongs to a contact, for merging two contacts into one."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.routing import repository


class AssignmentHolder:
    """Assignments remember the contact, so that the next lead can stick to the same owner."""

    name = "assignments"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all assignments of one contact to another; returns their subjects."""
        return await repository.move_contact(tx, from_id, to_id)

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give the assignments of these subjects back."""
        await repository.set_contact(tx, row_ids, to_id)
