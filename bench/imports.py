"""Rows of a file from the start of the import until the last one is recognised: a quiet import, every tenth row twice.

The loops are those of `switchboard work`, in a process of their own, as they ship.
"""

import asyncio
import csv
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import limits
from bench.desk import furnish
from bench.fresh import fresh_server, open_database
from bench.probes import Work, measured
from bench.recognise import person
from bench.results import Figure
from switchboard.accounts.models import system_caller
from switchboard.intake import importing
from switchboard.intake.models import Import, Source
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint
from tests.processes import PROGRAM

ROWS, ROWS_IN_FULL = 20_000, 1_000_000
TARGET_SECONDS_A_MILLION = 90
# One row of ten is there twice; a file repeats itself within a few thousand rows, or anywhere.
REPEATED = 10
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 3_600


def run(seconds: float, *, rows: int | None = None, full: bool = False) -> list[Figure]:
    """`rows` of a CSV file; fails unless each became a contact with a lead, and each repeated one was left out."""
    count = rows or (ROWS_IN_FULL if full else ROWS)
    with fresh_server() as endpoint, tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        path = Path(folder) / "people.csv"
        _write(path, count)
        done, work = asyncio.run(_measure(endpoint, path))
        known = limits.measure_commits(endpoint.superuser_url, seconds / 4)
    repeated = sum(number % REPEATED == REPEATED - 1 for number in range(count))
    assert (done.state, done.rows_new, done.rows_duplicate) == ("done", count - repeated, repeated), done
    figures = _figures(count, work)
    shown = {name: round(value) for name, value in known.items()}
    return [Figure(**figure, limits=shown) for figure in figures]


def _write(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(person(0)))
        writer.writeheader()
        for number in range(rows):
            writer.writerow(person(number - 1 if number % REPEATED == REPEATED - 1 else number))


async def _measure(endpoint: Endpoint, path: Path) -> tuple[Import, Work]:
    async with open_database(endpoint, max_connections=2) as database:
        source = await furnish(database)
        import_id = await _upload(database, source, path)
        with _working(endpoint) as worker:
            await _until(database, source, import_id, "ready")
            with measured(endpoint.superuser_url, app=[worker]) as work:
                async with database.transaction(source.workspace_id) as tx:
                    await importing.start(tx, system_caller(source.workspace_id), import_id)
                done = await _until(database, source, import_id, "done")
    return done, work


async def _upload(database: Database, source: Source, path: Path) -> UUID:
    async with database.transaction(source.workspace_id) as tx:
        caller = system_caller(source.workspace_id)
        return (await importing.upload(tx, caller, source.id, path.name, _parts(path))).id


async def _parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(importing.CHUNK_BYTES):
            yield part


@contextmanager
def _working(endpoint: Endpoint) -> Iterator[int]:
    """`switchboard work` for the two queues that an import goes through; its process id."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    urls = {"DATABASE_URL": endpoint.application_url, "DATABASE_OWNER_URL": endpoint.owner_url}
    command = [*PROGRAM, "work", "--queues", "signals,jobs"]
    process = subprocess.Popen(command, env={**inherited, **urls, "LOG_LEVEL": "warning"}, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


async def _until(database: Database, source: Source, import_id: UUID, state: str) -> Import:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        async with database.transaction(source.workspace_id) as tx:
            found = await importing.access_import(tx, system_caller(source.workspace_id), import_id)
        if found.state == state or found.is_over:
            return found
        await asyncio.sleep(LOOK_SECONDS)
    raise TimeoutError(f"the import is not {state} after {PATIENCE_SECONDS} s")


def _figures(rows: int, work: Work) -> list[dict[str, Any]]:
    cost = work.per(rows)
    return [
        {
            "metric": "import.rows",
            "value": round(rows / work.seconds),
            "unit": "1/s",
            "better": "higher",
            "target": round(1_000_000 / TARGET_SECONDS_A_MILLION),
            "cost": cost,
        },
        {
            "metric": "import.seconds_a_million",
            "value": round(work.seconds / rows * 1_000_000, 1),
            "unit": "s",
            "better": "lower",
            "target": TARGET_SECONDS_A_MILLION,
            "cost": cost,
        },
    ]
