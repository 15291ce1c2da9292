"""Taking what is due: the last look at every message before it goes.

All of it is one transaction: rows are claimed, all that the gate asks about is read, and what may not go is held,
dropped or put off with its reason. What may go is marked as going out and leased. The gate's answer counts from the
moment this transaction ends: an opt-out or a stop that is committed later, in the seconds until the provider has the
message, comes too late for it.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from switchboard.delivery import letters, pacing, repository, repository_holds, repository_outbox
from switchboard.delivery.gate import Verdict
from switchboard.delivery.gate_facts import GateReader
from switchboard.delivery.lanes import Lanes
from switchboard.delivery.letters import Desk, Letterhead, Outgoing, TemplateShelf
from switchboard.delivery.models import LANES, ChannelBreak, LoadLeadFacts, Message
from switchboard.delivery.pacing import Paces, Room
from switchboard.delivery.queueing import drop_stopped, message_event
from switchboard.delivery.repository_outbox import Due
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.queues import backoff, concerns_batch, one_by_one
from switchboard.kernel.turns import in_turns

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 10
NO_PACES: Paces = {}
# How long the others wait for the outcome of the message that tries a channel after its break.
TRIAL = timedelta(seconds=30)

_STATE_OF_ACTION = {"hold": "held", "drop": "dropped"}
_EVENT_OF_ACTION = {"hold": "message.held", "drop": "message.dropped", "defer": "message.deferred"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one look took: messages to send, how many rows were decided on in all, and the campaigns that are held.

    `is_all` says that nothing was left due: to look again would find what has come since, and no more.
    """

    outgoing: Sequence[Outgoing]
    handled: int
    held: Collection[UUID] = ()
    is_all: bool = False


class Claimer:
    """Takes due messages of all workspaces, from some lanes of the outbox or all.

    `resting` are the channels that took a break when it last looked.
    """

    def __init__(
        self,
        database: Database,
        letterhead: Letterhead,
        load_lead_facts: LoadLeadFacts,
        *,
        lanes: Collection[int] = LANES,
        paces: Paces = NO_PACES,
    ) -> None:
        self._database = database
        self._lanes = tuple(lanes)
        self._paces = paces
        self._looks: dict[frozenset[str], Lanes] = {}
        self._shelf = TemplateShelf()
        self.resting: Collection[str] = ()
        self._is_all = self._saw_breaks = False
        self._letterhead = letterhead
        self._load_lead_facts = load_lead_facts

    async def claim(self, channels: Collection[str], room: Room, waiting: Collection[UUID] = ()) -> Claimed:
        """Take as many due messages as there is room for, on those of `channels` that take no break.

        `waiting` are the campaigns of messages taken before and not begun yet: it says which of them are held now.
        """
        try:
            # Nearly always nothing fails, so the first try does without savepoints.
            return await self._claim(channels, room, waiting, self._decide)
        except Exception as error:
            self._look_at_everything()
            if concerns_batch(error):
                raise
            # One row spoilt all; nothing is written, and what it was will be logged.
            log.info("delivery.one_by_one", error=type(error).__name__)
        try:
            return await self._claim(channels, room, waiting, self._decide_safely)
        finally:
            # It was rolled back, or it may have left rows for another look.
            self._look_at_everything()

    async def _claim(
        self, channels: Collection[str], room: Room, waiting: Collection[UUID], decide_some: "_Decider"
    ) -> Claimed:
        outgoing: list[Outgoing] = []
        async with self._database.queue_loop(keeps_plans=True) as tx:
            due, rested = await self._claim_rows(tx, channels, room)
            await tx.expect(len(due))
            for mine in _by_workspace(due):
                await tx.enter_workspace(mine[0].workspace_id)
                with tx.remembering():
                    outgoing += await decide_some(tx, mine)
            going = [one.message.channel for one in outgoing]
            await pacing.take(tx, self._paces, going)
            trying = set(going).intersection(rested)
            await repository_outbox.extend_breaks(tx, trying, TRIAL)
            held = await repository_holds.find_held(tx, waiting) if waiting else ()
        return Claimed(outgoing, len(due), held, self._is_all)

    async def _claim_rows(self, tx: Tx, channels: Collection[str], room: Room) -> tuple[list[Due], list[str]]:
        """The rows, and the channels whose break is over for one message to try."""
        self._saw_breaks = False
        breaks = await self._list_breaks(tx) if self.resting else {}
        # What waits for its provider's pace is left for another look.
        self._is_all = self._paces.keys().isdisjoint(channels)
        working = [channel for channel in channels if channel not in breaks]
        claimed = await self._claim_lanes(tx, [channel for channel in working if channel not in self._paces], room)
        for channel in sorted(self._paces.keys() & set(working)):
            claimed += await self._claim_paced(tx, channel, room)
        if self._saw_breaks and not breaks:
            # One has begun since the last look, and the claim has passed by what waits for it.
            self._look_at_everything()
            breaks = await self._list_breaks(tx)
        rested = [channel for channel in channels if channel in breaks and breaks[channel].ends_at <= await tx.now()]
        for channel in rested:
            # After a break one message tries whether the server takes mail again; the others wait for its outcome.
            claimed += await self._claim_lanes(tx, [channel], Room(1, 1), of_resting=True)
        self._is_all = self._is_all and not breaks
        return claimed, rested

    async def _list_breaks(self, tx: Tx) -> dict[str, ChannelBreak]:
        breaks = {each.channel: each for each in await repository_outbox.list_breaks(tx)}
        self.resting = breaks.keys()
        return breaks

    async def _claim_paced(self, tx: Tx, channel: str, room: Room) -> list[Due]:
        return await self._claim_lanes(tx, [channel], await pacing.find_room(tx, channel, self._paces[channel], room))

    async def _claim_lanes(
        self, tx: Tx, channels: Collection[str], room: Room, *, of_resting: bool = False
    ) -> list[Due]:
        if not channels or room.slots <= 0:
            return []
        # What a channel's break leaves behind must not be passed over by the marks of those that work.
        lanes = self._looks.setdefault(frozenset(channels), Lanes(self._lanes))
        rows, self._saw_breaks = await lanes.claim(tx, channels, room, of_resting=of_resting)
        self._is_all = self._is_all and lanes.have_room(rows, room)
        return rows

    def _look_at_everything(self) -> None:
        for lanes in self._looks.values():
            lanes.reset()

    async def _decide_safely(self, tx: Tx, due: Sequence[Due]) -> list[Outgoing]:
        """Decide on a workspace's rows; when that fails, on one after the other, so that one bad row harms no other."""
        self._is_all = False
        try:
            async with tx.savepoint():
                return await self._decide(tx, due)
        except Exception as error:
            if concerns_batch(error):
                raise
            if len(due) > 1:
                return [taken for row in one_by_one(due) for taken in await self._decide_safely(tx, [row])]
            log.error("delivery.claim_failed", message_id=str(due[0].message_id), exc_info=error)
            await _give_up_or_wait(tx, due[0], error)
            return []

    async def _decide(self, tx: Tx, due: Sequence[Due]) -> list[Outgoing]:
        rows = {row.message_id: row for row in due}
        locked, in_use = await repository.lock_to_decide(tx, rows.keys())
        messages = [message for message in locked if message.state == "queued"]
        if len(messages) < len(rows):
            await repository_outbox.delete_outbox(tx, rows.keys() - {message.id for message in messages})
        stopped = [message for message in messages if message.stop_reason is not None]
        await repository_outbox.delete_outbox(tx, [message.id for message in stopped])
        await drop_stopped(tx, [(message, message.stop_reason or "") for message in stopped])
        going = await _without_those_behind(tx, due, [each for each in messages if each.stop_reason is None])
        if not going:
            return []
        # The urgent lanes first: of two campaigns that would go over a contact's cap, the one of higher priority goes.
        if len({row.lane for row in due}) > 1:
            going = sorted(going, key=lambda message: rows[message.id].lane)
        templates = await self._shelf.load(tx, going)
        reader = await GateReader.read(tx, going, letters.asked_of_contacts(templates))
        verdicts = await self._ask_gate(tx, reader, going, in_use)
        await _withhold(tx, rows, verdicts)
        sending = [(message, verdict) for message, verdict in verdicts if verdict.action == "send"]
        return await self._take(tx, reader, rows, templates, sending)

    async def _ask_gate(
        self, tx: Tx, reader: GateReader, messages: Sequence[Message], in_use: Collection[UUID]
    ) -> list[tuple[Message, Verdict]]:
        """The verdict on each message; one whose contact another process is deciding on stays due for the next look."""
        capped = [message.contact_id for message in messages if message.contact_id and _is_capped(message)]
        await reader.read_cap_times(tx, [each for each in capped if each not in in_use] if in_use else capped)
        verdicts = []
        async for some in in_turns(messages):
            for message in some:
                if in_use and _is_capped(message) and message.contact_id in in_use:
                    self._look_at_everything()
                    self._is_all = False
                    continue
                verdict = reader.decide_on(message)
                if verdict.action == "send":
                    reader.note_sent(message)
                verdicts.append((message, verdict))
        return verdicts

    async def _take(
        self,
        tx: Tx,
        reader: GateReader,
        due: Mapping[UUID, Due],
        templates: letters.Templates,
        sending: Sequence[tuple[Message, Verdict]],
    ) -> list[Outgoing]:
        if not sending:
            return []
        messages = [message for message, _ in sending]
        await repository_outbox.take(tx, [message.id for message in messages], LEASE)
        desk = await letters.prepare(
            tx, self._letterhead, reader, messages, templates, load_lead_facts=self._load_lead_facts
        )
        return [_outgoing(due[message.id], message, verdict, desk) for message, verdict in sending]


def _by_workspace(due: Sequence[Due]) -> list[list[Due]]:
    """The rows that are not held, those of one workspace together, in the order of the workspaces' ids."""
    # By numbers, which are hashed much faster than ids are.
    found: dict[int, list[Due]] = defaultdict(list)
    for row in due:
        if not row.is_held:
            found[row.workspace_id.int].append(row)
    return [found[workspace] for workspace in sorted(found)]


_Decider = Callable[[Tx, Sequence[Due]], Awaitable[list[Outgoing]]]


async def _without_those_behind(tx: Tx, due: Sequence[Due], messages: Sequence[Message]) -> Sequence[Message]:
    """A run's letters go in the order of its steps: one behind another that is still to go waits. A page never does."""
    behind = await repository_outbox.find_behind(
        # Nothing of its run can stand before the very first step.
        tx,
        [message for message in messages if message.run_id and message.run_revision and message.purpose != "page"],
    )
    if not behind:
        return messages
    waiting = [row for row in due if row.message_id in behind]
    why = {"state": "queued", "reason": "in_order", "detail": "The letter before it is still to go."}
    await repository.set_states(tx, [{"id": row.message_id, **why} for row in waiting])
    await repository_outbox.put_off(
        tx,
        [{"message_id": row.message_id, "attempts": row.attempts, "until": behind[row.message_id]} for row in waiting],
    )
    return [message for message in messages if message.id not in behind]


async def _withhold(tx: Tx, due: Mapping[UUID, Due], verdicts: Sequence[tuple[Message, Verdict]]) -> None:
    """Write what may not go now: held and dropped messages leave the outbox, put-off ones wait in it."""
    withheld = [(message, verdict) for message, verdict in verdicts if verdict.action != "send"]
    if not withheld:
        return
    await repository.set_states(
        tx,
        [
            {
                "id": message.id,
                "state": _STATE_OF_ACTION.get(verdict.action, "queued"),
                "reason": verdict.reason,
                "detail": verdict.detail,
            }
            for message, verdict in withheld
        ],
    )
    await repository_outbox.delete_outbox(tx, [m.id for m, verdict in withheld if verdict.action != "defer"])
    deferred = [(message, verdict) for message, verdict in withheld if verdict.action == "defer"]
    if deferred:
        await repository_outbox.put_off(
            tx,
            [
                {"message_id": message.id, "attempts": due[message.id].attempts, "until": verdict.until}
                for message, verdict in deferred
            ],
        )
    await events.append(tx, [_withheld_event(message, verdict) for message, verdict in withheld])


def _withheld_event(message: Message, verdict: Verdict) -> events.Event:
    until = {"until": verdict.until} if verdict.until else {}
    return message_event(_EVENT_OF_ACTION[verdict.action], message, {"reason": verdict.reason, **until})


async def _give_up_or_wait(tx: Tx, row: Due, error: Exception) -> None:
    """A row that cannot even be decided on: put off, or failed after the last attempt."""
    attempts = row.attempts + 1
    detail = f"It could not be made ready: {type(error).__name__}."
    if attempts < MOST_ATTEMPTS:
        await repository_outbox.put_off(
            tx, [{"message_id": row.message_id, "attempts": attempts, "seconds": backoff(attempts).total_seconds()}]
        )
        return
    await repository_outbox.delete_outbox(tx, [row.message_id])
    failed = {"id": row.message_id, "state": "failed", "reason": "not_ready", "detail": detail}
    await repository.set_states(tx, [failed])
    messages = await repository.load_messages(tx, [row.message_id])
    await events.append(tx, [message_event("message.failed", message, {"reason": "not_ready"}) for message in messages])


def _is_capped(message: Message) -> bool:
    return message.purpose == "marketing" and message.contact_id is not None


def _outgoing(row: Due, message: Message, verdict: Verdict, desk: Desk) -> Outgoing:
    why_late = (verdict.reason, verdict.detail) if verdict.reason == "allowed_late" else (None, None)
    return Outgoing(row.token + 1, row.attempts + 1, row.workspace_id, message, desk, *why_late)
