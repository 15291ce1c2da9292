"""Recognition by itself: from committed signals to contacts, leads with owners, and runs that have begun.

Three crowds: people nobody has seen, the same people once more, and new ones who each come twice. Then lone leads, one
after the other, for what one costs that shares its batch with nobody.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import uuid4

import psycopg

from bench import limits
from bench.desk import furnish
from bench.fresh import fresh_server, open_database, run_as_worker
from bench.probes import Work, measured
from bench.results import Figure
from switchboard.intake.models import NewSignal, Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.intake.repository import insert_signals
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.embedded import Endpoint
from switchboard.kernel.ids import new_id

# So many signals of each crowd for each second of the run.
SIGNALS_A_SECOND = 2_000
SIGNALS_IN_FULL = 1_000_000
SLICE = 500
LONE = 100
WARM_UP = 1_000
WINDOW_SECONDS = 3_600
TARGET = 5_000


def run(seconds: float, *, rows: int | None = None, full: bool = False) -> list[Figure]:
    """Each crowd has `rows` signals; fails unless every one has become what it should."""
    count = rows or (SIGNALS_IN_FULL if full else round(SIGNALS_A_SECOND * seconds))
    with fresh_server() as endpoint:
        figures = run_as_worker(_measure(endpoint, count))
        known = limits.measure_commits(endpoint.superuser_url, seconds / 4)
    shown = {name: round(value) for name, value in known.items()}
    return [Figure(**figure, limits=shown) for figure in figures]


async def _measure(endpoint: Endpoint, count: int) -> list[dict[str, Any]]:
    async with open_database(endpoint) as database:
        source = await furnish(database)
        await _recognise(endpoint, database, source, range(10 * count, 10 * count + WARM_UP))
        new = await _recognise(endpoint, database, source, range(count))
        _require(endpoint, count + WARM_UP)
        returning = await _recognise(endpoint, database, source, range(count))
        twice = await _recognise(endpoint, database, source, [count + number // 2 for number in range(count)])
        _require(endpoint, count + WARM_UP + (count + 1) // 2)
        statements, lone = await _lone_leads(endpoint, database, source, 20 * count)
    return [
        _per_second("recognise.new_people", count, new, TARGET),
        _per_second("recognise.returning_people", count, returning, None),
        _per_second("recognise.half_duplicates", count, twice, None),
        {
            "metric": "recognise.lone_lead",
            "value": round((lone.app_seconds + lone.postgres_seconds) / LONE * 1e3, 2),
            "unit": "ms of processor",
            "better": "lower",
            "cost": lone.per(LONE),
        },
        {"metric": "recognise.lone_lead.statements", "value": statements, "unit": "statements", "better": "lower"},
    ]


async def _recognise(endpoint: Endpoint, database: Database, source: Source, people: Iterable[int]) -> Work:
    await _store(database, source, people)
    with measured(endpoint.superuser_url) as work:
        await _drain(RecognitionLoop(database))
    return work


async def _lone_leads(endpoint: Endpoint, database: Database, source: Source, first: int) -> tuple[int, Work]:
    """Leads that are alone in their batch: how many statements one takes, and what they all cost."""
    await _store(database, source, [first])
    with recorded_queries() as statements:
        await RecognitionLoop(database).tick()
    await _store(database, source, range(first + 1, first + 1 + LONE))
    with measured(endpoint.superuser_url) as work:
        await _drain(RecognitionLoop(database, most_signals=1))
    return len(statements), work


async def _store(database: Database, source: Source, people: Iterable[int]) -> None:
    """Signals as intake commits them."""
    waiting = iter(people)
    while part := list(islice(waiting, SLICE)):
        async with database.transaction(source.workspace_id) as tx:
            await insert_signals(tx, [_signal(source, number) for number in part])


async def _drain(loop: RecognitionLoop) -> None:
    while (await loop.tick()).has_more:
        pass


def _signal(source: Source, number: int) -> NewSignal:
    return NewSignal(new_id(), source.workspace_id, source.id, uuid4(), WINDOW_SECONDS, json.dumps(person(number)))


def person(number: int) -> dict[str, str]:
    """Somebody with an address and a phone number that no other number has."""
    return {
        "name": f"Ada Lovelace {number}",
        "email": f"ada{number}@x.example",
        "phone": f"+1{4_152_000_000 + number}",
        "company": f"Analytical Engines {number % 5_000}",
        "message": "Please call me about the large one.",
    }


def _require(endpoint: Endpoint, people: int) -> None:
    """Everybody is a contact with one lead that has an owner, and a run.

    Two batches side by side may share a few signals out so that one has no more than take their first steps at once.
    """
    sql = """
        SELECT (SELECT count(*) FROM app.contact), (SELECT count(*) FROM app.lead WHERE owner_id IS NOT NULL),
               (SELECT count(*) FROM app.assignment),
               (SELECT count(*) FROM app.run) + (SELECT count(*) FROM app.run_ended),
               (SELECT count(*) FROM app.signal_due)
    """
    with psycopg.connect(endpoint.superuser_url) as connection:
        found = connection.execute(sql.encode()).fetchone()
    assert found == (people, people, people, people, 0), f"{found} for {people} people"


def _per_second(metric: str, count: int, work: Work, target: float | None) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": round(count / work.seconds),
        "unit": "1/s",
        "better": "higher",
        "target": target,
        "cost": work.per(count),
    }
