"""Live pages: one LISTEN connection a process, fanned out in memory to the open streams."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from uuid import UUID

import psycopg

from switchboard.kernel.errors import ThrottledError
from switchboard.kernel.events import LIVE_CHANNEL
from switchboard.kernel.listening import connect_to_listen

HEARTBEAT_SECONDS = 15.0
RECONNECT_SECONDS = 1.0
# Many changes in a row reach a page as one: it reloads its parts at most this often.
FOLD_SECONDS = 0.25
# What changed between the making of a page and the opening of its stream is told at once; pages take less than this.
LOOK_BACK_SECONDS = 5.0
# Each open page is a stream, and each stream costs memory and a look at its session now and then.
MOST_OF_ONE_SESSION = 20
MOST_STREAMS = 2_000


class _Stream:
    """The topics one page has not been told of yet."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.changed = asyncio.Event()
        self.is_over = False

    def tell(self, topics: set[str]) -> None:
        """Wake the page, unless there is nothing to say."""
        self.topics |= topics
        if self.topics:
            self.changed.set()

    def end(self) -> None:
        """Let the page open another one, and look at everything again when it does."""
        self.is_over = True
        self.changed.set()


class LiveFeed:
    """Tells open pages which topics of their workspace changed; it carries names, never data."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._streams: dict[UUID, set[_Stream]] = defaultdict(set)
        self._last_told: dict[UUID, dict[str, float]] = defaultdict(dict)
        self._open_by_session: Counter[str] = Counter()
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled, through every loss of the connection; pages are told to look again after one."""
        while not self._closing.is_set():
            try:
                await self._listen()
            except (psycopg.Error, OSError):
                await asyncio.sleep(RECONNECT_SECONDS)

    def close(self) -> None:
        """End every open stream, so that the server can stop."""
        self._closing.set()
        self._end_streams()

    def require_room(self, session: str) -> None:
        """Raise ThrottledError when this session, or the process, has as many streams open as it may."""
        if self._open_by_session[session] >= MOST_OF_ONE_SESSION:
            raise ThrottledError("Too many pages are open. Close some of them.", retry_after_seconds=30)
        if self._open_by_session.total() >= MOST_STREAMS:
            raise ThrottledError("This server keeps no more pages up to date. Try again later.", retry_after_seconds=30)

    async def follow(self, workspace_id: UUID, session: str = "") -> AsyncGenerator[set[str], None]:
        """Sets of changed topics as they come; an empty set is a heartbeat. Ends when the feed closes.

        The stream counts among those of `session` while it is open.
        """
        stream = _Stream()
        since = time.monotonic() - LOOK_BACK_SECONDS
        stream.tell({topic for topic, at in self._last_told.get(workspace_id, {}).items() if at >= since})
        self._streams[workspace_id].add(stream)
        self._open_by_session[session] += 1
        try:
            while not stream.is_over and not self._closing.is_set():
                yield await self._next(stream)
        finally:
            self._streams[workspace_id].discard(stream)
            self._forget_one(session)

    def _forget_one(self, session: str) -> None:
        self._open_by_session[session] -= 1
        # Sessions come and go for as long as the process lives.
        if not self._open_by_session[session]:
            del self._open_by_session[session]

    async def _next(self, stream: _Stream) -> set[str]:
        try:
            await asyncio.wait_for(stream.changed.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            return set()
        if not stream.is_over:
            await asyncio.sleep(FOLD_SECONDS)
        topics, stream.topics = stream.topics, set()
        stream.changed.clear()
        return topics

    async def _listen(self) -> None:
        connection = await connect_to_listen(self._database_url)
        async with connection:
            await connection.execute(f"LISTEN {LIVE_CHANNEL}".encode())
            # Streams from before a loss may have missed something; those of the first connection have not.
            self._end_streams()
            async for notice in connection.notifies():
                workspace, _, topics = notice.payload.partition(" ")
                self._tell(UUID(workspace), set(topics.split(",")))

    def _end_streams(self) -> None:
        for streams in self._streams.values():
            for stream in streams:
                stream.end()

    def _tell(self, workspace_id: UUID, topics: set[str]) -> None:
        self._last_told[workspace_id].update(dict.fromkeys(topics, time.monotonic()))
        for stream in self._streams.get(workspace_id, ()):
            stream.tell(topics)
