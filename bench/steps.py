"""Steps of flows a second, with the real stepper on a Postgres of its own: bare waits, and steps that write a message.

A step is done when the run has left it: its history, its count, its event and the run's new place are committed. The
same is measured while somebody else holds an old snapshot, beside millions of sleeping runs, and, by the clock, how
late single steps are at a steady rate.
"""

import asyncio
import bisect
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg

from bench import limits
from bench.fresh import add_workspace, fresh_server, open_database, run_as_worker
from bench.probes import Work, measured
from bench.results import Figure
from bench.seeding import Connection, settle, without_indexes
from switchboard.accounts.models import system_caller
from switchboard.entrypoints.assembly import subject_kinds
from switchboard.flows import service as flows
from switchboard.flows.stepper import StepLoop
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint

RUNS, RUNS_IN_FULL = 100_000, 1_000_000
SLEEPING_IN_FULL = 10_000_000
HELD_SECONDS, HELD_SECONDS_IN_FULL = 30.0, 600.0
BARE_TARGET, MESSAGE_TARGET, KEPT_TARGET, LATE_TARGET = 50_000, 20_000, 60, 100
LEAST_SPAN_SECONDS = 2.0
RATE = 2_000
SLICE = 50_000
LETTERS = 20

WAITS = "flow: waits\ntitle: Waits\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n" + "  - wait: 1s\n" * 190
SENDS = "flow: sends\ntitle: Sends\nsubject: contact\nstarts: [lead.stage_changed]\nsteps:\n" + (
    "  - send: bench\n    channel: email\n  - wait: 1s\n" * LETTERS
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The database, a stepper, and a look behind the row security."""

    database: Database
    endpoint: Endpoint
    loop: StepLoop
    workspace_id: UUID

    def ask(self, sql: str, *given: object) -> Any:  # noqa: ANN401 each caller knows its column
        """The first column of the first row."""
        with psycopg.connect(self.endpoint.superuser_url, autocommit=True) as connection:
            row = connection.execute(sql.encode(), given).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, *given: object) -> None:
        """One statement as the superuser, in a transaction of its own."""
        with psycopg.connect(self.endpoint.superuser_url, autocommit=True) as connection:
            connection.execute(sql.encode(), given)

    @contextmanager
    def filling(self, *tables: str) -> Iterator[Connection]:
        """For many rows at once: indexes of these tables are made after the block, then all comes to rest."""
        with psycopg.connect(self.endpoint.superuser_url, autocommit=True) as connection:
            with without_indexes(connection, tables):
                yield connection
            settle(connection)

    async def add_flow(self, source: str) -> UUID:
        """A flow that is active."""
        caller = system_caller(self.workspace_id)
        async with self.database.transaction(self.workspace_id) as tx:
            flow = await flows.save_flow(tx, caller, source, subject_kinds())
            await flows.activate(tx, caller, flow.id, subject_kinds())
        return flow.id

    def add_runs(self, flow_id: UUID, runs: int, *, due: str = "'0'", phase: str = "ready") -> None:
        """Contacts from the first one on, each in the flow; `due` is SQL for when after now, `n` being its number."""
        for first in range(0, runs, SLICE):
            self.run(
                f"""
                INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, phase,
                                     due_at, started_at)
                SELECT app.uuid7(), c.workspace_id, %s, 1, 'contact', c.id, c.id, %s, moment.at, moment.at
                FROM (SELECT *, substr(name, 2)::integer AS n FROM app.contact) AS c,
                     LATERAL (SELECT now() + ({due})::interval) AS moment (at)
                WHERE c.n >= %s AND c.n < %s
                """,
                flow_id,
                phase,
                first,
                min(first + SLICE, runs),
            )
        self.run("VACUUM (ANALYZE) app.run")

    def add_people(self, people: int) -> None:
        """Contacts with an address each, and the letter that flows send."""
        with self.filling("contact", "identity") as connection:
            for first in range(0, people, SLICE):
                connection.execute(
                    """
                    WITH person AS (
                        INSERT INTO app.contact (id, workspace_id, name)
                        SELECT app.uuid7(), %s, 'p' || n FROM generate_series(%s::integer, %s::integer) AS n
                        RETURNING id, workspace_id, name
                    ), mail AS (SELECT *, name || '@x.example' AS address FROM person)
                    INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw)
                    SELECT app.uuid7(), workspace_id, id, 'email', address, address FROM mail
                    """,
                    (self.workspace_id, first, min(first + SLICE, people) - 1),
                )
        self.run(
            """
            WITH letter AS (
                INSERT INTO app.template (id, workspace_id, name, purpose)
                VALUES (app.uuid7(), %s, 'bench', 'marketing') RETURNING id, workspace_id
            )
            INSERT INTO app.template_version (template_id, version, workspace_id, subject, body)
            SELECT id, 1, workspace_id, 'Hello', '<mjml><mj-body></mj-body></mjml>' FROM letter
            """,
            self.workspace_id,
        )
        self.run("ANALYZE")

    def steps_done(self) -> int:
        """Steps that runs have left."""
        done = self.ask("SELECT coalesce(sum(runs), 0)::bigint FROM app.flow_tally WHERE step >= 0")
        assert isinstance(done, int)
        return done

    def clear(self) -> None:
        """Nobody is in a flow, and nothing waits to go out."""
        self.run(
            "TRUNCATE app.run, app.run_step, app.run_ended, app.flow_tally, app.message, app.outbox, app.event CASCADE"
        )


def run(seconds: float, *, full: bool = False, rows: int | None = None, sleeping: int = 0) -> list[Figure]:
    """All figures; `full` is a million runs, ten million sleeping ones and a snapshot held for ten minutes."""
    runs = rows or (RUNS_IN_FULL if full else RUNS)
    with fresh_server() as endpoint:
        return run_as_worker(_measure(endpoint, seconds, runs, sleeping or SLEEPING_IN_FULL * full, full=full))


async def _measure(endpoint: Endpoint, seconds: float, runs: int, sleeping: int, *, full: bool) -> list[Figure]:
    async with ready(endpoint, max(runs, int(RATE * seconds))) as bench:
        commits = await asyncio.to_thread(limits.measure_commits, endpoint.superuser_url, min(seconds, 2.0))
        held = HELD_SECONDS_IN_FULL if full else min(HELD_SECONDS, seconds * 3)
        figures = [await bare(bench, seconds, runs), await kept(bench, held), await with_messages(bench, seconds, runs)]
        figures += await lateness(bench, seconds, sleeping=0)
        if sleeping:
            figures += await lateness(bench, seconds, sleeping=sleeping)
            figures.append(await beside_sleeping(bench, seconds, min(runs, RUNS), sleeping))
    return [replace(figure, limits=commits) for figure in figures]


@asynccontextmanager
async def ready(endpoint: Endpoint, people: int) -> AsyncIterator[Bench]:
    """So many people in a workspace, and a stepper."""
    async with open_database(endpoint) as database:
        bench = Bench(database, endpoint, StepLoop(database, subject_kinds()), await add_workspace(database))
        await asyncio.to_thread(bench.add_people, people)
        yield bench


async def bare(bench: Bench, seconds: float, runs: int) -> Figure:
    """Runs that wait, one wait after the other."""
    flow_id = await bench.add_flow(WAITS)
    await asyncio.to_thread(bench.add_runs, flow_id, runs, phase="waiting")
    steps, work = await _step(bench, seconds)
    return _per_second("steps.bare", steps / work.seconds, BARE_TARGET, work.per(steps) | {"runs": runs})


async def kept(bench: Bench, seconds: float) -> Figure:
    """The share of the speed that is kept at the end of a time in which somebody holds a snapshot."""
    # Every run waits for a second: whoever looks for less may find all of them at rest.
    span = max(min(seconds / 4, 10.0), LEAST_SPAN_SECONDS)
    before, _ = await _step(bench, span)
    with psycopg.connect(bench.endpoint.superuser_url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM app.flow")
        await _step(bench, max(seconds - span, 0.0))
        during, work = await _step(bench, span)
    share = round(100 * during / before, 1)
    cost = work.per(during) | {"seconds_held": seconds, "steps_per_second": round(during / work.seconds)}
    return Figure("steps.kept_with_a_snapshot_held", share, "%", "higher", KEPT_TARGET, cost=cost)


async def with_messages(bench: Bench, seconds: float, runs: int) -> Figure:
    """Runs that send a letter and wait, again and again; what is counted are the letters in the outbox."""
    await asyncio.to_thread(bench.clear)
    flow_id = await bench.add_flow(SENDS)
    await asyncio.to_thread(bench.add_runs, flow_id, runs)
    _, work = await _step(bench, seconds)
    messages = bench.ask("SELECT count(*) FROM app.outbox")
    cost = work.per(messages) | {"runs": runs}
    return _per_second("steps.with_a_message", messages / work.seconds, MESSAGE_TARGET, cost)


async def beside_sleeping(bench: Bench, seconds: float, runs: int, sleeping: int) -> Figure:
    """The same as `bare`, among those that sleep since `lateness`; Postgres may clear up in between as it likes."""
    flow_id = await bench.add_flow(WAITS.replace("waits", "awake"))
    await asyncio.to_thread(bench.add_runs, flow_id, runs, phase="waiting")
    steps, work = await _step(bench, seconds)
    cost = work.per(steps) | {"runs": runs, "sleeping": sleeping}
    return _per_second("steps.bare_beside_sleeping_runs", steps / work.seconds, BARE_TARGET, cost)


async def _step(bench: Bench, seconds: float) -> tuple[int, Work]:
    """Tick as fast as it goes; returns the steps done and what they cost."""
    before = await asyncio.to_thread(bench.steps_done)
    with measured(bench.endpoint.superuser_url, settle_seconds=0.0) as work:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            tick = await bench.loop.tick()
            if not tick.handled:
                await asyncio.sleep(0.005)
    done = await asyncio.to_thread(bench.steps_done)
    return done - before, work


async def lateness(bench: Bench, seconds: float, *, sleeping: int) -> list[Figure]:
    """Runs become due one after the other at a steady rate; from then until their step is committed."""
    await asyncio.to_thread(bench.clear)
    flow_id = await bench.add_flow(WAITS.replace("waits", "late").replace("1s", "1d"))
    if sleeping:
        await asyncio.to_thread(_add_sleeping, bench, flow_id, sleeping)
    due = int(RATE * seconds)
    # Nobody is due before all are in and Postgres has looked through the table once more, which grows with it.
    lead = 2 + sleeping // 500_000
    await asyncio.to_thread(bench.add_runs, flow_id, due, due=f"'{lead} s'::interval + n * interval '1 s' / {RATE}")
    began = bench.ask("SELECT min(due_at) FROM app.run WHERE step = 0 AND due_at < now() + interval '1 hour'")
    ends, starts = await _tick_until(bench, seconds, began.timestamp())
    rows = await asyncio.to_thread(_lateness_of, bench, due)
    late = sorted(ends[min(bisect.bisect_right(starts, at) - 1, len(ends) - 1)] - moment for at, moment in rows)
    beside = "_beside_sleeping_runs" if sleeping else ""
    return [
        Figure(f"steps.lateness{beside} {name}", round(1000 * late[int(len(late) * share)], 2), "ms", "lower", target,
               cost={"due_per_second": RATE, "sleeping": sleeping})
        for name, share, target in (("p50", 0.5, None), ("p99", 0.99, LATE_TARGET))
    ]  # fmt: skip


async def _tick_until(bench: Bench, seconds: float, first_due: float) -> tuple[list[float], list[float]]:
    """When each tick ended and began, by the clock on the wall."""
    starts, ends = [], []
    is_idle = False
    while not is_idle or time.time() < first_due + seconds + 1.0:
        starts.append(time.time())
        tick = await bench.loop.tick()
        ends.append(time.time())
        is_idle = not tick.has_more
        if is_idle:
            await asyncio.sleep(0.005)
    return ends, starts


def _lateness_of(bench: Bench, due: int) -> list[tuple[float, float]]:
    """When the transaction of each run's first step began, and when it was due."""
    with psycopg.connect(bench.endpoint.superuser_url, autocommit=True) as connection:
        rows = connection.execute(
            """
            SELECT extract(epoch FROM s.at)::float8, extract(epoch FROM r.started_at)::float8
            FROM app.run_step s JOIN app.run r ON r.id = s.run_id WHERE s.revision = 0 AND s.step = 0
            """
        ).fetchall()
    assert len(rows) == due, f"{len(rows)} of {due} steps were done"
    return rows


def _add_sleeping(bench: Bench, flow_id: UUID, sleeping: int) -> None:
    """Runs of nobody we know, who are due in days."""
    with bench.filling("run") as connection:
        for first in range(0, sleeping, 10 * SLICE):
            connection.execute(
                """
                INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, phase,
                                     due_at)
                SELECT app.uuid7(), %s, %s, 1, 'contact', subject, subject, 'waiting',
                       now() + interval '1 day' * (1 + n %% 7)
                FROM (SELECT n, gen_random_uuid() AS subject FROM generate_series(1, %s::integer) AS n) AS new
                """,
                (bench.workspace_id, flow_id, min(10 * SLICE, sleeping - first)),
            )


def _per_second(metric: str, value: float, target: float, cost: dict[str, float]) -> Figure:
    return Figure(metric, round(value), "1/s", "higher", target, cost=cost)
