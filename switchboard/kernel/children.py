"""Child processes that end when we end, whichever way that happens."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

_PR_SET_PDEATHSIG = 1


class Process(Protocol):
    """What we ask of a running child, started by us or taken over from the program we replaced."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    def send_signal(self, sig: int) -> None:
        """Deliver a signal; nothing happens when the process is gone."""


def start_child(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals,
    owner: tuple[int, int] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that a terminal's Ctrl-C reaches only us.

    `death_signal` is what it gets from the kernel when the calling thread dies (Linux; elsewhere nothing).
    `owner` is the (uid, gid) to run as, which needs root.
    """
    uid, gid = owner or (None, None)
    return subprocess.Popen(  # noqa: S603 - the program and its arguments are ours.
        argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=env,
        user=uid,
        group=gid,
        extra_groups=None if owner is None else [],
        start_new_session=True,
        preexec_fn=_dying_with_parent(death_signal),  # noqa: PLW1509 - it makes one system call and no allocation that could lock.
    )


class AdoptedProcess:
    """A child known only by its pid, because the program that started it replaced itself by us."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._exit_code is None:
            self._exit_code = self._reap()
        return self._exit_code

    def send_signal(self, sig: int) -> None:
        """Deliver a signal; nothing happens when the process is gone."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _reap(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def _dying_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        # The parent may have died before the call above, and then no signal would ever come.
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
