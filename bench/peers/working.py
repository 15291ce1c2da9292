"""One peer at work in a process of its own: draining what lies ready, or answering over HTTP."""

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.http_sink import HttpSink
from bench.load import Load, post
from bench.peers.roster import ROOT, Peer
from bench.peers.stores import open_store
from tests.processes import eventually, free_port

# Beside the measuring itself: making the schema, and laying the work ready.
PREPARING_SECONDS = 120.0
CONNECTIONS = 64


class PeerError(Exception):
    """A peer did not run to its end; the text says why."""


def drain(peer: Peer, work: str, seconds: float, most: int) -> float:
    """Items a second: lay so much work ready that it cannot run dry, and see what is done of it in the time."""
    with tempfile.TemporaryDirectory(prefix="switchboard-peer-") as folder, HttpSink() as sink:
        with open_store(peer.store, Path(folder)) as url:
            order = {"work": work, "database_url": url, "count": round(most * seconds), "seconds": seconds}
            answer = _ask(peer, {**order, "target": sink.url}, seconds)
        if work == "deliver" and len(sink.take()) < answer["done"]:
            raise PeerError("it counted more deliveries than the sink has taken")
    if answer["done"] < 1:
        raise PeerError("it did nothing in the time")
    return float(round(answer["done"] / answer["seconds"]))


def _ask(peer: Peer, order: Mapping[str, object], seconds: float) -> dict[str, Any]:
    command = [*peer.command(), json.dumps(order)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + PREPARING_SECONDS,
        check=False,
        cwd=ROOT,
        env=_environment(),
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise PeerError(done.stderr or f"it ended with {done.returncode} and without an answer")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def serve(peer: Peer, rows: int, seconds: float) -> float:
    """Signals a second that its endpoint has kept, `rows` a request."""
    with (
        tempfile.TemporaryDirectory(prefix="switchboard-peer-") as folder,
        open_store(peer.store, Path(folder)) as store,
        _serving(peer, store) as url,
    ):
        post(url, connections=CONNECTIONS, rows=rows, seconds=min(seconds, 2.0))
        load = post(url, connections=CONNECTIONS, rows=rows, seconds=seconds)
    return _rate(load, rows)


def _rate(load: Load, rows: int) -> float:
    if load.refused or load.broken:
        raise PeerError(f"{load.refused} requests were refused and {load.broken} broke")
    if not load.requests:
        raise PeerError("it answered nothing in the time")
    return round(load.taken_per_second * rows)


@contextmanager
def _serving(peer: Peer, store: str) -> Iterator[str]:
    port = free_port()
    order = {"work": "serve", "database_url": store, "port": port}
    command = [*peer.command(), json.dumps(order)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=_environment()
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        eventually(lambda: _takes(process, port), seconds=60, what=f"{peer.name} listening")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _takes(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise PeerError(f"its endpoint ended with {process.returncode}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NODE_ENV": "production"}
