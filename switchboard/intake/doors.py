"""Which source stands behind a token: looked up once a moment, so that the hot path reads memory."""

import asyncio
from collections import OrderedDict
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.intake import repository
from switchboard.intake.door_book import DoorBook
from switchboard.intake.errors import UncertainTokenError, UnknownTokenError
from switchboard.intake.formats.registry import get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import Door, Source
from switchboard.intake.outage import Outage, patiently
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError

# A changed or paused source is seen by every process within this time.
FRESH_SECONDS = 2.0
MOST_DOORS = 5_000
LONGEST_TOKEN = 100


class Doors:
    """A bounded memory of doors by token; tokens nobody has are remembered too, so that guessing stays cheap."""

    def __init__(self, database: Database, outage: Outage | None = None, book: DoorBook | None = None) -> None:
        self._database = database
        self._outage = outage
        self._book = book
        self._known: OrderedDict[str, tuple[float, Door | None]] = OrderedDict()
        self._looking: dict[str, asyncio.Future[Door | None]] = {}

    def find_remembered(self, token: str) -> Door | None:
        """The door of a token that was looked up a moment ago and lets signals in; None where `find` must be asked."""
        remembered = self._known.get(token)
        if remembered is None or remembered[0] < monotonic_seconds():
            return None
        door = remembered[1]
        return None if door is None or door.is_paused else door

    async def find(self, token: str) -> Door:
        """The door of a token; raises UnknownTokenError.

        While the database is away a door that was known before is taken as it was; UncertainTokenError for others.
        """
        now = monotonic_seconds()
        remembered = self._known.get(token)
        if remembered is None or remembered[0] < now:
            door = await self._look_up_together(token, now) if 0 < len(token) <= LONGEST_TOKEN else None
        else:
            door = remembered[1]
        if door is None or door.is_paused:
            raise UnknownTokenError
        return door

    async def _look_up_together(self, token: str, now: float) -> Door | None:
        """One look-up for all who ask meanwhile: a busy source's senders ask all at once, and would use up the pool."""
        looking = self._looking.get(token)
        if looking is None:
            looking = asyncio.ensure_future(self._look_up_or_recall(token, now))  # gate: tasks it is waited for below
            self._looking[token] = looking
            looking.add_done_callback(lambda done: self._end_look_up(token, done))
        # Whoever goes away does not take the answer from the others.
        return await asyncio.shield(looking)

    def _end_look_up(self, token: str, done: "asyncio.Future[Door | None]") -> None:
        del self._looking[token]
        # Asking for the error is what keeps it from being logged when all who waited have gone away.
        if not done.cancelled():
            done.exception()

    async def _look_up_or_recall(self, token: str, now: float) -> Door | None:
        if self._outage is None:
            door = await self._look_up(token)
        elif self._outage.is_on:
            return self._recall(token)
        else:
            try:
                door = await patiently(self._look_up(token))
            except UnavailableError:
                self._outage.begin()
                return self._recall(token)
        self._remember(token, now + FRESH_SECONDS, door)
        if door is not None and self._book is not None:
            self._book.note(token)
        return door

    def _recall(self, token: str) -> Door:
        remembered = self._known.get(token)
        if remembered is not None and remembered[1] is not None:
            return remembered[1]
        source = None if self._book is None else self._book.find(token)
        if source is None:
            raise UncertainTokenError
        return open_door(source, source.workspace_id)

    def _remember(self, token: str, until: float, door: Door | None) -> None:
        self._known[token] = (until, door)
        self._known.move_to_end(token)
        while len(self._known) > MOST_DOORS:
            self._known.popitem(last=False)

    async def _look_up(self, token: str) -> Door | None:
        async with self._database.directory() as tx:
            found = await accounts.find_address(tx, "intake", accounts.token_digest(token))
            if found is None or found[1] is None:
                return None
            workspace_id, source_id = found[0], found[1]
            await tx.enter_workspace(workspace_id)
            source = await repository.find_source(tx, source_id)
        return None if source is None else open_door(source, workspace_id)


def open_door(source: Source, workspace_id: UUID) -> Door:
    """The part of a source that accepting needs, its mapping checked."""
    hosts = source.settings.get("redirect_hosts")
    return Door(
        workspace_id=workspace_id,
        source_id=source.id,
        format=get_format(source.format),
        mapping=FieldMapping.from_json(source.mapping),
        signing_secret=source.signing_secret,
        redirect_hosts=frozenset(str(host) for host in hosts) if isinstance(hosts, list) else frozenset(),
        is_paused=source.paused_at is not None,
    )
