"""What this machine can do without us: write to its disk, commit to Postgres, and answer HTTP."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.http_sink import HttpSink
from bench.limits_requests import measure_requests
from bench.limits_rows import measure_rows
from bench.load import post
from bench.results import Figure
from bench.sink import Sink
from switchboard.kernel.embedded import EmbeddedPostgres
from switchboard.kernel.embedded_programs import get_programs
from tests.processes import eventually, free_port

PAGE = b"\0" * 8192
HTTP_CONNECTIONS = 64
SMTP_CONNECTIONS = 10
NOTICES = 200


def run(seconds: float) -> list[Figure]:
    """The limits by themselves, on a fresh database of their own."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, Sink() as mails, HttpSink() as provider:
        home = Path(folder)
        with EmbeddedPostgres(home) as endpoint:
            known = {
                **measure_disk(home, seconds),
                **measure_commits(endpoint.superuser_url, seconds),
                **measure_rows(endpoint.superuser_url, seconds),
                **measure_notice(endpoint.superuser_url),
            }
        known |= {**measure_http(seconds), **measure_mail(mails, seconds), **measure_requests(provider, seconds)}
    return [_figure(name, value) for name, value in known.items()]


def _figure(name: str, value: float) -> Figure:
    """A rate, unless the name ends with a unit of time: then less is better."""
    plain, _, unit = name.rpartition(", ")
    if unit in {"ms", "us"}:
        return Figure(f"limits.{plain}", round(value, 3), unit, "lower")
    return Figure(f"limits.{name}", round(value), "1/s", "higher")


def measure_disk(folder: Path, seconds: float) -> dict[str, float]:
    """fdatasync after each page written, one after the other."""
    done = 0
    with (folder / "synced").open("wb") as file:
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            os.pwrite(file.fileno(), PAGE, (done % 1024) * len(PAGE))
            os.fdatasync(file.fileno())
            done += 1
    return {"fdatasync": done / elapsed}


def measure_commits(superuser_url: str, seconds: float) -> dict[str, float]:
    """Single rows of the size of a signal, each in a commit of its own, by pgbench."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.bench_row (id bigserial PRIMARY KEY, payload json NOT NULL)")
        try:
            return {
                f"single-row commits, {clients} connections": _commits(superuser_url, clients, seconds)
                for clients in (1, 16)
            }
        finally:
            connection.execute("DROP TABLE public.bench_row")


def measure_notice(superuser_url: str) -> dict[str, float]:
    """From before a NOTIFY is sent until a listener on another connection has it; milliseconds."""
    times = []
    with (
        psycopg.connect(superuser_url, autocommit=True) as speaker,
        psycopg.connect(superuser_url, autocommit=True) as listener,
    ):
        listener.execute("LISTEN bench")
        for _ in range(NOTICES):
            began = time.perf_counter()
            speaker.execute("NOTIFY bench")
            heard = list(listener.notifies(timeout=5, stop_after=1))
            assert heard, "a notice was lost"
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"NOTIFY p50, ms": times[len(times) // 2], "NOTIFY p99, ms": times[int(len(times) * 0.99)]}


def measure_mail(sink: Sink, seconds: float) -> dict[str, float]:
    """Small mails a second that the benchmark's own mail server takes, from clients that do nothing else."""
    return {"mails, SMTP sink alone": asyncio.run(_mails_per_second(sink.port, seconds))}


async def _mails_per_second(port: int, seconds: float) -> float:
    until = time.perf_counter() + seconds

    async def one_connection() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        done = 0
        while time.perf_counter() < until:
            for command in (b"MAIL FROM:<a@x.example>", b"RCPT TO:<b@x.example>", b"DATA", b"Subject: Hello\r\n\r\n."):
                writer.write(command + b"\r\n")
                await reader.readline()
            done += 1
        writer.close()
        return done

    began = time.perf_counter()
    taken = sum(await asyncio.gather(*(one_connection() for _ in range(SMTP_CONNECTIONS))))
    return taken / (time.perf_counter() - began)


def measure_http(seconds: float) -> dict[str, float]:
    """An application that only reads the body, behind the same web server with the same settings."""
    with _empty_server() as url:
        load = post(url, connections=HTTP_CONNECTIONS, rows=1, seconds=seconds)
    return {"empty ASGI": load.taken_per_second}


def _commits(url: str, clients: int, seconds: float) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("""INSERT INTO public.bench_row (payload) VALUES ('{"email": "ada@x.example", "n": 1}');\n""")
        script.flush()
        program = get_programs(None).path("pgbench")
        options = ["-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds)))]
        done = subprocess.run(
            [program, *options, "-f", script.name, url],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


@contextmanager
def _empty_server() -> Iterator[str]:
    port = free_port()
    options = [
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "error",
    ]
    process = subprocess.Popen([sys.executable, "-m", "uvicorn", "bench.empty:app", "--lifespan", "off", *options])
    url = f"http://127.0.0.1:{port}/"
    try:
        eventually(lambda: _answers(url), what="the empty application")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.URLError:
        return False
