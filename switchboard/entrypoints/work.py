"""`switchboard work`: the process that works the queues, and its companion.

All loops of a process share one thread. So those that may have very much to do (a campaign, a mailing, a file, a
segment of a million) are worked by a companion, and whatever waits for a page or a one-time code never waits for them.
"""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import psycopg
import structlog
import uvloop

from switchboard.entrypoints import assembly
from switchboard.kernel.companion import Wire, fork_companion, hear_end
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
PLENTIFUL = frozenset({"campaign-steps", "outbox", "segments", "jobs"})
OBJECTS_BETWEEN_COLLECTIONS = 100_000

log = structlog.get_logger()


def work(settings: Settings, database_url: str, queues: Sequence[str]) -> None:
    """Work the named queues, or all, until SIGTERM or Ctrl-C; the batches in hand are finished first.

    Waits for a database that is away while intake goes on without it; raises the ConfigurationError of its check
    otherwise.
    """
    configure_logs(settings.log_level, settings.log_format)
    _wait_for_database(settings, database_url)
    database = Database(database_url, assembly.build_hub(), max_connections=settings.database_connections)
    prompt, plentiful = share_out(choose_loops(assembly.build_loops(settings, database), queues))
    collect_seldom()
    if not (prompt and plentiful):
        uvloop.run(_work(database, [*prompt, *plentiful]))
        return
    companion = fork_companion(lambda wire: uvloop.run(_work(database, plentiful, wire)))
    was_left = uvloop.run(_work(database, prompt, companion.wire))
    code = companion.wait()
    if was_left or code:
        log.error("work.companion_ended", exit_code=code)
        raise SystemExit(1)


def _wait_for_database(settings: Settings, database_url: str) -> None:
    if not is_database_away(settings, database_url):
        return
    log.warning("work.waiting_for_database")
    while is_database_away(settings, database_url):
        time.sleep(LOOK_SECONDS)


def share_out(loops: Sequence[Loop]) -> tuple[list[Loop], list[Loop]]:
    """Those that must be prompt, and those that may have so much to do that the others must not wait for them."""
    return (
        [loop for loop in loops if loop.name not in PLENTIFUL],
        [loop for loop in loops if loop.name in PLENTIFUL],
    )


async def _work(database: Database, loops: Sequence[Loop], wire: Wire | None = None) -> bool:
    """Work these loops until told to stop, or until the process at the other end of the wire is gone.

    Says whether it was that, which nobody had asked for.
    """
    await database.open()
    worker = Worker(loops, database)
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, partial(_stop, worker, wire))
    names = [loop.name for loop in loops]
    log.info("work.started", queues=names)
    reporting = asyncio.create_task(_report(database, names))  # gate: tasks ends with us
    hearing = asyncio.create_task(_stop_with(wire, worker)) if wire else None  # gate: tasks ends with us
    try:
        await worker.run()
    finally:
        was_left = hearing is not None and hearing.done() and hearing.result()
        beside = [reporting, hearing] if hearing else [reporting]
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await database.close()
        log.info("work.stopped")
    return was_left


def _stop(worker: Worker, wire: Wire | None) -> None:
    worker.stop()
    if wire is not None:
        # The other one begins to stop now, too, and not when we have done so; it may be gone already.
        with suppress(OSError):
            wire.shutdown(socket.SHUT_WR)


async def _stop_with(wire: Wire, worker: Worker) -> bool:
    """Stop when the other process is gone; whether nobody had told this one to stop before."""
    await hear_end(wire)
    was_left = not worker.is_stopping
    worker.stop()
    return was_left


def collect_seldom() -> None:
    """Batches make thousands of objects and drop them together; looking for rings among them each time costs a quarter
    of all work. What exists by now stays for good, so it need not be looked at again.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 5, 20)


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
    worker_id, has_begun = new_id(), False
    try:
        while True:
            try:
                async with database.directory() as tx:
                    if not has_begun:
                        await queries.forget_silent_workers(tx)
                    await queries.report_worker(tx, worker_id, names)
                has_begun = True
            except (UnavailableError, psycopg.OperationalError):
                log.warning("work.waiting_for_database")
            await asyncio.sleep(REPORT_SECONDS)
    finally:
        async with database.directory() as tx:
            await queries.remove_worker(tx, worker_id)
