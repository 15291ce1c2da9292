"""A companion: a second process forked from this one, so that most of their memory is shared.

The two hold the ends of one wire, on which nothing is ever said: each learns from its end that the other is gone, in
whichever way that happened, and ends too.
"""

import asyncio
import os
import socket
import sys
import traceback
from collections.abc import Callable

Wire = socket.socket


class Companion:
    """The other process, as the one that forked it knows it."""

    def __init__(self, pid: int, wire: Wire) -> None:
        self.pid = pid
        self.wire = wire

    def wait(self) -> int:
        """Let go of the wire and wait for its end; the exit code, negative for a signal."""
        self.wire.close()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def fork_companion(run: Callable[[Wire], object]) -> Companion:
    """Start `run` in a process of its own, which ends with it; before any thread or event loop has been started."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Companion(pid, ours)
    ours.close()
    code = 1
    try:
        run(theirs)
        code = 0
    except BaseException:  # noqa: BLE001 nothing of it may go on in the parent's name
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # What the parent has registered for its own end is not ours to do.
        os._exit(code)


async def hear_end(wire: Wire) -> None:
    """Return when the other process has let go of its end of the wire, or is gone."""
    wire.setblocking(False)
    while await asyncio.get_running_loop().sock_recv(wire, 1):
        continue
