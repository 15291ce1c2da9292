"""Two web servers and two workers, each started again when it ends, as under any supervisor."""

import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.network import Network
from tests.processes import PROGRAM, eventually, free_port

PAUSE_SECONDS = 0.5


def no_network(command: list[str]) -> list[str]:
    """As it is: for processes that share the machine's network."""
    return command


@dataclass(slots=True)
class Member:
    """One process of the fleet, whichever child it is at the moment."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    within: Callable[[list[str]], list[str]] = no_network
    program: list[str] = field(default_factory=lambda: list(PROGRAM))
    folder: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.within([*self.program, *self.words]),
                env=dict(self.environment),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens where there is no process at the moment."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def url(self) -> str:
        """Where a web server answers."""
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def is_answering(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Fleet:
    """Keeps its members running until the block ends."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def of(self, word: str) -> list[Member]:
        """Those that `serve`, or that `work`."""
        return [member for member in self.members if word in member.words]

    def _watch(self) -> None:
        while not self._is_over.wait(PAUSE_SECONDS):
            for member in self.members:
                if member.process is not None and member.process.poll() is not None:
                    member.start()

    def __enter__(self) -> "Fleet":
        for member in self.members:
            member.start()
        self._thread.start()
        for member in self.of("serve"):
            eventually(member.is_answering, seconds=60, what=f"{member.name} answering")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(timeout=10)
        for member in self.members:
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        for member in self.members:
            _wait_or_kill(member, deadline - time.monotonic())


def _wait_or_kill(member: Member, seconds: float) -> None:
    assert member.process is not None
    try:
        member.process.wait(timeout=max(seconds, 0.1))
    except subprocess.TimeoutExpired:
        member.process.kill()
        member.process.wait(timeout=10)


def common_settings(home: Path, database_url: str) -> dict[str, str]:
    """What all processes are told, without what the machine's own environment says of mail and stores."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "DATABASE_", "REDIS_"))}
    return {
        **kept,
        "SWITCHBOARD_HOME": str(home),
        "DATABASE_URL": database_url,
        "APP_SECRET": "kept for tests only, 32 letters long",
        "LOG_LEVEL": "warning",
    }


@contextmanager
def fleet(
    home: Path,
    logs: Path,
    *,
    database_url: Callable[[str], str],
    mail_port: int,
    api_url: str,
    network: Network | None,
    settings: dict[str, str],
) -> Iterator[Fleet]:
    """One worker hands its mail to a mail server; the other, in a network of its own, to a sending API."""
    near = common_settings(home, database_url("127.0.0.1")) | settings
    near |= {
        "EMAIL_PROVIDER": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_port),
        "SMTP_SECURITY": "none",
        "SMTP_IN_PORT": str(free_port()),
    }
    far = common_settings(home, database_url(network.database_host if network else "127.0.0.1")) | settings
    far |= {
        "EMAIL_PROVIDER": "webhook",
        "EMAIL_WEBHOOK_URL": api_url,
        "EMAIL_WEBHOOK_SECRET": "kept for tests only, 32 letters long",
        "EMAIL_WEBHOOK_PRIVATE": "true",
        "SMTP_IN_PORT": near["SMTP_IN_PORT"],
    }
    servers = [
        Member(f"serve-{number}", ("serve",), near | {"PORT": str(free_port())}, logs / f"serve-{number}.log")
        for number in (1, 2)
    ]
    workers = [
        Member("work-1", ("work",), near, logs / "work-1.log"),
        Member("work-2", ("work",), far, logs / "work-2.log", network.within if network else no_network),
    ]
    with Fleet([*servers, *workers]) as running:
        yield running
