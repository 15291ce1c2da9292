"""What peers keep their work in: an embedded Postgres as we ship it, or a Redis that loses nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.peers.roster import Store
from switchboard.kernel.embedded import EmbeddedPostgres
from tests.processes import eventually, free_port

_DATABASE = "/switchboard?"


@contextmanager
def open_store(store: Store, folder: Path) -> Iterator[str]:
    """The address of an empty store of its own, gone after the block."""
    with _open_postgres(folder) if store == "postgres" else _open_redis(folder) as url:
        yield url


@contextmanager
def _open_postgres(folder: Path) -> Iterator[str]:
    with EmbeddedPostgres(folder) as endpoint:
        with psycopg.connect(endpoint.superuser_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE peer")
            synchronous = connection.execute("SHOW synchronous_commit").fetchone()
            assert synchronous == ("on",), "the comparison is of what is on disk"
        yield endpoint.superuser_url.replace(_DATABASE, "/peer?")


@contextmanager
def _open_redis(folder: Path) -> Iterator[str]:
    port = free_port()
    settings = {"bind": "127.0.0.1", "port": str(port), "dir": str(folder), "save": "", "loglevel": "warning"}
    # Without these a Redis may lose the last second of what it has acknowledged.
    settings |= {"appendonly": "yes", "appendfsync": "always"}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(port), what="redis-server")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(port: int) -> bool:
    done = subprocess.run(
        ["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True, timeout=5, check=False
    )
    return done.stdout.strip() == "PONG"
