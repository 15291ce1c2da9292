"""What keeps intake answering while Postgres is away, put together for one web process."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from switchboard.intake import repository_kept
from switchboard.intake.door_book import DoorBook
from switchboard.intake.doors import Doors
from switchboard.intake.draining import drain, read_back
from switchboard.intake.outage import Outage, patiently
from switchboard.intake.reserve import MOST_REMEMBERED, Kept, Place, Reserve
from switchboard.intake.spool import Spool
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.settings import Settings

PROBE_SECONDS = 0.5
# Long enough for a connection to be made anew.
PROBE_PATIENCE_SECONDS = 6.0
# A new or changed source is known without Postgres after this time; one that has sent something, at the next look.
REFRESH_SECONDS = 30.0
# Segments of processes that have died are looked for this often.
LOOK_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class Standby:
    """The outage as this process sees it, the place where signals are kept meanwhile, and the way back from there."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self.outage = Outage()
        self.spool = Spool(settings.home, settings.spool_megabytes << 20)
        self.reserve = Reserve(
            _choose_place(settings, self.spool), self.outage, is_first=settings.redis_intake == "always"
        )
        self.book = DoorBook(settings)
        self.doors = Doors(database, self.outage, self.book)
        self._refreshed_at = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def start(self, check: Check | None = None) -> None:
        """Begin to watch. With `check` Postgres was away at the start: it is opened once `check` raises nothing."""
        await self.spool.open()
        await asyncio.to_thread(self.book.read)
        if check is not None:
            self.outage.begin()
            self.reserve.recall(await asyncio.to_thread(read_back, self.spool.folder, MOST_REMEMBERED))
        self._watching = asyncio.create_task(self._watch(check))  # gate: tasks it ends in `stop`

    async def stop(self) -> None:
        """Watch no more; what is kept lies on the disk for whoever starts next."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.reserve.place.close()

    async def measure(self) -> Kept:
        """What is kept outside Postgres at the moment."""
        return await self.reserve.place.measure()

    async def _watch(self, check: Check | None) -> None:
        while True:
            try:
                if self.outage.is_on:
                    await self._wait_for_postgres(check)
                    check = None
                await self._keep_up()
            except UnavailableError:
                self.outage.begin()
            except (psycopg.Error, OSError) as error:
                # Signals are safe where they are; the next round may do better.
                log.error("intake.standby_failed", exc_info=error)
            await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self.outage.has_begun.wait(), LOOK_SECONDS)
        except TimeoutError:
            return
        await asyncio.sleep(PROBE_SECONDS)

    async def _wait_for_postgres(self, check: Check | None) -> None:
        if check is not None:
            await check()
            await self._database.open()
        if not await patiently(self._takes_writes(), PROBE_PATIENCE_SECONDS):
            raise UnavailableError("The database only reads at the moment.", retry_after_seconds=1)
        self.outage.end()

    async def _takes_writes(self) -> bool:
        async with self._database.directory() as tx:
            return await repository_kept.takes_writes(tx)

    async def _keep_up(self) -> None:
        if not self.spool.folder.is_dir():
            return
        await self.spool.seal()
        await drain(self._database, self.spool.folder)
        now = monotonic_seconds()
        if self.book.is_behind or now - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = now
            await self.book.refresh(self._database)


def _choose_place(settings: Settings, spool: Spool) -> Place:
    """A Redis that all machines share where there is one, and this machine's disk otherwise."""
    address = settings.redis_address
    if address is None:
        return spool
    from switchboard.intake.stream import SignalStream  # noqa: PLC0415 megabytes that only those with a Redis need

    return SignalStream(address, settings.spool_megabytes << 20)
