"""Campaigns that pause: what waits of them in the outbox stays there until they go on.

A hold is one row, however many messages it is about. Rows of a held campaign are parked as they are claimed, so each
is looked at once; letting go makes them due again, a slice at a time.
"""

from uuid import UUID

from switchboard.delivery import repository_holds
from switchboard.delivery.queueing import OUTBOX
from switchboard.kernel.db import Tx
from switchboard.kernel.queues import wake


async def hold_campaign(tx: Tx, campaign_id: UUID) -> None:
    """Let no message of this campaign go out, whenever it is queued; holding twice is fine.

    What a worker has taken and not yet begun is given back within a second; what is with the provider comes to its end.
    """
    await repository_holds.insert_hold(tx, campaign_id)
    await wake(tx, OUTBOX)


async def release_campaign(tx: Tx, campaign_id: UUID, limit: int) -> int:
    """Let the campaign go on: new messages at once, at most `limit` of those parked meanwhile with each call.

    Returns how many were made due. The caller commits and calls again until it is less than `limit`.
    """
    await repository_holds.delete_hold(tx, campaign_id)
    released = await repository_holds.unpark(tx, campaign_id, limit)
    if released:
        await wake(tx, OUTBOX)
    return released
