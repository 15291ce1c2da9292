"""The loops of the outbox: one sends what is due, one takes back what a lost process had taken."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from switchboard.delivery import repository, repository_outbox
from switchboard.delivery.breaks import Breaker
from switchboard.delivery.channels.base import Channel, SendError
from switchboard.delivery.claiming import MOST_ATTEMPTS, Claimer, Room
from switchboard.delivery.completing import Outcome, complete
from switchboard.delivery.letters import Letterhead, Outgoing, write
from switchboard.delivery.models import LANE_REPLY, Draft, LoadLeadFacts, Message, no_lead_facts
from switchboard.delivery.queueing import OUTBOX, message_event
from switchboard.delivery.repository_outbox import Due
from switchboard.kernel import events
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, UnavailableError
from switchboard.kernel.queues import Tick

SLOTS = 10
SLOTS_KEPT_FOR_URGENT = 2
MOST_TAKEN = 200
# How much work is taken ahead: what is taken has passed the gate, so it must be on its way soon.
SECONDS_AHEAD = 0.2
PATIENCE_SECONDS = 0.05
GATHER_SECONDS = 0.004
REAPED_AT_ONCE = 500

log = structlog.get_logger()


class OutboxLoop:
    """Sends what is due over `channels`, by a message's channel; `slots` at once.

    Some slots are never given to messages of flows and campaigns, so that a page or a person's answer finds one free.
    """

    name = OUTBOX

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        letterhead: Letterhead,
        load_lead_facts: LoadLeadFacts = no_lead_facts,
        *,
        slots: int = SLOTS,
    ) -> None:
        self._database = database
        self._channels = dict(channels)
        self._claimer = Claimer(database, letterhead, load_lead_facts)
        self._breaker = Breaker()
        self._slots = slots
        self._sending = asyncio.Semaphore(slots)
        self._sending_patiently = asyncio.Semaphore(max(slots - SLOTS_KEPT_FOR_URGENT, 1))
        self._tasks: dict[asyncio.Task[Outcome], bool] = {}
        self._outcomes: list[Outcome] = []
        self._waiting: Counter[UUID] = Counter()
        self._held: Collection[UUID] = ()
        self._messages_per_second = 0.0
        self._counted_from = monotonic_seconds()

    async def tick(self) -> Tick:
        """Take what there is room for, and write down what has come back; returns while others may be under way."""
        if not self._tasks:
            self._counted_from = monotonic_seconds()
        handled = await self._take()
        was_busy = bool(self._tasks)
        if was_busy:
            await self._wait()
        await self._settle()
        # While some were under way there was not room for all, so others may be due although none were taken.
        return Tick(handled, has_more=handled > 0 or was_busy)

    async def close(self) -> None:
        """Let what was taken come to its end, and let go of the channels."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._settle()
        for channel in self._channels.values():
            await channel.close()

    async def _take(self) -> int:
        waiting = sum(1 for is_urgent in self._tasks.values() if not is_urgent)
        ahead = max(self._slots, min(MOST_TAKEN, int(self._messages_per_second * SECONDS_AHEAD)))
        room = Room(slots=MOST_TAKEN, slots_for_flows=max(ahead - waiting, 0))
        claimed = await self._claimer.claim(list(self._channels), room, self._waiting.keys())
        self._held = claimed.held
        for outgoing in claimed.outgoing:
            is_urgent = _lane_of(outgoing.message) <= LANE_REPLY
            if outgoing.message.campaign_id is not None:
                self._waiting[outgoing.message.campaign_id] += 1
            # gate: tasks each works on a row under lease, which the reaper takes back when we are gone
            task = asyncio.create_task(self._send(outgoing, is_urgent=is_urgent))
            self._tasks[task] = is_urgent
        return claimed.handled

    async def _wait(self) -> None:
        await asyncio.wait(self._tasks, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if len(self._tasks) > self._slots:
            # Under load a few thousandths of a second make one statement of many outcomes.
            await asyncio.wait(self._tasks, timeout=GATHER_SECONDS)

    async def _settle(self) -> None:
        """Write what has come back. When that fails the outcomes are kept, and written at the next tick."""
        finished = [task for task in self._tasks if task.done()]
        self._measure(len(finished))
        for task in finished:
            del self._tasks[task]
            self._outcomes.append(task.result())
        if not self._outcomes:
            return
        self._outcomes = await self._breaker.watch(self._database, self._outcomes)
        await complete(self._database, self._outcomes)
        self._outcomes = []

    async def _send(self, outgoing: Outgoing, *, is_urgent: bool) -> Outcome:
        if is_urgent:
            async with self._sending:
                return await self._try(outgoing)
        async with self._sending_patiently, self._sending:
            return await self._try(outgoing)

    async def _try(self, outgoing: Outgoing) -> Outcome:
        """One try, whose every end is an outcome; none when the message's campaign was held while it waited."""
        if self._begin(outgoing.message.campaign_id):
            return Outcome(outgoing, 0.0, "", is_given_back=True)
        started = monotonic_seconds()
        written = None
        try:
            written = write(outgoing.content)
            sent = await self._channels[outgoing.message.channel].send(written.envelope)
        except Exception as error:  # noqa: BLE001 whatever a try raises is the outcome of that one message
            failure = _as_send_error(outgoing, error)
            return Outcome(outgoing, monotonic_seconds() - started, failure.message, written, failure)
        return Outcome(outgoing, monotonic_seconds() - started, sent.response, written)

    def _begin(self, campaign_id: UUID | None) -> bool:
        """Note that a message waits no longer; whether its campaign must not go on."""
        if campaign_id is None:
            return False
        self._waiting[campaign_id] -= 1
        self._waiting += Counter()
        return campaign_id in self._held

    def _measure(self, finished: int) -> None:
        """Follow how fast messages go, by those that came back since the last time."""
        if finished:
            now = monotonic_seconds()
            rate = finished / max(now - self._counted_from, 0.001)
            self._messages_per_second += (rate - self._messages_per_second) / 4
            self._counted_from = now


class ReaperLoop:
    """Takes back messages whose lease ran out: the process that had them is gone or stuck.

    They go out again with the same Message-ID. Nobody can tell whether the lost try reached the provider; losing a
    message would be worse than a second copy that mail programs recognise.
    """

    name = "outbox-reaper"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tick(self) -> Tick:
        """Take back one batch, in all workspaces."""
        async with self._database.queue_loop() as tx:
            expired = await repository_outbox.claim_expired(tx, REAPED_AT_ONCE)
            by_workspace: dict[UUID, list[Due]] = defaultdict(list)
            for row in expired:
                by_workspace[row.workspace_id].append(row)
            for workspace_id in sorted(by_workspace):
                await tx.enter_workspace(workspace_id)
                await _take_back(tx, by_workspace[workspace_id])
        return Tick(len(expired), has_more=len(expired) == REAPED_AT_ONCE)


async def _take_back(tx: Tx, expired: list[Due]) -> None:
    locked = await repository.lock_messages(tx, [row.message_id for row in expired])
    messages = {message.id: message for message in locked}
    lost = [row for row in expired if messages[row.message_id].state == "sending"]
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


def _lost_attempt(row: Due) -> dict[str, object]:
    return {
        "message_id": row.message_id,
        "token": row.token,
        "seconds": timedelta(seconds=60).total_seconds(),
        "outcome": "lease_expired",
        "response": "The process that sent it did not come back.",
    }


def _state(message_id: UUID, state: str, reason: str, detail: str) -> dict[str, object]:
    return {"id": message_id, "state": state, "reason": reason, "detail": detail}


def _lane_of(message: Message) -> int:
    return Draft(purpose=message.purpose, is_urgent=message.is_urgent).lane


def _as_send_error(outgoing: Outgoing, error: Exception) -> SendError:
    if isinstance(error, SendError):
        return error
    if isinstance(error, InvalidError):
        words = "; ".join(problem.message for problem in error.problems)
        return SendError("permanent", error.code, f"{error.message} {words}".strip(), at_fault="message")
    if isinstance(error, UnavailableError):
        return SendError("retryable", error.code, error.message)
    log.error("delivery.try_failed", message_id=str(outgoing.message.id), exc_info=error)
    return SendError("retryable", "not_ready", f"It could not be sent: {type(error).__name__}.", at_fault="message")
