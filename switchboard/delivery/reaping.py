"""Taking back what a lost process had taken."""

from collections import defaultdict
from uuid import UUID

import structlog

from switchboard.delivery import repository, repository_outbox
from switchboard.delivery.claiming import LEASE, MOST_ATTEMPTS
from switchboard.delivery.models import NewAttempt
from switchboard.delivery.queueing import message_event
from switchboard.delivery.repository_outbox import Due
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.queues import Tick, concerns_batch

REAPED_AT_ONCE = 500

log = structlog.get_logger()


class ReaperLoop:
    """Takes back messages whose lease ran out: the process that had them is gone or stuck.

    They go out again with the same Message-ID. Nobody can tell whether the lost try reached the provider; losing a
    message would be worse than a second copy that mail programs recognise.
    """

    name = "outbox-reaper"
    due = repository_outbox.IS_EXPIRED

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tick(self) -> Tick:
        """Take back one batch, in all workspaces."""
        async with self._database.queue_loop(keeps_plans=True) as tx:
            expired = await repository_outbox.claim_expired(tx, REAPED_AT_ONCE)
            await tx.expect(len(expired))
            by_workspace: dict[UUID, list[Due]] = defaultdict(list)
            for row in expired:
                by_workspace[row.workspace_id].append(row)
            for workspace_id in sorted(by_workspace):
                await tx.enter_workspace(workspace_id)
                await _take_back_safely(tx, by_workspace[workspace_id])
        return Tick(len(expired), has_more=len(expired) == REAPED_AT_ONCE)


async def _take_back_safely(tx: Tx, expired: list[Due]) -> None:
    """Take these back; one that cannot be keeps no other from it, and is looked at again with the next batch."""
    try:
        async with tx.savepoint():
            await _take_back(tx, expired)
    except Exception as error:
        if concerns_batch(error):
            raise
        if len(expired) == 1:
            log.error("delivery.lease_kept", message_id=str(expired[0].message_id), exc_info=error)
            return
        half = len(expired) // 2
        await _take_back_safely(tx, expired[:half])
        await _take_back_safely(tx, expired[half:])


async def _take_back(tx: Tx, expired: list[Due]) -> None:
    locked = await repository.lock_messages(tx, [row.message_id for row in expired])
    messages = {message.id: message for message in locked}
    # Of one in doubt the try has been written down.
    lost = [row for row in expired if messages[row.message_id].state != "in_doubt"]
    await repository.insert_attempts(tx, [_lost_attempt(row) for row in lost])
    spent = [row for row in expired if row.attempts >= MOST_ATTEMPTS]
    again = [row for row in expired if row.attempts < MOST_ATTEMPTS]
    states = [_state(row.message_id, "failed", "too_many_attempts", "Given up after too many tries.") for row in spent]
    states += [
        _state(row.message_id, "queued", "retrying", "The last try came to no known end; it is sent again.")
        for row in again
    ]
    await repository.set_states(tx, states)
    await repository_outbox.delete_outbox(tx, [row.message_id for row in spent])
    await repository_outbox.put_off(
        tx, [{"message_id": row.message_id, "attempts": row.attempts, "seconds": 0} for row in again]
    )
    data = {"reason": "too_many_attempts"}
    await events.append(tx, [message_event("message.failed", messages[row.message_id], data) for row in spent])
    log.warning("delivery.leases_expired", messages=len(expired))


def _lost_attempt(row: Due) -> NewAttempt:
    return NewAttempt(
        row.message_id, row.token, LEASE.total_seconds(), "lease_expired", "The process that sent it did not come back."
    )


def _state(message_id: UUID, state: str, reason: str, detail: str) -> dict[str, object]:
    return {"id": message_id, "state": state, "reason": reason, "detail": detail}
