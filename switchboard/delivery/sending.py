"""Handing messages that were taken to their channels, a bounded number at once, each ending in an outcome."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import structlog

from switchboard.delivery.channels.base import Channel, SendError
from switchboard.delivery.completing import Outcome
from switchboard.delivery.letters import Outgoing, write
from switchboard.delivery.models import LANE_REPLY, Draft, Message
from switchboard.kernel.characters import make_storable
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.errors import InvalidError, UnavailableError

log = structlog.get_logger()


class Sender:
    """Sends over `channels`, by a message's channel: `slots` messages at once.

    `slots_kept` of them are never given to messages of flows and campaigns, so that a page or a person's answer finds
    one free. Those who wait for a slot wait in the order in which they came, the urgent ones first.
    """

    def __init__(self, channels: Mapping[str, Channel], slots: int, slots_kept: int) -> None:
        self._channels = channels
        self._slots = slots
        self._slots_for_flows = max(slots - slots_kept, 1)
        self._urgent: deque[Outgoing] = deque()
        self._patient: deque[Outgoing] = deque()
        self._busy: dict[asyncio.Task[None], bool] = {}
        self._outcomes: list[Outcome] = []
        self._something_ended = asyncio.Event()
        self._held: Collection[UUID] = ()

    @property
    def patient_waiting(self) -> int:
        """How many messages of flows and campaigns wait for a slot."""
        return len(self._patient)

    @property
    def patient_under_way(self) -> int:
        """How many messages of flows and campaigns are being sent or wait for a slot."""
        return len(self._patient) + sum(1 for is_urgent in self._busy.values() if not is_urgent)

    @property
    def under_way(self) -> int:
        """How many messages are being sent, wait for a slot, or have ended and were not collected yet."""
        return len(self._busy) + len(self._urgent) + len(self._patient) + len(self._outcomes)

    @property
    def campaigns_waiting(self) -> Collection[UUID]:
        """The campaigns of messages that wait for a slot."""
        waiting = Counter(one.message.campaign_id for one in self._patient)
        return [campaign_id for campaign_id in waiting if campaign_id is not None]

    def add(self, outgoing: Sequence[Outgoing], held: Collection[UUID] = ()) -> None:
        """Send these as soon as there are slots; whatever waits of the campaigns `held` is given back instead."""
        self._held = held
        for one in outgoing:
            (self._urgent if lane_of(one.message) <= LANE_REPLY else self._patient).append(one)
        self._fill_slots()

    async def wait(self, patience_seconds: float, gather_seconds: float) -> None:
        """Wait until something has ended; while more wait than there are slots, for what ends shortly after, too."""
        try:
            await asyncio.wait_for(self._something_ended.wait(), patience_seconds)
        except TimeoutError:
            return
        if self.under_way > self._slots:
            # Under load a few thousandths of a second make one statement of many outcomes.
            await asyncio.sleep(gather_seconds)

    def collect(self) -> list[Outcome]:
        """What has ended since the last call, the oldest first."""
        collected, self._outcomes = self._outcomes, []
        self._something_ended.clear()
        return collected

    async def finish(self) -> None:
        """Let what is under way and what waits come to its end."""
        while self._busy:
            await asyncio.wait(self._busy)

    def _fill_slots(self) -> None:
        while self._urgent and len(self._busy) < self._slots:
            self._start(self._urgent, is_urgent=True)
        patient = sum(1 for is_urgent in self._busy.values() if not is_urgent)
        for _ in range(min(len(self._patient), self._slots_for_flows - patient, self._slots - len(self._busy))):
            self._start(self._patient, is_urgent=False)

    def _start(self, queue: deque[Outgoing], *, is_urgent: bool) -> None:
        # gate: tasks each works on rows under lease, which the reaper takes back when we are gone
        task = asyncio.create_task(self._work_off(queue.popleft(), queue))
        self._busy[task] = is_urgent
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._busy[task]
        self._fill_slots()

    async def _work_off(self, first: Outgoing, queue: deque[Outgoing]) -> None:
        """Send one message after the other: a task for each would cost more than some of them."""
        outgoing: Outgoing | None = first
        while outgoing is not None:
            outcome = await self._try(outgoing)
            self._outcomes.append(outcome)
            self._something_ended.set()
            # A channel that never waits would keep everybody else from their turn.
            await asyncio.sleep(0)
            is_wanted_elsewhere = queue is self._patient and bool(self._urgent)
            outgoing = queue.popleft() if queue and not is_wanted_elsewhere else None

    async def _try(self, outgoing: Outgoing) -> Outcome:
        """One try, whose every end is an outcome; none when the message's campaign was held while it waited."""
        if outgoing.message.campaign_id in self._held:
            return Outcome(outgoing, 0.0, "", is_given_back=True)
        started = monotonic_seconds()
        written = None
        try:
            written = write(outgoing.content)
            sent = await self._channels[outgoing.message.channel].send(written.envelope)
        except Exception as error:  # noqa: BLE001 whatever a try raises is the outcome of that one message
            failure = _as_send_error(outgoing, error)
            return Outcome(outgoing, monotonic_seconds() - started, failure.message, written, failure)
        return Outcome(outgoing, monotonic_seconds() - started, make_storable(sent.response), written)


def lane_of(message: Message) -> int:
    """The lane of a message that was queued; a campaign's priority is not known any more."""
    return Draft(purpose=message.purpose, is_urgent=message.is_urgent, campaign_id=message.campaign_id).lane


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
