"""Load over HTTP: by wrk where Debian has installed it, else by a plain client of our own, which costs more CPU."""

import asyncio
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of load came to: answered requests, how many were refused or broke, and times in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def taken_per_second(self) -> float:
        """Requests that were answered with success, per second."""
        return (self.requests - self.refused) / self.seconds


def post(url: str, *, connections: int, rows: int, seconds: float) -> Load:
    """Post unique signals, `rows` a request, over so many connections."""
    if shutil.which("wrk"):
        return _post_by_wrk(url, connections, rows, seconds)
    return asyncio.run(_post_by_ourselves(url, connections, rows, seconds))


def _post_by_wrk(url: str, connections: int, rows: int, seconds: float) -> Load:
    duration = f"{max(1, round(seconds))}s"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}", "--timeout", "10s", "-s", str(SCRIPT), url, "--"]
    done = subprocess.run([*command, str(rows)], capture_output=True, text=True, check=True, timeout=seconds + 60)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return Load(**json.loads(line.removeprefix("RESULT ")))


async def _post_by_ourselves(url: str, connections: int, rows: int, seconds: float) -> Load:
    started = time.perf_counter()
    numbers, times, refused = count(), list[float](), 0

    async def one_connection() -> int:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        refusals = 0
        while time.perf_counter() - started < seconds:
            body = _body([next(numbers) for _ in range(rows)])
            sent = time.perf_counter()
            writer.write(request_head(parts.path, parts.netloc, len(body)) + body)
            refusals += await read_status(reader) != 202
            times.append(time.perf_counter() - sent)
        writer.close()
        return refusals

    refused = sum(await asyncio.gather(*(one_connection() for _ in range(connections))))
    ordered = sorted(times)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return Load(len(ordered), time.perf_counter() - started, refused, 0, p50, p99)


def _body(numbers: list[int]) -> bytes:
    stamp = time.time_ns()
    signals = [{"name": "Ada Lovelace", "email": f"ada{stamp}-{number}@x.example"} for number in numbers]
    return json.dumps(signals[0] if len(signals) == 1 else signals).encode()


def request_head(path: str, host: str, length: int) -> bytes:
    """The head of a JSON request on a connection that stays open."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def read_status(reader: asyncio.StreamReader) -> int:
    """Read one whole answer, and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))
    return int(head.split(" ", 2)[1])
