"""The statements about campaigns whose messages must not go out."""

from collections.abc import Collection, Sequence
from uuid import UUID

from switchboard.kernel.db import Tx


async def insert_hold(tx: Tx, campaign_id: UUID) -> None:
    """Let nothing of this campaign go out from now on."""
    # By primary key.
    await tx.execute(
        "INSERT INTO app.send_hold (campaign_id, workspace_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (campaign_id, tx.workspace_id),
    )


async def delete_hold(tx: Tx, campaign_id: UUID) -> None:
    """Let the campaign go on; waits for whoever is just parking some of it."""
    # By primary key.
    await tx.execute(
        "DELETE FROM app.send_hold WHERE campaign_id = %s AND workspace_id = %s", (campaign_id, tx.workspace_id)
    )


async def find_held(tx: Tx, campaign_ids: Collection[UUID]) -> set[UUID]:
    """Which of these campaigns are held."""
    # By primary key.
    found = await tx.fetch_tuples(
        "SELECT campaign_id FROM app.send_hold WHERE campaign_id = ANY(%s)", (list(campaign_ids),)
    )
    return {campaign_id for (campaign_id,) in found}


async def unpark(tx: Tx, campaign_id: UUID, limit: int) -> int:
    """Make parked rows of a campaign due, oldest first; how many."""
    # Walks the campaign's range of the partial index outbox_parked, once: a plan that asked again for each row would
    # find others each time, because those that this statement has changed no longer count.
    return await tx.execute(
        """
        WITH parked AS MATERIALIZED (
            SELECT message_id FROM app.outbox
            WHERE campaign_id = %s AND workspace_id = %s AND due_at = 'infinity'
            ORDER BY message_id LIMIT %s FOR UPDATE
        )
        UPDATE app.outbox o SET due_at = app.now() FROM parked WHERE o.message_id = parked.message_id
        """,
        (campaign_id, tx.workspace_id, limit),
    )


async def hand_back(tx: Tx, message_ids: Sequence[UUID], tokens: Sequence[int]) -> list[UUID]:
    """Free rows that were taken with these very tokens and not tried; the ids of those still taken with them."""
    # By primary key; the token is the fence.
    freed = await tx.fetch_tuples(
        """
        UPDATE app.outbox o SET lease_until = NULL, attempts = o.attempts - 1
        FROM unnest(%s::uuid[], %s::bigint[]) AS mine (message_id, token)
        WHERE o.message_id = mine.message_id AND o.token = mine.token
        RETURNING o.message_id
        """,
        (list(message_ids), list(tokens)),
    )
    return [message_id for (message_id,) in freed]
