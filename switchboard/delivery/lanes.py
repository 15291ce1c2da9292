"""Where a claim begins to look in each lane, so that it does not walk past what went out long ago."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from switchboard.delivery import repository_outbox
from switchboard.delivery.models import LANE_REPLY
from switchboard.delivery.pacing import Room
from switchboard.delivery.repository_outbox import Due
from switchboard.kernel.db import Tx
from switchboard.kernel.low_water import Look, LowWater


class Lanes:
    """The lanes that one loop takes from, each with its low-water mark, for one set of channels."""

    def __init__(self, lanes: Collection[int]) -> None:
        self._marks = {lane: LowWater() for lane in sorted(lanes)}

    async def claim(self, tx: Tx, channels: Collection[str], room: Room) -> list[Due]:
        """Hold as many due rows as there is room for."""
        looks = {lane: mark.begin() for lane, mark in self._marks.items()}
        rows = await self._look(tx, channels, room, looks)
        if not rows and any(mark.look_again(looks[lane]) for lane, mark in self._marks.items()):
            self.reset()
            rows = await self._look(tx, channels, room, {lane: mark.begin() for lane, mark in self._marks.items()})
        return rows

    def reset(self) -> None:
        """Look at everything next time: a claim was rolled back, or left rows as they were."""
        for mark in self._marks.values():
            mark.reset()

    async def _look(self, tx: Tx, channels: Collection[str], room: Room, looks: Mapping[int, Look]) -> list[Due]:
        since = {lane: look.since for lane, look in looks.items()}
        rows = await repository_outbox.claim(
            tx, channels, slots=room.slots, slots_for_flows=room.slots_for_flows, since=since
        )
        self._conclude(looks, rows, room, await tx.now())
        return rows

    def _conclude(self, looks: Mapping[int, Look], rows: Sequence[Due], room: Room, now: datetime) -> None:
        """Move the mark of each lane that had room: behind its last row where it was full, else up to the present."""
        found = Counter(row.lane for row in rows)
        left, left_for_flows = room.slots, room.slots_for_flows
        for lane, mark in self._marks.items():
            wanted = left if lane <= LANE_REPLY else min(left, left_for_flows)
            if wanted > 0:
                last = max((row.due_at for row in rows if row.lane == lane and row.due_at), default=None)
                mark.conclude(looks[lane], now, last if found[lane] >= wanted else None)
            left -= found[lane]
            left_for_flows -= found[lane] if lane > LANE_REPLY else 0
