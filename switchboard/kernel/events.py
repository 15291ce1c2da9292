"""Events: what changed, in order. One log feeds timelines, live pages, flows and audit.

Rooms import downwards only; what must travel upwards travels as an event. A room above subscribes to the kinds it
cares for, and is called in the same transaction as the change: both happen, or neither does.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import new_id

if TYPE_CHECKING:
    from switchboard.kernel.events_alike import AlikeEvents

# What the quick writer writes as the slow one does.
_PLAIN = frozenset({str, int, bool, type(None), UUID})
LIVE_CHANNEL = "switchboard_live"

ActorKind = Literal["user", "flow", "source", "contact", "system"]


class Actor(msgspec.Struct, frozen=True):
    """Who did it: a user, a flow's run, a source's signal, the contact themselves, or Switchboard."""

    kind: ActorKind
    id: UUID | None = None


SYSTEM = Actor("system")


class Event(msgspec.Struct, frozen=True):
    """One change. `kind` is `noun.past_participle`; `subject_id` is the row changed; `data` is JSON-able."""

    kind: str
    subject_id: UUID | None = None
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    actor: Actor = SYSTEM
    data: Mapping[str, object] = {}
    id: UUID = msgspec.field(default_factory=new_id)

    @property
    def topic(self) -> str:
        """The noun: `lead` of `lead.accepted`; live pages listen by topic."""
        return topic_of(self.kind)

    def find_id(self, name: str) -> UUID | None:
        """An id in the data, whether the event was just made or has been read back."""
        return id_in(self.data, name)


def topic_of(kind: str) -> str:
    """The noun of a kind of event."""
    return kind.partition(".")[0]


def id_in(data: Mapping[str, object], name: str) -> UUID | None:
    """An id in the data of an event, whether that was just made or has been read back."""
    value = data.get(name)
    return value if isinstance(value, UUID) or value is None else UUID(str(value))


Subscriber = Callable[[Tx, Sequence[Event]], Awaitable[None]]
AlikeSubscriber = Callable[[Tx, "AlikeEvents"], Awaitable[None]]
"""Is told of events that were written alike by their columns."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of a kind, and how."""

    subscriber: Subscriber
    naming: str | None
    alike: AlikeSubscriber | None
    is_late: bool

    def hears(self, data: Mapping[str, object]) -> bool:
        """Whether events with such data are for this one."""
        return self.naming is None or self.naming in data


class Hub:
    """Who is told of which kinds, wired once when a process is put together."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[Subscription]] = defaultdict(list)

    def subscribe(
        self,
        kinds: Sequence[str],
        subscriber: Subscriber,
        *,
        naming: str | None = None,
        alike: AlikeSubscriber | None = None,
        is_late: bool = False,
    ) -> None:
        """Call `subscriber` with the events of these kinds, in the transaction that appends them.

        With `naming` it hears only those whose data has something by that name: what goes unheard may be written
        without an object for each event. Where events are written so, `alike` is called instead, if it is given.
        One that only takes notes may be told late: where events are gathered, once of all of them.
        """
        for kind in kinds:
            self._subscriptions[kind].append(Subscription(subscriber, naming, alike, is_late))

    def is_heard(self, kind: str, data: Mapping[str, object]) -> bool:
        """Whether anybody must be told of events of this kind with such data one by one."""
        return any(each.alike is None and each.hears(data) for each in self._subscriptions.get(kind, ()))

    async def deliver(self, tx: Tx, events: Sequence[Event]) -> None:
        """Tell each subscriber once, of all its events, in the order of subscription."""
        await self._tell(tx, events, (False,) if tx.gathered_events is not None else (False, True))

    async def deliver_late(self, tx: Tx, events: Sequence[Event]) -> None:
        """Tell those who may be told late of events that have been gathered."""
        await self._tell(tx, events, (True,))

    async def _tell(self, tx: Tx, events: Sequence[Event], lateness: Collection[bool]) -> None:
        told: dict[Subscriber, list[Event]] = {}
        listening = {
            kind: self._listening(kind, lateness, told) for kind in dict.fromkeys(event.kind for event in events)
        }
        for event in events:
            for naming, relevant in listening[event.kind]:
                if naming is None or naming in event.data:
                    relevant.append(event)
        for subscriber, relevant in told.items():
            if relevant:
                await subscriber(tx, relevant)

    def _listening(
        self, kind: str, lateness: Collection[bool], told: dict[Subscriber, list[Event]]
    ) -> list[tuple[str | None, list[Event]]]:
        """Where in `told` the events of a kind belong, each with what they must name."""
        listening = [each for each in self._subscriptions.get(kind, ()) if each.is_late in lateness]
        return [(each.naming, told.setdefault(each.subscriber, [])) for each in listening]

    async def deliver_alike(self, tx: Tx, told: "AlikeEvents") -> None:
        """Tell those who take events written alike by their columns."""
        for each in self._subscriptions.get(told.kind, ()):
            if each.alike is not None and each.hears(told.data):
                await each.alike(tx, told)

    async def deliver_one_by_one(self, tx: Tx, events: Sequence[Event]) -> None:
        """Tell the others of events written alike."""
        for subscription in self._subscriptions.get(events[0].kind, ()) if events else ():
            if subscription.alike is None and subscription.hears(events[0].data):
                await subscription.subscriber(tx, events)


# Writes a batch of events; the primary key (id, at) and two partial indexes are touched.
_INSERT = """
INSERT INTO app.event (id, workspace_id, at, kind, contact_id, lead_id, subject_id, actor_kind, actor_id, data)
SELECT id, %(workspace)s, app.now(), kind, contact_id, lead_id, subject_id, actor_kind, actor_id, data
FROM ROWS FROM (
    unnest(%(ids)s::uuid[], %(kinds)s::text[], %(contacts)s::uuid[], %(leads)s::uuid[], %(subjects)s::uuid[],
           %(actor_kinds)s::text[], %(actor_ids)s::uuid[]),
    jsonb_array_elements(%(data)s::jsonb)
) AS new (id, kind, contact_id, lead_id, subject_id, actor_kind, actor_id, data)
"""


async def append(tx: Tx, events: Sequence[Event]) -> None:
    """Write the events of the transaction's workspace, tell the subscribers, and wake live pages on commit."""
    if not events:
        return
    if tx.gathered_events is None:
        await _insert(tx, events)
    else:
        tx.gathered_events += events
    await notify_live(tx, {topic_of(kind) for kind in {event.kind for event in events}})
    await tx.hub.deliver(tx, events)


class Gathered(list[Event]):
    """Events that have been told, of which so many are `written`."""

    written = 0


@asynccontextmanager
async def gathering(tx: Tx) -> AsyncIterator[None]:
    """Inside, events are told at once as ever, and written together at the end: for work that reads none of them.

    Who may be told late is told before that, and what they make happen is written along.
    """
    gathered = tx.gathered_events = Gathered()
    try:
        yield
        told = 0
        while told < len(gathered):
            fresh, told = gathered[told:], len(gathered)
            await tx.hub.deliver_late(tx, fresh)
    finally:
        tx.gathered_events = None
    await _write_rest(tx, gathered)


async def write_gathered(tx: Tx) -> None:
    """Write what has been gathered by now, for work that would rather not write it later.

    Not within a savepoint that began in the gathering: what is taken back with it must not count as written.
    """
    if tx.gathered_events is not None:
        await _write_rest(tx, tx.gathered_events)


async def _write_rest(tx: Tx, gathered: Gathered) -> None:
    rest, gathered.written = gathered[gathered.written :], len(gathered)
    if rest:
        await _insert(tx, rest)


async def _insert(tx: Tx, events: Sequence[Event]) -> None:
    await tx.write(
        _INSERT,
        {
            "workspace": tx.workspace_id,
            "ids": [event.id for event in events],
            "kinds": [event.kind for event in events],
            "contacts": [event.contact_id for event in events],
            "leads": [event.lead_id for event in events],
            "subjects": [event.subject_id for event in events],
            "actor_kinds": [event.actor.kind for event in events],
            "actor_ids": [event.actor.id for event in events],
            # One document, because an array of texts costs an escape for each of their quotes.
            "data": _as_json([event.data for event in events]),
        },
    )


def _as_json(data: Sequence[Mapping[str, object]]) -> str:
    if all(_PLAIN.issuperset(map(type, each.values())) for each in data):
        return msgspec.json.encode(data).decode()
    # Anything else is written as Python says it, which is slow.
    return json.dumps(data, default=str)


async def notify_live(tx: Tx, topics: set[str]) -> None:
    """Tell open pages, on commit, which topics of this workspace changed."""
    payload = f"{tx.workspace_id} {','.join(sorted(topics))}"
    # One notice a batch, never one a row: NOTIFY serialises commits.
    tx.notify(LIVE_CHANNEL, payload)
