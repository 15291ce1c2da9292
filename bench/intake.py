"""Signals accepted over HTTP by a real `serve` process on a fresh embedded Postgres, durable as it ships."""

import re
import tempfile
import urllib.request
from pathlib import Path

import psycopg

from bench import limits
from bench.limits_rows import measure_rows
from bench.load import Load, post
from bench.probes import Work, measured
from bench.results import Figure
from switchboard.kernel.embedded import find_running
from tests.processes import Product, eventually, running

CONNECTIONS = 64
ROWS_A_REQUEST = 100
WARM_UP_SECONDS = 2.0
SIGNALS = re.compile(r'^switchboard_signals_total\{outcome="accepted"\} ([\d.e+]+)', re.MULTILINE)


def run(seconds: float) -> list[Figure]:
    """Single signals and arrays, then the limits of this machine; fails when anything acknowledged is not stored."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        home = Path(folder)
        # Nobody works the queues: what is measured is accepting, on both cores.
        with running(home, RUN_QUEUE_CONSUMERS="false") as product:
            url = product.json_command("source", "create", "--name", "Bench", "--format", "generic")["url"]
            post(url, connections=CONNECTIONS, rows=1, seconds=WARM_UP_SECONDS)
            single = _measured(product, url, 1, seconds)
            arrays = _measured(product, url, ROWS_A_REQUEST, seconds)
            known = {
                **limits.measure_commits(_superuser(home), seconds / 2),
                **limits.measure_disk(home, seconds / 4),
                **measure_rows(_superuser(home), seconds / 4),
            }
    known |= limits.measure_http(seconds / 2)
    return _figures(single, arrays, {name: round(value) for name, value in known.items()})


def _measured(product: Product, url: str, rows: int, seconds: float) -> tuple[Load, Work]:
    """One run of load, checked against the database: what was acknowledged is stored, and nothing else."""
    before = _settled(product)
    with measured(_superuser(product.home), app=[product.process.pid]) as work:
        load = post(url, connections=CONNECTIONS, rows=rows, seconds=seconds)
    assert not load.refused, f"{load.refused} requests were refused"
    assert not load.broken, f"{load.broken} requests broke"
    stored = _settled(product) - before
    # Requests under way when the load ends are acknowledged to nobody who counts.
    acknowledged = load.requests * rows
    assert acknowledged <= stored <= acknowledged + CONNECTIONS * rows, (acknowledged, stored)
    return load, work


def _figures(single: tuple[Load, Work], arrays: tuple[Load, Work], known: dict[str, float]) -> list[Figure]:
    return [
        _rate("intake.single", single, 1, 12_000, known),
        Figure("intake.single.p50", single[0].p50_ms, "ms", "lower"),
        Figure("intake.single.p99", single[0].p99_ms, "ms", "lower", 30),
        _rate("intake.arrays_of_100", arrays, ROWS_A_REQUEST, 80_000, known),
        Figure("intake.arrays_of_100.p99", arrays[0].p99_ms, "ms", "lower"),
    ]


def _rate(metric: str, taken: tuple[Load, Work], rows: int, target: float, known: dict[str, float]) -> Figure:
    load, work = taken
    value = round(load.taken_per_second * rows)
    cost = work.per(load.requests * rows)
    return Figure(metric, value, "signals/s", "higher", target, known, cost=cost)


def _superuser(home: Path) -> str:
    endpoint = find_running(home)
    assert endpoint is not None, "the embedded Postgres is not running"
    return endpoint.superuser_url


def _settled(product: Product) -> int:
    """The signals stored once nothing is under way any more: exactly those that were acknowledged."""

    def look() -> int | None:
        stored = _stored(product.home)
        return stored if stored == _said(product) else None

    return eventually(look, what="the number of stored signals being that of acknowledged ones")


def _stored(home: Path) -> int:
    with psycopg.connect(_superuser(home), autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM app.signal").fetchone()
    assert row is not None
    return int(row[0])


def _said(product: Product) -> int:
    with urllib.request.urlopen(f"{product.url}/metrics", timeout=10) as answer:
        found = SIGNALS.search(answer.read().decode())
    return round(float(found[1])) if found else 0
