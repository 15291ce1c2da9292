"""One program under supervision: its process, and when to start it again."""

import math
import signal
import subprocess
import time
from collections.abc import Callable
from typing import IO

from switchboard.kernel.children import Process, start_child
from switchboard.ops.supervision_plan import ChildPlan

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0

# A program that ran this long has recovered from whatever ended it before.
_STEADY_SECONDS = 60.0


class Supervised:
    """A program that is started again whenever it ends, each time a little later until it runs steadily."""

    def __init__(self, name: str, launch: Callable[[], Process], process: Process | None = None) -> None:
        """`launch` starts it; `process` is given when it runs already."""
        self.name = name
        self.process = process
        self.due_at = time.monotonic()
        self._launch = launch
        self._started_at = time.monotonic()
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> Process:
        """Start it now; an OSError or ConfigurationError counts as a failed run once `schedule` is called."""
        self._started_at = time.monotonic()
        self.process = self._launch()
        return self.process

    def schedule(self) -> float:
        """Plan the next start and return the seconds until then."""
        now = time.monotonic()
        if now - self._started_at >= _STEADY_SECONDS:
            self._failures = 0
        delay = min(FIRST_DELAY_SECONDS * 2.0**self._failures, LONGEST_DELAY_SECONDS)
        self._failures += 1
        self.process = None
        self.due_at = now + delay
        return delay

    def finish(self) -> None:
        """Never start it again."""
        self.process = None
        self.due_at = math.inf


def launch_child(plan: ChildPlan) -> subprocess.Popen[bytes]:
    """Start the planned program with its output in one pipe; it is killed when the supervisor is."""
    return start_child(
        plan.argv,
        death_signal=signal.SIGKILL,
        env=plan.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output_of(process: Process) -> IO[bytes] | None:
    """The pipe of a program started by `launch_child`; None for one that keeps its own log."""
    return process.stdout if isinstance(process, subprocess.Popen) else None


def ending(exit_code: int) -> str:
    """How it ended, in words."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"
