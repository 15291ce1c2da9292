"""Real processes for journeys, chaos and benchmarks: the product as a user starts it, and a mail server beside it."""

import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

PROGRAM = [sys.executable, "-m", "switchboard"]
READY_SECONDS = 60.0

Found = TypeVar("Found")


# Below the ports that Linux gives to outgoing connections (from 32768): none of those can take one of ours between
# its choice and its use, nor while the server that had it is stopped for a while.
PORTS = range(18_000, 32_000)


def free_port() -> int:
    """A port nobody listens on, and that no other test run on this machine chooses while this one lasts."""
    folder = Path(tempfile.gettempdir()) / f"switchboard-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(PORTS, len(PORTS)):
        if _keep_port(folder / str(port)) and _nobody_listens(port):
            return port
    raise AssertionError(f"No port between {PORTS.start} and {PORTS.stop} is free.")


def free_ports() -> dict[str, str]:
    """The settings of a start that is to find its ports free."""
    return {"PORT": str(free_port()), "SMTP_IN_PORT": str(free_port())}


def _keep_port(path: Path) -> bool:
    """Lock a file until this process ends, so that runs side by side choose different ports."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def eventually(look: Callable[[], Found | None], *, seconds: float = 20.0, what: str = "it") -> Found:
    """Wait until `look` finds something true; the limit is an assertion."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One mail as the server took it."""

    mail_from: str
    recipients: tuple[str, ...]
    message: EmailMessage
    at: float


class _Handler:
    def __init__(self, mails: list[Delivered]) -> None:
        self._mails = mails

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._mails.append(Delivered(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, time.monotonic()))
        return "250 OK"


class MailServer:
    """A real SMTP server on loopback that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[Delivered] = []
        self.port = free_port()
        self._controller = Controller(_Handler(self.mails), hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> "MailServer":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def wait_for(self, recipient: str, *, seconds: float = 30.0, after: int = 0) -> Delivered:
        """The first mail to `recipient` beyond the first `after`."""

        def look() -> Delivered | None:
            mine = [mail for mail in list(self.mails) if recipient in mail.recipients]
            return mine[after] if len(mine) > after else None

        return eventually(look, seconds=seconds, what=f"a mail to {recipient}")


@dataclass(slots=True)
class Product:
    """A running `switchboard up`, and the ways into it that a user has."""

    process: subprocess.Popen[str]
    home: Path
    port: int
    environment: Mapping[str, str]
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail_port(self) -> int:
        return int(self.environment["SMTP_IN_PORT"])

    def sign_in(self) -> tuple[str, str]:
        """The owner's address and password, as printed on the first start."""
        found = re.search(r"Sign in as (\S+) with the password (\S+)", "".join(self.log))
        assert found is not None, "".join(self.log)
        return found[1], found[2]

    def command(self, *words: str, check: bool = True) -> str:
        """Run a `switchboard` command against this instance; returns what it prints."""
        done = subprocess.run(
            [*PROGRAM, *words], env=dict(self.environment), capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def json_command(self, *words: str) -> Any:
        return json.loads(self.command(*words, "--json"))

    def post(self, url: str, payload: object, **headers: str) -> dict[str, Any]:
        """POST JSON and return the decoded answer; raises urllib's HTTPError otherwise."""
        request = urllib.request.Request(
            url, json.dumps(payload).encode(), {"Content-Type": "application/json", **headers}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            decoded: dict[str, Any] = json.load(answer)
            return decoded

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def health(self) -> dict[str, Any]:
        """What `/health/ready` says."""
        with urllib.request.urlopen(f"{self.url}/health/ready", timeout=10) as answer:
            decoded: dict[str, Any] = json.load(answer)
            return decoded

    def wait_until_ready(self) -> None:
        def look() -> bool:
            assert self.process.poll() is None, "".join(self.log)
            return self.is_ready() and "Switchboard is ready" in "".join(self.log)

        eventually(look, seconds=READY_SECONDS, what="Switchboard being ready")

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


def launch(home: Path, port: int, **settings: str) -> Product:
    """Start `switchboard up` without waiting for it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "DATABASE_", "REDIS_"))},
        "SWITCHBOARD_HOME": str(home),
        "PORT": str(port),
        "SMTP_IN_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    process = subprocess.Popen(
        [*PROGRAM, "up"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    product = Product(process, home, port, environment)
    threading.Thread(target=_collect, args=(product,), daemon=True).start()
    return product


def _collect(product: Product) -> None:
    assert product.process.stdout is not None
    with product.process.stdout as lines:
        for line in lines:
            product.log.append(line)


@contextmanager
def running(home: Path, **settings: str) -> Iterator[Product]:
    """A ready `switchboard up` on `home`, stopped at the end."""
    product = launch(home, free_port(), **settings)
    try:
        product.wait_until_ready()
        yield product
    except BaseException:
        # Shown beside the failure: what the product itself has to say about it.
        sys.stderr.write("".join(product.log[-200:]))
        raise
    finally:
        product.stop()
