"""The whole way of a lead on a fresh `switchboard up`: recognised, routed, its flow started, its mail at the server.

First the way of single signals at several rates, by the clock: from the moment a signal is due to be posted until the
mail server reads MAIL FROM. Then a backlog, a queue after the other, each for as fast as it goes by itself.
"""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from bench import limits
from bench.open_loop import OpenLoop, post_at_rate, post_in_turn
from bench.probes import Work, measured
from bench.results import Figure
from bench.sink import Mail, Sink
from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint, find_running
from switchboard.routing import rotas
from switchboard.routing import service as routing
from tests.processes import PROGRAM, Product, eventually, running

FLOW = """
flow: bench
title: Bench
subject: lead
starts:
  - on: lead.created
steps:
  - send: request_received
    purpose: transactional
"""
COLLEAGUES = 3
RATES = (100, 500, 1_000, 2_000)
# What the targets are set for.
TARGET_RATE = 1_000
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
TARGETS = {"p50": 5.0, "p99": 25.0}
# Where one lead in a hundred waits longer than this, more come in than go out.
PILED_UP_MILLISECONDS = 1_000.0
ROWS_A_REQUEST = 1_000
# A backlog of so many signals for each second of the run.
SIGNALS_A_SECOND = 2_000
LIMIT_SECONDS = 180.0
WARM_UP = 40
# Numbers of leads: so far apart that no two parts of a run share one.
APART = 500_000
BACKLOG_FROM = 3_000_000


@dataclass(frozen=True, slots=True)
class _Bench:
    """The running product, its source's address, the mail server, and a look into the database."""

    product: Product
    url: str
    sink: Sink
    database: psycopg.Connection[Any]
    superuser_url: str

    def ask(self, sql: str) -> Any:  # noqa: ANN401 the caller knows the column
        row = self.database.execute(sql.encode()).fetchone()
        return None if row is None else row[0]


def run(seconds: float, *, rates: Sequence[int] = RATES) -> list[Figure]:
    """Latency at these rates a second, then queue by queue; fails when a lead, an owner, a run or a mail is missing."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, Sink() as sink:
        home = Path(folder)
        # The queues are worked by processes of our own, so that a backlog can wait for its turn.
        with running(home, RUN_QUEUE_CONSUMERS="false", **mail_settings(sink.port)) as product:
            endpoint = find_running(home)
            assert endpoint is not None, "the embedded Postgres is not running"
            superuser_url = endpoint.superuser_url
            with psycopg.connect(superuser_url, autocommit=True) as database:
                bench = _Bench(product, _furnish(product, endpoint), sink, database, superuser_url)
                figures = _latencies(bench, seconds, rates) + _rates(bench, seconds)
            known = {
                **limits.measure_commits(superuser_url, seconds / 4),
                **limits.measure_disk(home, seconds / 4),
                **limits.measure_notice(superuser_url),
                **limits.measure_mail(sink, seconds / 4),
                "load average": os.getloadavg()[0],
            }
    shown = {name: round(value, 2) for name, value in known.items()}
    return [Figure(**figure, limits=shown if place == 0 else {}) for place, figure in enumerate(figures)]


def mail_settings(port: int) -> dict[str, str]:
    return {
        "EMAIL_PROVIDER": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_SECURITY": "none",
        "SMTP_FROM": "desk@bench.example",
        "LOG_LEVEL": "warning",
    }


def _furnish(product: Product, endpoint: Endpoint) -> str:
    """Colleagues in the rota, the flow, and a source; returns its address."""
    asyncio.run(_add_colleagues(endpoint.application_url))
    file = product.home / "bench.yaml"
    file.write_text(FLOW)
    product.command("flow", "apply", str(file), "--activate")
    return str(product.json_command("source", "create", "--name", "Bench", "--format", "generic")["url"])


async def _add_colleagues(application_url: str) -> None:
    database = Database(application_url, build_hub(), max_connections=2)
    await database.open()
    async with database.directory() as tx:
        (workspace_id,) = await accounts.list_workspace_ids(tx)
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        (rota,) = await routing.list_rotas(tx)
        for number in range(COLLEAGUES):
            email = f"colleague{number}@bench.example"
            user_id = await accounts.create_member(
                tx, caller, email=email, name=email, password=secrets.token_urlsafe(12), role="agent"
            )
            await rotas.set_member(tx, caller, rota.id, user_id)
    await database.close()


def _latencies(bench: _Bench, seconds: float, rates: Sequence[int]) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    with working(bench.product) as worker:
        _travel(bench, 0, WARM_UP, 20)
        for part, rate in enumerate(rates, 1):
            with measured(bench.superuser_url, app=[bench.product.process.pid, worker]) as work:
                load, mails = _travel(bench, part * APART, round(rate * seconds), rate)
            figures += _latency(rate, load, mails, work)
    return [*figures, _fastest_kept_up_with(figures, rates)]


def _fastest_kept_up_with(figures: Sequence[dict[str, Any]], rates: Sequence[int]) -> dict[str, Any]:
    """The highest rate whose leads do not pile up; 0 where they do at each."""
    p99 = {figure["metric"]: figure["value"] for figure in figures}
    kept_up = [rate for rate in rates if p99[f"path.latency_at_{rate}.p99"] <= PILED_UP_MILLISECONDS]
    return _per_second("path.keeps_up_with", max(kept_up, default=0), TARGET_RATE)


def _latency(rate: int, load: OpenLoop, mails: Sequence[float], work: Work) -> list[dict[str, Any]]:
    delays = sorted((mails[number] - due) * 1000 for number, due in enumerate(load.due))
    acknowledged = sorted((done - due) * 1000 for due, done in zip(load.due, load.answered, strict=True))
    name = f"path.latency_at_{rate}"
    targets = TARGETS if rate == TARGET_RATE else {}
    figures = [
        _milliseconds(f"{name}.{percentile}", delays, share, targets.get(percentile))
        for percentile, share in PERCENTILES.items()
    ]
    figures[0]["cost"] = work.per(len(mails))
    return [*figures, _milliseconds(f"{name}.acknowledged.p99", acknowledged, 0.99, None)]


def _travel(bench: _Bench, first: int, count: int, rate: float) -> tuple[OpenLoop, list[float]]:
    """Post leads one by one, and wait for their mails; when each mail began, in the order of the leads."""
    numbers = range(first, first + count)
    load = uvloop.run(post_at_rate(bench.url, [_lead(number) for number in numbers], rate))
    assert not load.refused, f"{load.refused} signals were refused"
    mails = _gather(bench.sink, count)
    began = {mail.recipient: mail.at for mail in mails}
    assert len(mails) == count, f"{len(mails)} mails for {count} leads"
    return load, [began[_address(number)] for number in numbers]


def _gather(sink: Sink, count: int) -> list[Mail]:
    mails: list[Mail] = []

    def look() -> bool:
        mails.extend(sink.take())
        return len(mails) >= count

    eventually(look, seconds=LIMIT_SECONDS, what=f"{count} mails")
    return mails


def _rates(bench: _Bench, seconds: float) -> list[dict[str, Any]]:
    """A backlog through the queues one after the other: what each does in a second with the machine to itself."""
    count = round(SIGNALS_A_SECOND * seconds)
    before = _counts(bench)
    leads = [_lead(number) for number in range(BACKLOG_FROM, BACKLOG_FROM + count)]
    bodies = [b"[" + b",".join(leads[at : at + ROWS_A_REQUEST]) + b"]" for at in range(0, count, ROWS_A_REQUEST)]
    assert not uvloop.run(post_in_turn(bench.url, bodies)), "signals were refused"
    recognising = _drain(bench, "signals", "SELECT min(at) FROM app.signal_outcome", "SELECT FROM app.signal_due")
    made = {name: number - before[name] for name, number in _counts(bench).items()}
    assert made == dict.fromkeys(made, count), made
    stepping = _drain(bench, "steps", "SELECT min(ended_at) FROM app.run_ended", "SELECT FROM app.run")
    assert bench.ask("SELECT count(*) FROM app.outbox") == count
    return [
        _per_second("path.recognised_routed_started", count / recognising, 5_000),
        _per_second("path.steps_with_a_message", count / stepping, 20_000),
        _per_second("path.delivered_over_smtp", _delivering(bench, seconds), 3_000),
    ]


def _counts(bench: _Bench) -> dict[str, int]:
    return {
        "contacts": bench.ask("SELECT count(*) FROM app.contact"),
        "leads": bench.ask("SELECT count(*) FROM app.lead"),
        "owned leads": bench.ask("SELECT count(*) FROM app.lead WHERE owner_id IS NOT NULL"),
        "assignments": bench.ask("SELECT count(*) FROM app.assignment"),
        "runs": bench.ask("SELECT (SELECT count(*) FROM app.run) + (SELECT count(*) FROM app.run_ended)"),
    }


def _drain(bench: _Bench, queue: str, first: str, left: str) -> float:
    """Work one queue until nothing of it is left; seconds from the start of its first batch."""
    since = bench.ask("SELECT now()")
    column = first.partition("(")[2].partition(")")[0]
    with working(bench.product, queue):
        eventually(lambda: not bench.ask(f"SELECT EXISTS ({left})"), seconds=LIMIT_SECONDS, what=f"the end of {queue}")
        ended = bench.ask("SELECT clock_timestamp()")
    began = bench.ask(f"{first} WHERE {column} > '{since.isoformat()}'")
    return float((ended - began).total_seconds())


def _delivering(bench: _Bench, seconds: float) -> float:
    """Mails a second at the server, for `seconds` or until all are out; what it has taken is noted as sent."""
    sent_before = bench.ask("SELECT count(*) FROM app.message WHERE state = 'sent'")
    with working(bench.product, "outbox"):
        eventually(lambda: bench.ask("SELECT count(*) FROM app.message WHERE state = 'sent'") > sent_before)
        until = time.monotonic() + seconds
        eventually(
            lambda: time.monotonic() > until or not bench.ask("SELECT EXISTS (SELECT FROM app.outbox)"),
            seconds=seconds + 10,
        )
    mails = bench.sink.take()
    assert len(mails) == len({mail.recipient for mail in mails}), "a mail came twice"
    assert len(mails) == bench.ask("SELECT count(*) FROM app.message WHERE state = 'sent'") - sent_before
    times = [mail.at for mail in mails]
    return (len(times) - 1) / (max(times) - min(times))


@contextmanager
def working(product: Product, *queues: str) -> Iterator[int]:
    """`switchboard work` beside the product, for these queues or for all; gives the process's id."""
    command = [*PROGRAM, "work", *(["--queues", ",".join(queues)] if queues else [])]
    process = subprocess.Popen(command, env=dict(product.environment), stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, "the worker failed"


def _lead(number: int) -> bytes:
    """Somebody new, with an address and a phone number that nobody else has."""
    lead = {
        "name": f"Ada Lovelace {number}",
        "email": _address(number),
        "phone": f"+1415{2_000_000 + number}",
        "company": "Analytical Engines",
        "message": "Please call me about the large one.",
    }
    return json.dumps(lead).encode()


def _address(number: int) -> str:
    return f"ada{number}@x.example"


def _per_second(metric: str, value: float, target: float) -> dict[str, Any]:
    return {"metric": metric, "value": round(value), "unit": "1/s", "better": "higher", "target": target}


def _milliseconds(metric: str, ordered: Sequence[float], share: float, target: float | None) -> dict[str, Any]:
    value = round(ordered[int(len(ordered) * share)], 2)
    return {"metric": metric, "value": value, "unit": "ms", "better": "lower", "target": target}
