"""`switchboard work`: the process that works the queues."""

import asyncio
import gc
import signal
import time
from collections.abc import Sequence

import psycopg
import structlog
import uvloop

from switchboard.entrypoints import assembly
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError, Problem, UnavailableError
from switchboard.kernel.ids import new_id
from switchboard.kernel.logs import configure_logs
from switchboard.kernel.queues import Loop, Worker
from switchboard.kernel.settings import Settings
from switchboard.ops import queries
from switchboard.ops.schema import is_database_away

REPORT_SECONDS = 5.0
# A database that was away at the start is looked for this often.
LOOK_SECONDS = 0.5
OBJECTS_BETWEEN_COLLECTIONS = 20_000

log = structlog.get_logger()


def work(settings: Settings, database_url: str, queues: Sequence[str]) -> None:
    """Work the named queues, or all, until SIGTERM or Ctrl-C; the batches in hand are finished first.

    Waits for a database that is away while intake goes on without it; raises the ConfigurationError of its check
    otherwise.
    """
    configure_logs(settings.log_level, settings.log_format)
    _wait_for_database(settings, database_url)
    uvloop.run(_work(settings, database_url, queues))


def _wait_for_database(settings: Settings, database_url: str) -> None:
    if not is_database_away(settings, database_url):
        return
    log.warning("work.waiting_for_database")
    while is_database_away(settings, database_url):
        time.sleep(LOOK_SECONDS)


async def _work(settings: Settings, database_url: str, queues: Sequence[str]) -> None:
    database = Database(database_url, assembly.build_hub(), max_connections=settings.database_connections)
    loops = choose_loops(assembly.build_loops(settings, database), queues)
    await database.open()
    worker = Worker(loops, database)
    _collect_seldom()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, worker.stop)
    log.info("work.started", queues=[loop.name for loop in loops])
    reporting = asyncio.create_task(_report(database, [loop.name for loop in loops]))  # gate: tasks ends with us
    try:
        await worker.run()
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        await database.close()
        log.info("work.stopped")


def _collect_seldom() -> None:
    """Batches make thousands of objects and drop them together; looking for rings among them each time costs a quarter
    of all work. What exists by now stays for good, so it need not be looked at again.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)


def choose_loops(loops: Sequence[Loop], queues: Sequence[str]) -> list[Loop]:
    """The loops of the named queues, all without a name; raises ConfigurationError for a name that is none.

    A queue brings the loops beside it: `outbox` is also `outbox-urgent` and `outbox-reaper`.
    """
    known = {loop.name: loop for loop in loops}
    unknown = [name for name in queues if name not in known]
    if unknown:
        expected = f"expected some of {', '.join(sorted(known))}"
        raise ConfigurationError("There is no such queue.", problems=[Problem(name, expected) for name in unknown])
    return [loop for loop in loops if not queues or any(_belongs(loop, name) for name in queues)]


def _belongs(loop: Loop, queue: str) -> bool:
    return loop.name == queue or loop.name.startswith(f"{queue}-")


async def _report(database: Database, names: list[str]) -> None:
    """Say every few seconds that these queues are worked; health and the home page read it."""
    worker_id = new_id()
    try:
        while True:
            try:
                async with database.directory() as tx:
                    await queries.report_worker(tx, worker_id, names)
            except (UnavailableError, psycopg.OperationalError):
                log.warning("work.waiting_for_database")
            await asyncio.sleep(REPORT_SECONDS)
    finally:
        async with database.directory() as tx:
            await queries.remove_worker(tx, worker_id)
