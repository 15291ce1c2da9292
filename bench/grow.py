"""Whether an item costs more as the tables grow: each hot path at growing sizes, in processor microseconds.

The same loops as in production, in this process, over tables that hold so many people, leads, messages, signals, keys,
sleeping runs and waiting messages: a server for each size. What filling has left to do, vacuum, statistics and a
checkpoint, is done before, and the system has read the indexes. A page that an item is the first to touch since then
goes to the log as a whole, as after any checkpoint of a busy day. The sizes take turns, and the least of some rounds
counts: whatever else the machine does meets all of them alike. The time is that of the application and of Postgres
together.

Beyond a million people, what stands in queues grows further by itself: signals, keys, runs and waiting messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg

from bench.fresh import add_workspace, fresh_server, open_database
from bench.probes import Work, find_server_pid, measured
from bench.results import Figure
from bench.seeding import add_people, without_indexes
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
# A person with all that belongs to them is 6 KB; what lies in queues is a tenth of it, and grows further.
MOST_PEOPLE = 1_000_000
PATHS_OF_QUEUES = ("intake", "step", "deliver")
ITEMS = 4_000
ROUNDS = 4
PAGES = 100
SLICE = 500
NAMES = (
    "Amelia Bennettcason",
    "Noah Nakamura",
    "Leila Okaforbeson",
    "Mateo Schmidteason",
    "Yuki Haddadzzson",
    "Priya Tanaka",
)
FILLED_AT_ONCE = 50_000
FLOW = "flow: grow\ntitle: Grow\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n  - wait: 1s\n  - wait: 30d\n"

# Indexes of these tables are made when they are full.
_FILLED = ("run", "outbox")
_FILLING = Path(__file__).with_name("grow.sql").read_bytes()


@dataclass(frozen=True, slots=True)
class Spent:
    """What so many items took."""

    work: Work
    items: int

    @property
    def microseconds(self) -> float:
        """Of the processor, for one of them."""
        return (self.work.app_seconds + self.work.postgres_seconds) / self.items * 1e6


@dataclass(slots=True)
class _Bench:
    """A database of one size, its loops by name, and how many signals were made since it was filled."""

    endpoint: Endpoint
    database: Database
    loops: Mapping[str, Loop]
    workspace_id: UUID
    source_id: UUID
    flow_id: UUID
    items: int
    size: int
    server_pid: int
    made: int = 0

    @property
    def people(self) -> int:
        """How many of them are in it."""
        return min(self.size, MOST_PEOPLE)


def run(
    _seconds: float, *, full: bool = False, sizes: Sequence[int] = (), items: int = ITEMS, rounds: int = ROUNDS
) -> list[Figure]:
    """Each path at each size. A size takes as long as it takes: there is no clock in it."""
    chosen = sizes or (SIZES_IN_FULL if full else SIZES)
    with ExitStack() as stack, Sink() as sink:
        servers = [(size, stack.enter_context(fresh_server())) for size in chosen]
        spent = asyncio.run(_measure(servers, sink, items, rounds))
    return [figure for path in spent[0][0] for figure in _figures(path, chosen, spent)]


def _figures(path: str, sizes: Sequence[int], rounds: Sequence[Sequence[Mapping[str, Spent]]]) -> Iterator[Figure]:
    """One for each size, held against the smallest."""
    by_size = ([spent[path] for spent in turns] for turns in zip(*rounds, strict=True))
    least = [min(spents, key=lambda one: one.microseconds) for spents in by_size]
    for place, (size, spent) in enumerate(zip(sizes, least, strict=True)):
        if size > MOST_PEOPLE and path not in PATHS_OF_QUEUES:
            continue
        target = round(least[0].microseconds * MOST_GROWTH, 1) if place else None
        value = round(spent.microseconds, 1)
        yield Figure(f"grow.{path}.{size}", value, "us", "lower", target, cost=spent.work.per(spent.items))


async def _measure(
    servers: Sequence[tuple[int, Endpoint]], sink: Sink, items: int, rounds: int
) -> Sequence[Sequence[Mapping[str, Spent]]]:
    """What each path took, by round and size."""
    async with AsyncExitStack() as stack:
        benches = []
        for size, endpoint in servers:
            database = await stack.enter_async_context(open_database(endpoint))
            benches.append(await _furnish(endpoint, database, sink, items, size))
        for bench in benches:
            await asyncio.to_thread(_fill, bench)
        apart = [sink.pid, *(bench.server_pid for bench in benches)]
        # Whatever is done for the first time costs more than it ever will again: one round does not count.
        spent = [[await _work_all(bench, apart) for bench in benches] for _ in range(1 + rounds)]
        for bench in benches:
            for loop in bench.loops.values():
                if isinstance(loop, Closeable):
                    await loop.close()
    return spent[1:]


async def _furnish(endpoint: Endpoint, database: Database, sink: Sink, items: int, size: int) -> _Bench:
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
    pid = find_server_pid(endpoint.superuser_url)
    return _Bench(endpoint, database, loops, workspace_id, source.id, flow.id, items, size, pid)


def _fill(bench: _Bench) -> None:
    given = {"workspace": bench.workspace_id, "source": bench.source_id, "flow": bench.flow_id, "size": bench.size}
    with psycopg.connect(bench.endpoint.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        with without_indexes(connection, _FILLED):
            for first in range(1, bench.size + 1, FILLED_AT_ONCE):
                last = min(first + FILLED_AT_ONCE - 1, bench.size)
                connection.execute(_FILLING, {**given, "first": first, "last": last})
    url = bench.endpoint.superuser_url
    add_people(url, bench.workspace_id, bench.source_id, first=1, last=bench.people, messages=1)
    _warm(url)


def _warm(url: str) -> None:
    """Have the system remember all indexes, as it does where they are worked with all day; for a superuser."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        connection.execute(
            """
            SELECT pg_prewarm(c.oid, 'read') FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
            WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'i'
            """
        )


async def _work_all(bench: _Bench, apart: Sequence[int]) -> Mapping[str, Spent]:
    """Every path once; `apart` are the processes beside it."""
    signals = [_signal(bench, number) for number in range(bench.items)]
    spent = {}

    async def work(path: str, items: int, do: Callable[[], Awaitable[int]]) -> None:
        with measured(bench.endpoint.superuser_url, apart=apart, settle_seconds=0.0) as done:
            assert await do() == items, f"{path}: not all of {items} were done"
        spent[path] = Spent(done, items)

    await work("intake", bench.items, lambda: _take_in(bench, signals))
    await work("recognise", bench.items, lambda: _drain(bench, "signals"))
    await _add_due_runs(bench)
    await work("step", bench.items, lambda: _drain(bench, "steps"))
    await _queue_messages(bench)
    await work("deliver", bench.items, lambda: _drain(bench, "outbox"))
    await work("leads_page", PAGES, lambda: _list_leads(bench))
    await work("contacts_page", PAGES, lambda: _list_contacts(bench))
    return spent


def _signal(bench: _Bench, number: int) -> NewSignal:
    """Every other one is of somebody who is in it already; the others tell as much of themselves as those did.

    Shorter rows than those that are there would each go to an old page, wherever one has so much room left.
    """
    bench.made += 1
    made = bench.made
    said = {"email": f"person{1 + made * 7 % bench.people}@bench.example", "name": "Amelia Bennett"}
    if number % 2 == 0:
        said = {"email": f"newcomer{made}@bench.example", "phone": f"+4930{10_000_000 + made}"}
        said |= {
            "name": NAMES[made % len(NAMES)],
            "company": f"Company {made % 20_000}",
            "message": "I would like 42 seats",
        }
    payload = msgspec.json.encode(said).decode()
    # Keys are digests: no order in which they come is like that in which they lie.
    return NewSignal(new_id(), bench.workspace_id, bench.source_id, uuid4(), 86_400, payload)


async def _take_in(bench: _Bench, signals: Sequence[NewSignal]) -> int:
    batcher = Batcher(bench.database, most_waiting=len(signals))
    batcher.start()
    taken = 0
    for start in range(0, len(signals), SLICE):
        answers = await batcher.accept(signals[start : start + SLICE])
        taken += sum(not answer.is_duplicate for answer in answers)
    await batcher.stop()
    return taken


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
