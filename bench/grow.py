"""Whether an item costs more as the tables grow: each hot path at growing sizes, in processor microseconds.

The same loops as in production, in this process, over tables that hold so many people, leads, messages, signals, keys,
sleeping runs and waiting messages. The time is that of the application and of Postgres together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg

from bench.fresh import add_workspace, fresh_server, open_database
from bench.probes import measured
from bench.results import Figure
from bench.seeding import add_people
from bench.sink import Sink
from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.delivery.models import Draft
from switchboard.delivery.service import queue_messages
from switchboard.entrypoints.assembly import build_loops, subject_kinds
from switchboard.flows import service as flows
from switchboard.intake import service as intake
from switchboard.intake.batcher import Batcher
from switchboard.intake.models import NewSignal
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import Closeable, Loop
from switchboard.kernel.settings import load_settings
from switchboard.leads import listing
from switchboard.leads.models import LeadFilter
from switchboard.people import service as people

SIZES = (10_000, 100_000)
SIZES_IN_FULL = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_GROWTH = 4 / 3
# So many items tell 10 ms of processor time, the finest the system counts, from nothing.
ITEMS = 4_000
# Taking in is so cheap that it needs more of them.
TAKEN_IN_FOR_EACH = 5
PAGES = 200
SLICE = 500
DAYS = 60.0
FLOW = "flow: grow\ntitle: Grow\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n  - wait: 1s\n  - wait: 30d\n"

_FILLING = Path(__file__).with_name("grow.sql").read_bytes()


@dataclass(slots=True)
class _Bench:
    """The database, its loops by name, and what is in it: how many people, and signals made since."""

    endpoint: Endpoint
    database: Database
    loops: Mapping[str, Loop]
    workspace_id: UUID
    source_id: UUID
    flow_id: UUID
    sink: Sink
    items: int
    people: int = 0
    made: int = 0
    costs: dict[str, list[float]] = field(default_factory=dict)


def run(_seconds: float, *, full: bool = False, sizes: Sequence[int] = (), items: int = ITEMS) -> list[Figure]:
    """Each path at each size. A size takes as long as it takes: there is no clock in it."""
    steps = sizes or (SIZES_IN_FULL if full else SIZES)
    with fresh_server() as endpoint, Sink() as sink:
        costs = asyncio.run(_measure(endpoint, sink, steps, items))
    return [
        Figure(
            f"grow.{path}.{size}", round(cost, 1), "us", "lower", round(taken[0] * MOST_GROWTH, 1) if place else None
        )
        for path, taken in costs.items()
        for place, (size, cost) in enumerate(zip(steps, taken, strict=True))
    ]


async def _measure(endpoint: Endpoint, sink: Sink, sizes: Sequence[int], items: int) -> Mapping[str, Sequence[float]]:
    async with open_database(endpoint) as database:
        bench = await _furnish(endpoint, database, sink, items)
        for place, size in enumerate(sizes):
            await asyncio.to_thread(_fill, bench, size, _period(place, len(sizes)))
            if place == 0:
                # Whatever is done for the first time costs more than it ever will again.
                await _measure_all(bench)
                bench.costs.clear()
            await _measure_all(bench)
        for loop in bench.loops.values():
            if isinstance(loop, Closeable):
                await loop.close()
    return bench.costs


async def _furnish(endpoint: Endpoint, database: Database, sink: Sink, items: int) -> _Bench:
    """A workspace with an owner, a source, and a flow whose runs mostly sleep."""
    workspace_id = await add_workspace(database)
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        await accounts.create_member(
            tx, caller, email="olga@bench.example", name="Olga", password=f"{new_id()}", role="owner"
        )
        source = await intake.create_source(tx, caller, name="Bench", format_name="generic")
        flow = await flows.save_flow(tx, caller, FLOW, subject_kinds())
        await flows.activate(tx, caller, flow.id, subject_kinds())
    settings = load_settings(
        {
            "EMAIL_PROVIDER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(sink.port),
            "SMTP_SECURITY": "none",
            "SMTP_FROM": "desk@bench.example",
            "SECRET_KEY": "a secret that guards nothing but a benchmark",
        }
    )
    loops = {loop.name: loop for loop in build_loops(settings, database)}
    return _Bench(endpoint, database, loops, workspace_id, source.id, flow.id, sink, items)


def _period(place: int, places: int) -> tuple[float, float]:
    """Who makes the tables larger came later, as in life: the newest rows lie together at every size."""
    return DAYS * (1 - place / places), DAYS * (1 - (place + 1) / places)


def _fill(bench: _Bench, size: int, days: tuple[float, float]) -> None:
    given = {"workspace": bench.workspace_id, "source": bench.source_id, "flow": bench.flow_id}
    first = bench.people + 1
    with psycopg.connect(bench.endpoint.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for start in range(first, size + 1, 100 * SLICE):
            connection.execute(_FILLING, {**given, "first": start, "last": min(start + 100 * SLICE - 1, size)})
    owner, workspace = bench.endpoint.superuser_url, bench.workspace_id
    add_people(owner, workspace, bench.source_id, first=first, last=size, messages=1, days=days)
    bench.people = size


async def _measure_all(bench: _Bench) -> None:
    signals = [_signal(bench, number) for number in range(bench.items * TAKEN_IN_FOR_EACH)]
    await _measure_one(bench, "intake", len(signals), lambda: _take_in(bench, signals))
    await asyncio.to_thread(_forget, bench, [signal.id for signal in signals[bench.items :]])
    await _measure_one(bench, "recognise", bench.items, lambda: _drain(bench, "signals"))
    await _add_due_runs(bench)
    await _measure_one(bench, "step", bench.items, lambda: _drain(bench, "steps"))
    await _queue_messages(bench)
    await _measure_one(bench, "deliver", bench.items, lambda: _drain(bench, "outbox"))
    await _measure_one(bench, "leads_page", PAGES, lambda: _list_leads(bench))
    await _measure_one(bench, "contacts_page", PAGES, lambda: _list_contacts(bench))


async def _measure_one(bench: _Bench, path: str, items: int, work: Callable[[], Awaitable[int]]) -> None:
    with measured(bench.endpoint.superuser_url, apart=[bench.sink.pid], settle_seconds=0.0) as spent:
        done = await work()
    assert done == items, f"{path}: {done} of {items} were done"
    bench.costs.setdefault(path, []).append((spent.app_seconds + spent.postgres_seconds) / items * 1e6)


def _signal(bench: _Bench, number: int) -> NewSignal:
    """Every other one is of somebody who is in it already."""
    bench.made += 1
    name = f"person{1 + bench.made * 7 % bench.people}" if number % 2 else f"newcomer{bench.made}"
    payload = msgspec.json.encode({"name": "Ada Lovelace", "email": f"{name}@bench.example"}).decode()
    return NewSignal(new_id(), bench.workspace_id, bench.source_id, new_id(), 86_400, payload)


async def _take_in(bench: _Bench, signals: Sequence[NewSignal]) -> int:
    batcher = Batcher(bench.database, most_waiting=len(signals))
    batcher.start()
    taken = 0
    for start in range(0, len(signals), SLICE):
        answers = await batcher.accept(signals[start : start + SLICE])
        taken += sum(not answer.is_duplicate for answer in answers)
    await batcher.stop()
    return taken


def _forget(bench: _Bench, signal_ids: list[UUID]) -> None:
    """Leave signals as they were taken in, unrecognised for good."""
    with psycopg.connect(bench.endpoint.superuser_url, autocommit=True) as connection:
        connection.execute("DELETE FROM app.signal_due WHERE signal_id = ANY(%s)", (signal_ids,))


async def _drain(bench: _Bench, queue: str) -> int:
    """Until nothing of what is due is left; what a tick reports again it has not done again."""
    loop, done = bench.loops[queue], 0
    while (tick := await loop.tick()).handled or tick.has_more:
        done += tick.handled
    return done


async def _add_due_runs(bench: _Bench) -> None:
    """Of people who are in no run yet, each about to leave its first step."""
    async with bench.database.transaction(bench.workspace_id) as tx:
        await tx.execute(
            """
            INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, phase,
                                 due_at)
            SELECT app.uuid7(), c.workspace_id, %(flow)s, 1, 'contact', c.id, c.id, 'waiting', now()
            FROM app.contact c
            WHERE c.workspace_id = %(workspace)s
              AND NOT EXISTS (SELECT FROM app.run r WHERE r.subject_id = c.id AND r.flow_id = %(flow)s)
            LIMIT %(items)s
            """,
            {"flow": bench.flow_id, "workspace": bench.workspace_id, "items": bench.items},
        )


async def _queue_messages(bench: _Bench) -> None:
    """Letters that neither a cap nor the night holds back."""
    async with bench.database.transaction(bench.workspace_id) as tx:
        chosen = await people.list_contacts(tx, system_caller(bench.workspace_id), limit=bench.items)
        drafts = [
            Draft(purpose="transactional", contact_id=contact.id, subject="Your quote", text="Here it is.")
            for contact in chosen
        ]
        assert len(await queue_messages(tx, drafts)) == bench.items


async def _list_leads(bench: _Bench) -> int:
    """The list's first page, and the one behind it."""
    caller, before = system_caller(bench.workspace_id), None
    for _ in range(PAGES):
        async with bench.database.transaction(bench.workspace_id) as tx:
            names = await listing.load_names(tx)
            page = await listing.list_leads(tx, caller, LeadFilter(), names, before=before)
            assert len(page.leads) == listing.PAGE_ROWS
        before = page.leads[-1].id if before is None else None
    return PAGES


async def _list_contacts(bench: _Bench) -> int:
    """The list's first page, and the one behind it."""
    caller, before = system_caller(bench.workspace_id), None
    for _ in range(PAGES):
        async with bench.database.transaction(bench.workspace_id) as tx:
            found = await people.list_contacts(tx, caller, before=before)
            assert len(found) == people.PAGE_ROWS
        before = found[-1].id if before is None else None
    return PAGES
