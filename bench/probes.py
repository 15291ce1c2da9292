"""What work costs: processor time of the application and of Postgres, write-ahead log, commits and dead rows.

    with measured(superuser_url, app=[product.process.pid]) as work:
        ...
    Figure(..., cost=work.per(items))

Throughput on a busy machine says little; the processor time of an item says nearly the same on every day.
"""

import ctypes
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg

# A backend hands in its statistics at most once a second, and an idle one the rest after ten.
SETTLE_SECONDS = 1.5
_CORES = os.cpu_count() or 1
_C = ctypes.CDLL(None)


@dataclass(slots=True)
class Work:
    """What was done inside of one `measured` block; everything is zero until the block has ended.

    `app_seconds` and `postgres_seconds` are processor seconds, `seconds` is by the clock. `dead_tuples` is the sum over
    all tables at the end, not a difference.
    """

    seconds: float = 0.0
    app_seconds: float = 0.0
    postgres_seconds: float = 0.0
    wal_bytes: int = 0
    commits: int = 0
    dead_tuples: int = 0

    def per(self, items: float, *, share_of_limit: float | None = None) -> dict[str, float]:
        """The `cost` of a figure: microseconds, bytes and commits an item, and the dead rows in all.

        `processor_share` is how much of all cores it kept busy: near 1 it could go no faster here. `share_of_limit` is
        for those who know theirs; the others get it by the chapter of their benchmark.
        """
        assert items > 0, "no item was worked"
        cost = {
            "app_us": round(self.app_seconds / items * 1e6, 2),
            "postgres_us": round(self.postgres_seconds / items * 1e6, 2),
            "wal_bytes": round(self.wal_bytes / items, 1),
            "commits": round(self.commits / items, 4),
            "dead_tuples": self.dead_tuples,
            "processor_share": round((self.app_seconds + self.postgres_seconds) / self.seconds / _CORES, 3),
        }
        return cost if share_of_limit is None else cost | {"share_of_limit": round(share_of_limit, 3)}


@contextmanager
def measured(
    superuser_url: str,
    *,
    app: Iterable[int] | None = None,
    apart: Iterable[int] = (),
    settle_seconds: float = SETTLE_SECONDS,
) -> Iterator[Work]:
    """Measure what goes on inside of the block.

    `app` are the processes whose trees are the application, this one by default; `apart` are those in them that are not
    (a load generator, a mail server). Postgres is always counted by itself, wherever its process hangs: every backend
    and the checkpointer, the log writer and the vacuum workers, those that have ended in the meantime too.
    """
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        postmaster = _postmaster(connection)
        roots, others = list(app or [os.getpid()]), [*apart, postmaster]
        work = Work()
        before = _read(connection, postmaster, roots, others)
        yield work
        after = _read(connection, postmaster, roots, others)
        time.sleep(settle_seconds)
        statistics = _statistics(connection)
        work.seconds, work.app_seconds, work.postgres_seconds = (
            after[name] - before[name] for name in ("clock", "app", "postgres")
        )
        work.wal_bytes = int(after["wal"] - before["wal"])
        work.commits = int(statistics["commits"] - before["commits"])
        work.dead_tuples = int(statistics["dead_tuples"])


def processor_seconds(pid: int, apart: Iterable[int] = ()) -> float:
    """Of a process and all below it, dead ones included, without those that hang below one of `apart`."""
    left_out = {process.pid for root in apart for process in _tree(root)}
    total = 0.0
    for process in _tree(pid):
        if process.pid not in left_out:
            total += _times(process)
    return total


def find_server_pid(url: str) -> int:
    """The first process of the server behind a URL; it runs on this machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        return _postmaster(connection)


def _read(
    connection: psycopg.Connection[Any], postmaster: int, roots: list[int], others: list[int]
) -> Mapping[str, float]:
    return {
        "clock": time.perf_counter(),
        "app": sum(processor_seconds(root, others) for root in roots),
        "postgres": processor_seconds(postmaster),
        "wal": _number(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'"),
        **_statistics(connection),
    }


def _statistics(connection: psycopg.Connection[Any]) -> dict[str, float]:
    _number(connection, "SELECT 0 FROM pg_stat_clear_snapshot()")
    return {
        "commits": _number(connection, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"),
        "dead_tuples": _number(connection, "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables"),
    }


def _postmaster(connection: psycopg.Connection[Any]) -> int:
    """The process above our own backend; the server runs on this machine."""
    return psutil.Process(connection.info.backend_pid).ppid()


def _number(connection: psycopg.Connection[Any], sql: str) -> float:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _times(process: psutil.Process) -> float:
    """Its own time to the nanosecond; that of the children it has buried is only told in hundredths of a second."""
    try:
        times = process.cpu_times()
        own = time.clock_gettime(_clock_of(process.pid))
    except (psutil.NoSuchProcess, OSError):
        return 0.0
    return own + float(times.children_user + times.children_system)


def _clock_of(pid: int) -> int:
    """The clock of a process's processor time, all of its threads together."""
    clock = ctypes.c_int()
    if reason := _C.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(reason, os.strerror(reason))
    return clock.value
