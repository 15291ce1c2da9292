"""The loops of the outbox: they send what is due."""

from collections.abc import Collection, Mapping

from switchboard.delivery import repository_outbox
from switchboard.delivery.breaks import Breaker
from switchboard.delivery.channels.base import Channel
from switchboard.delivery.claiming import NO_PACES, Claimer
from switchboard.delivery.completing import Completer, Outcome
from switchboard.delivery.letters import Letterhead
from switchboard.delivery.models import LANE_REPLY, LANES, LoadLeadFacts, no_lead_facts
from switchboard.delivery.pacing import Paces, Room
from switchboard.delivery.queueing import OUTBOX
from switchboard.delivery.sending import Sender
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.queues import Tick

SLOTS = 10
SLOTS_KEPT_FOR_URGENT = 2
MOST_TAKEN = 500
MOST_COMPLETED = 500
# How much work is taken ahead: what is taken has passed the gate, so it must be on its way soon.
SECONDS_AHEAD = 0.2
PATIENCE_SECONDS = 0.05
GATHER_SECONDS = 0.005
# How often it looks for pages and answers, and for campaigns that were held, while it has enough else to do.
URGENT_SECONDS = 0.02
HELD_SECONDS = 0.25


class OutboxLoop:
    """Sends what is due over `channels`, by a message's channel; `slots` at once.

    `lanes` are those it takes from, `paces` how fast each channel's provider takes messages. Some slots are never given
    to messages of flows and campaigns.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        letterhead: Letterhead,
        load_lead_facts: LoadLeadFacts = no_lead_facts,
        *,
        name: str = OUTBOX,
        slots: int = SLOTS,
        lanes: Collection[int] = LANES,
        paces: Paces = NO_PACES,
    ) -> None:
        self.name = name
        self.due = repository_outbox.is_due(lanes)
        self._database = database
        self._channels = dict(channels)
        self._claimer = Claimer(database, letterhead, load_lead_facts, lanes=lanes, paces=paces)
        self._breaker = Breaker()
        self._completer = Completer(database)
        self._slots = slots
        self._takes_urgent = min(lanes) <= LANE_REPLY
        self._sender = Sender(self._channels, slots, SLOTS_KEPT_FOR_URGENT if self._takes_urgent else 0)
        self._unwatched: list[Outcome] = []
        self._outcomes: list[Outcome] = []
        self._messages_per_second = 0.0
        self._counted_from = monotonic_seconds()
        self._looked_at = self._counted_from
        self._has_seen_all = False

    async def tick(self) -> Tick:
        """Take what there is room for, and write down what has come back; returns while others may be under way."""
        if not self._sender.under_way:
            self._counted_from = monotonic_seconds()
        handled = await self._take()
        was_busy = bool(self._sender.under_way)
        if was_busy:
            await self._sender.wait(PATIENCE_SECONDS, GATHER_SECONDS)
        await self._settle()
        # While some were under way there may not have been room for all, so others may be due although none were taken.
        has_seen_some = (handled > 0 or was_busy) and not self._has_seen_all
        return Tick(handled, has_more=has_seen_some or bool(self._sender.under_way))

    async def close(self) -> None:
        """Let what was taken come to its end, and let go of the channels."""
        await self._sender.finish()
        await self._settle()
        for channel in self._channels.values():
            await channel.close()

    async def _take(self) -> int:
        room = self._find_room()
        if room is None:
            self._has_seen_all = False
            return 0
        self._looked_at = monotonic_seconds()
        claimed = await self._claimer.claim(list(self._channels), room, self._sender.campaigns_waiting)
        self._has_seen_all = claimed.is_all
        self._sender.add(claimed.outgoing, claimed.held)
        return claimed.handled

    def _find_room(self) -> Room | None:
        """How much to take now; None while enough waits for its turn and it has looked just now."""
        ahead = max(self._slots, min(MOST_TAKEN, int(self._messages_per_second * SECONDS_AHEAD)))
        # Not before half of what was taken ahead is gone: few large batches cost less than many small ones.
        if self._sender.patient_waiting <= (ahead - self._slots) // 2:
            return Room(slots=MOST_TAKEN, slots_for_flows=max(ahead - self._sender.patient_under_way, 0))
        if monotonic_seconds() - self._looked_at < (URGENT_SECONDS if self._takes_urgent else HELD_SECONDS):
            return None
        return Room(slots=MOST_TAKEN, slots_for_flows=0)

    async def _settle(self) -> None:
        """Write what has come back. When that fails the outcomes are kept, and written at the next tick."""
        new = self._sender.collect()
        self._measure(len(new))
        if any(one.is_given_back for one in new):
            self._has_seen_all = False
        self._unwatched.extend(new)
        watched = await self._breaker.watch(self._database, self._unwatched, self._claimer.resting)
        self._outcomes.extend(watched)
        self._unwatched.clear()
        while self._outcomes:
            await self._completer.complete_safely(self._outcomes[:MOST_COMPLETED])
            del self._outcomes[:MOST_COMPLETED]

    def _measure(self, finished: int) -> None:
        """Follow how fast messages go, by those that came back since the last time."""
        if finished:
            now = monotonic_seconds()
            rate = finished / max(now - self._counted_from, 0.001)
            self._messages_per_second += (rate - self._messages_per_second) / 4
            self._counted_from = now
