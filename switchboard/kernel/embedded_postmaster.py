"""The running server process: finding it, starting it, stopping it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

from switchboard.kernel.children import Process, start_child
from switchboard.kernel.embedded_layout import PORT, Layout
from switchboard.kernel.embedded_programs import ENVIRONMENT, Programs
from switchboard.kernel.errors import ConfigurationError

# Long, because after a crash on a busy day the server first replays up to `max_wal_size` of log.
READY_LIMIT = timedelta(minutes=5)
FAST_LIMIT = timedelta(seconds=10)
IMMEDIATE_LIMIT = timedelta(seconds=5)

_POLL_SECONDS = 0.01

# No process can have this id on any system, and Postgres reads "nobody" from it.
_NO_PROCESS = 2**31 - 2


@dataclass(frozen=True, slots=True)
class PidFile:
    """What the server says about itself in `postmaster.pid`."""

    pid: int
    sockets: Path
    status: str


def find_running_server(data: Path) -> PidFile | None:
    """The server that runs on this data folder, whoever started it."""
    noted = _read_pid_file(data)
    return noted if noted is not None and _serves(noted.pid, data) else None


def launch(layout: Layout, programs: Programs) -> Popen[bytes]:
    """Start the server without waiting for it. The caller holds the home's lock."""
    _clear_stale_files(layout)
    with (layout.logs / "start.log").open("wb") as log:
        return start_child(
            [programs.path("postgres"), "-D", str(layout.data)],
            death_signal=signal.SIGINT,
            owner=programs.account.owner if programs.account else None,
            env=ENVIRONMENT,
            cwd=Path("/"),
            stdout=log,
            stderr=log,
        )


def await_ready(process: Process, layout: Layout) -> bool:
    """Wait until the server takes connections; False when it ended instead."""
    deadline = time.monotonic() + READY_LIMIT.total_seconds()
    while process.poll() is None:
        noted = _read_pid_file(layout.data)
        if noted is not None and noted.pid == process.pid and noted.status == "ready":
            return True
        if time.monotonic() > deadline:
            raise ConfigurationError(f"Postgres is not ready after {READY_LIMIT}: see the log in {layout.logs}.")
        time.sleep(_POLL_SECONDS)
    return False


def stop_process(process: Process) -> None:
    """End it within bounds: let transactions be rolled back, then drop everything, then kill."""
    _stop(process.send_signal, lambda: process.poll() is None)


def stop_orphan(data: Path) -> None:
    """End a server whose supervisor was killed, so that the next one is our own child."""
    orphan = find_running_server(data)
    if orphan is not None:
        _stop(lambda sig: _signal(orphan.pid, sig), lambda: _serves(orphan.pid, data))


def failure_of(layout: Layout) -> str:
    """The last fatal line of the logs, or an empty text."""
    logs = sorted(layout.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
    lines = [line for path in logs[-2:] for line in path.read_text(errors="replace").splitlines()]
    fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return fatal[-1].partition("] ")[2] if fatal else ""


def _stop(send: Callable[[int], None], running: Callable[[], bool]) -> None:
    limits = (
        (signal.SIGINT, FAST_LIMIT),
        (signal.SIGQUIT, IMMEDIATE_LIMIT),
        (signal.SIGKILL, IMMEDIATE_LIMIT),
    )
    for sig, limit in limits:
        if not running():
            return
        send(sig)
        _await_end(running, limit)


def _await_end(running: Callable[[], bool], limit: timedelta) -> None:
    deadline = time.monotonic() + limit.total_seconds()
    while running() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _signal(pid: int, sig: int) -> None:
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        return


def _read_pid_file(data: Path) -> PidFile | None:
    """None while the file is missing or only half written."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5 or not lines[0].lstrip("-").isdigit():
        return None
    status = lines[7].strip() if len(lines) > 7 else ""
    return PidFile(abs(int(lines[0])), Path(lines[4].strip()), status)


def _serves(pid: int, data: Path) -> bool:
    """Whether this process is a server on this folder, and not a stranger who was given the same id."""
    if sys.platform != "linux":
        return str(data) in _command_line(pid)
    try:
        # The server makes its data folder its working directory before it writes its pid file.
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except OSError:
        return False


def _command_line(pid: int) -> str:
    argv = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=5).stdout  # noqa: S603 - the program and its arguments are ours.


def _clear_stale_files(layout: Layout) -> None:
    """Take the leavings of a killed server out of the way of the next; only when no server runs here."""
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (layout.sockets / name).unlink(missing_ok=True)
    pid_file = layout.data / "postmaster.pid"
    if not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
    if lines:
        # The id may belong to another program by now and would stop the start. The rest must stay: by its
        # shared memory key Postgres notices a backend that outlived its server, and refuses until it ends.
        pid_file.write_text("\n".join([str(_NO_PROCESS), *lines[1:]]) + "\n")
    else:
        pid_file.unlink()
