"""Debian's Redis, on a free port of loopback and a disk of its own, stopped and started like anybody's."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.processes import eventually, free_port


@dataclass(slots=True)
class RedisServer:
    """A server that writes each answer's work to its disk first, unless `settings` say otherwise."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always")
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(
            ["redis-server", *words, *self.settings, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, what="an answer of Redis")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def kill(self) -> None:
        """As when the machine loses its power, save for what the disk has."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=20)
        self.process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def redis_server(folder: Path, *settings: str) -> Iterator[RedisServer]:
    """A running server; the test is skipped where there is none to start, and fails on a build machine."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed; tools/system_packages.sh installs it")
        pytest.skip("redis-server is not installed; tools/system_packages.sh installs it")
    server = RedisServer(folder)
    if settings:
        server.settings = settings
    server.start()
    try:
        yield server
    finally:
        server.stop()
