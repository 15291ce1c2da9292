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

    async def claim(
        self, tx: Tx, channels: Collection[str], room: Room, *, of_resting: bool = False
    ) -> tuple[list[Due], bool]:
        """Hold as many due rows as there is room for, and say whether any channel takes a break."""
        looks = {lane: mark.begin() for lane, mark in self._marks.items()}
        found = await self._look(tx, channels, room, looks, of_resting=of_resting)
        if not found[0] and any(mark.look_again(looks[lane]) for lane, mark in self._marks.items()):
            self.reset()
            looks = {lane: mark.begin() for lane, mark in self._marks.items()}
            found = await self._look(tx, channels, room, looks, of_resting=of_resting)
        return found

    def have_room(self, rows: Sequence[Due], room: Room) -> bool:
        """Whether more would have been taken than these rows, had more been due."""
        patient = sum(row.lane > LANE_REPLY for row in rows)
        takes_patient = any(lane > LANE_REPLY for lane in self._marks)
        return len(rows) < room.slots and (not takes_patient or patient < room.slots_for_flows)

    def reset(self) -> None:
        """Look at everything next time: a claim was rolled back, or left rows as they were."""
        for mark in self._marks.values():
            mark.reset()

    async def _look(
        self, tx: Tx, channels: Collection[str], room: Room, looks: Mapping[int, Look], *, of_resting: bool
    ) -> tuple[list[Due], bool]:
        rows, has_breaks = await repository_outbox.claim(
            tx,
            channels,
            slots=room.slots,
            slots_for_flows=room.slots_for_flows,
            since={lane: look.since for lane, look in looks.items()},
            of_resting=of_resting,
        )
        self._conclude(looks, rows, room, await tx.now())
        return rows, has_breaks

    def _conclude(self, looks: Mapping[int, Look], rows: Sequence[Due], room: Room, now: datetime) -> None:
        """Move the mark of each lane that had room: behind its last row where it was full, else up to the present."""
        found = Counter(row.lane for row in rows)
        left, left_for_flows = room.slots, room.slots_for_flows
        for lane, mark in self._marks.items():
            wanted = left if lane <= LANE_REPLY else min(left, left_for_flows)
            if wanted > 0:
                is_full = found[lane] >= wanted
                mark.conclude(looks[lane], now, _last_of(lane, rows) if is_full else None)
            left -= found[lane]
            left_for_flows -= found[lane] if lane > LANE_REPLY else 0


def _last_of(lane: int, rows: Sequence[Due]) -> datetime | None:
    return max((row.due_at for row in rows if row.lane == lane and row.due_at), default=None)
