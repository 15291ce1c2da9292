"""What the probes say of work whose size is known."""

import os
import subprocess
import sys
import time

import psycopg
import pytest

from bench.probes import Work, measured, processor_seconds
from tests.conftest import Urls

BURN = "import time\nwhile time.process_time() < 0.4: pass"


def test_work_of_postgres_is_told_from_our_own(urls: Urls) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.probed (id int, filler text)")
        try:
            with measured(urls.superuser, settle_seconds=0) as work:
                connection.execute(
                    "INSERT INTO public.probed SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i"
                )
                connection.execute("UPDATE public.probed SET id = id + 1 WHERE id <= 10000")
                connection.execute("SELECT pg_stat_force_next_flush()")
        finally:
            connection.execute("DROP TABLE public.probed")
    assert work.wal_bytes > 50_000 * 100
    assert 0.01 < work.postgres_seconds <= work.seconds * (os.cpu_count() or 1)
    assert work.app_seconds < work.postgres_seconds
    assert work.commits >= 2
    assert work.dead_tuples >= 10_000


def test_processor_time_of_children_counts_also_when_they_are_dead(urls: Urls) -> None:
    with measured(urls.superuser, settle_seconds=0) as work:
        subprocess.run([sys.executable, "-c", BURN], check=True, timeout=60)
    assert work.app_seconds >= 0.39


def test_a_thousandth_of_a_second_is_told_from_nothing() -> None:
    for _ in range(10):
        before, began = processor_seconds(os.getpid()), time.process_time()
        while time.process_time() < began + 0.001:
            pass
        assert processor_seconds(os.getpid()) - before >= 0.001


def test_what_is_set_apart_does_not_count(urls: Urls) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURN + "\nimport sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as other:
        with measured(urls.superuser, apart=[other.pid], settle_seconds=0) as work:
            deadline = time.monotonic() + 60
            while processor_seconds(other.pid) < 0.3 and time.monotonic() < deadline:
                os.sched_yield()
        own = processor_seconds(os.getpid(), [other.pid])
        both = processor_seconds(os.getpid())
        assert both - own >= 0.25
        assert work.app_seconds < work.seconds + 0.05
        other.communicate(timeout=10)


def test_cost_is_by_the_item() -> None:
    work = Work(seconds=2, app_seconds=1, postgres_seconds=0.5, wal_bytes=4_000, commits=20, dead_tuples=7)
    assert work.per(1_000, share_of_limit=0.25) == {
        "app_us": 1_000,
        "postgres_us": 500,
        "wal_bytes": 4,
        "commits": 0.02,
        "dead_tuples": 7,
        "processor_share": round(1.5 / 2 / (os.cpu_count() or 1), 3),
        "share_of_limit": 0.25,
    }
    assert "share_of_limit" not in work.per(1_000)
    with pytest.raises(AssertionError, match="no item was worked"):
        work.per(0)
