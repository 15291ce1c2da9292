"""What a merge of two contacts does to their leads, and how it is taken back."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.events import SYSTEM
from switchboard.leads import changes, repository
from switchboard.routing import service as routing


class LeadHolder:
    """The leads of contacts. A contact has one open lead, so of two that meet only the kept contact's goes on."""

    name = "leads"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all leads of one contact to another; returns their ids."""
        standing = await repository.lock_open(tx, [from_id, to_id])
        if len(standing) == 2:
            joining = standing[from_id]
            await repository.join_into(tx, joining.id, standing[to_id].id)
            await routing.release(tx, [joining.id])
        return await repository.move_to_contact(tx, from_id, to_id)

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give these leads back, and go on with the one that the merge closed."""
        await repository.give_to_contact(tx, row_ids, to_id)
        await changes.place_again(tx, await repository.part_again(tx, row_ids), SYSTEM)
