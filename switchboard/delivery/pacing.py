"""How fast a provider may be given messages, all processes together.

Each paced channel has a bucket that fills up by itself and holds two seconds' worth; a message that goes takes one from
it. The last of it is kept for pages and people's answers, so that a campaign never leaves them without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from switchboard.delivery import repository_pace
from switchboard.kernel.db import Tx

SECONDS_HELD = 2
LEAST_HELD = 2.0
SHARE_KEPT = 0.1


@dataclass(frozen=True, slots=True)
class Room:
    """How many messages may be taken now: `slots` in all, at most `slots_for_flows` of them from the patient lanes."""

    slots: int
    slots_for_flows: int


@dataclass(frozen=True, slots=True)
class Pace:
    """A provider's rate, in messages a minute."""

    per_minute: int

    @property
    def per_second(self) -> float:
        """How fast the bucket fills."""
        return self.per_minute / 60

    @property
    def capacity(self) -> float:
        """How many it holds at most."""
        return max(self.per_second * SECONDS_HELD, LEAST_HELD)

    @property
    def kept(self) -> float:
        """How many of them only urgent messages may take."""
        return max(self.capacity * SHARE_KEPT, 1.0)

    def narrow(self, room: Room, tokens: float) -> Room:
        """As much of that room as so many tokens allow."""
        return Room(min(room.slots, int(tokens)), min(room.slots_for_flows, max(int(tokens - self.kept), 0)))


Paces = Mapping[str, Pace]


async def find_room(tx: Tx, channel: str, pace: Pace, room: Room) -> Room:
    """The room there is on a paced channel; other processes wait until this transaction has taken its share."""
    tokens = await repository_pace.fill(tx, channel, per_second=pace.per_second, capacity=pace.capacity)
    return pace.narrow(room, tokens)


async def take(tx: Tx, paces: Paces, channels: Sequence[str]) -> None:
    """Count a message that goes for each of these channels, where it has a pace."""
    for channel in sorted(paces.keys() & set(channels)):
        await repository_pace.take(tx, channel, channels.count(channel))
