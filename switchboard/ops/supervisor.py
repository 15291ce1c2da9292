"""Keeps the programs of one machine running: `switchboard up` becomes this once everything is prepared.

It imports nothing outside the standard library and lives in a process of its own, because it stays for as long as
the system runs and must weigh next to nothing.
"""

import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from switchboard.kernel.embedded import EmbeddedPostgres
from switchboard.kernel.embedded_postmaster import FAST_LIMIT
from switchboard.kernel.errors import ConfigurationError
from switchboard.ops.merged_output import MergedOutput
from switchboard.ops.readiness import answers_ready
from switchboard.ops.supervised import Supervised, ending, launch_child, output_of
from switchboard.ops.supervision_plan import Readiness, SupervisionPlan, read_plan, write_plan

CONFIGURATION_EXIT_CODE = 2

_OWN_NAME = "up"
_IDLE_SECONDS = 5.0
_PROBE_SECONDS = 0.05
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def become_supervisor(plan: SupervisionPlan) -> NoReturn:
    """Replace this process by the supervisor of `plan`; children already started stay its children."""
    sys.stdout.flush()
    sys.stderr.flush()
    argv = [sys.executable, "-m", "switchboard.ops.supervisor", str(write_plan(plan))]
    os.execv(sys.executable, argv)  # noqa: S606 - our own interpreter and module.


def main() -> int:
    """The supervisor's process; its one argument is the descriptor of the plan."""
    return Supervisor(read_plan(int(sys.argv[1]))).run()


class Supervisor:
    """Runs a plan until it is told to stop; a second signal to stop ends everything at once."""

    def __init__(self, plan: SupervisionPlan) -> None:
        self._stop_requests = 0
        self._exit_code = 0
        self._scratch = plan.scratch
        self._plans = {child.name: child for child in plan.children}
        self._children = [Supervised(child.name, partial(launch_child, child)) for child in plan.children]
        self._server = EmbeddedPostgres.take_over(plan.postgres) if plan.postgres else None
        self._postgres = _supervised_server(self._server)
        self._selector = selectors.DefaultSelector()
        self._output = MergedOutput(self._selector, [_OWN_NAME, *(each.name for each in self._everything)])
        self._watch = ReadinessWatch(plan.readiness, partial(self._output.say, _OWN_NAME))

    def run(self) -> int:
        """Start, supervise and stop; returns the exit code."""
        self._catch_signals()
        while not self._stop_requests:
            self._tend()
            self._wait(self._idle_seconds())
        self._stop()
        return self._exit_code

    @property
    def _everything(self) -> list[Supervised]:
        return [*([self._postgres] if self._postgres else []), *self._children]

    def _tend(self) -> None:
        for each in self._everything:
            self._notice_end(each)
            if each.process is None and each.due_at <= time.monotonic():
                self._start(each)
        self._watch.look()

    def _notice_end(self, each: Supervised) -> None:
        exit_code = each.process.poll() if each.process else None
        if exit_code is None:
            return
        if exit_code == CONFIGURATION_EXIT_CODE and not self._watch.passed and each is not self._postgres:
            # It has said which setting is wrong, and starting it again would only say so again.
            self._exit_code = exit_code
            self._stop_requests = max(self._stop_requests, 1)
            each.finish()
        elif exit_code == 0 and each is not self._postgres and self._plans[each.name].once:
            each.finish()
        else:
            self._retry_later(each, ending(exit_code))

    def _start(self, each: Supervised) -> None:
        try:
            pipe = output_of(each.start())
        except (OSError, ConfigurationError) as error:
            self._retry_later(each, f"could not be started: {error}")
            return
        if pipe is not None:
            self._output.attach(each.name, pipe)

    def _retry_later(self, each: Supervised, what_happened: str) -> None:
        delay = each.schedule()
        self._output.say(_OWN_NAME, f"{each.name} {what_happened}; starting it again in {delay:g} s.")

    def _idle_seconds(self) -> float:
        waits = [each.due_at - time.monotonic() for each in self._everything if each.process is None]
        return max(0.0, min([_IDLE_SECONDS, self._watch.wait_seconds, *waits]))

    def _wait(self, seconds: float) -> bool:
        """Pass output on until something happened or the time is over; whether something did."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            self._output.pump(key)
            if isinstance(key.data, socket.socket):
                key.data.recv(4096)
        return bool(ready)

    def _pass_on_the_rest(self) -> None:
        while self._wait(0.0):
            pass

    def _stop(self) -> None:
        self._output.say(_OWN_NAME, "stopping; press Ctrl-C again to end everything at once.")
        for child in self._children:
            self._end(child, signal.SIGTERM, self._plans[child.name].stop_seconds)
        if self._server is not None and self._postgres is not None:
            self._end(self._postgres, signal.SIGINT, FAST_LIMIT.total_seconds(), last=signal.SIGQUIT)
            self._server.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._pass_on_the_rest()
        self._output.say(_OWN_NAME, "stopped.")

    def _end(
        self, each: Supervised, first: signal.Signals, limit: float, *, last: signal.Signals = signal.SIGKILL
    ) -> None:
        if each.process is None:
            return
        each.process.send_signal(first)
        deadline = time.monotonic() + limit
        while each.running and self._stop_requests < 2 and time.monotonic() < deadline:
            self._wait(min(_IDLE_SECONDS, deadline - time.monotonic()))
        if each.running:
            self._output.say(_OWN_NAME, f"{each.name} did not end in time and is ended with {last.name}.")
            each.process.send_signal(last)

    def _catch_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ, reader)
        self._writer = writer
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            # A program started by nohup has SIGHUP ignored on purpose.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._count_stop_request)
        # Without a handler of its own, the end of a child would not wake the selector.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _count_stop_request(self, _number: int, _frame: object) -> None:
        self._stop_requests += 1


class ReadinessWatch:
    """Asks until the system is ready, and says so once; says too when that takes long."""

    def __init__(self, readiness: Readiness | None, say: Callable[[str], None]) -> None:
        self.passed = readiness is None
        self._readiness = readiness
        self._say = say
        self._started_at = time.monotonic()
        self._warned = False

    @property
    def wait_seconds(self) -> float:
        """How long the loop may sleep before it should look again."""
        return float("inf") if self.passed else _PROBE_SECONDS

    def look(self) -> None:
        """Ask once, unless the answer has been yes before."""
        if self.passed or self._readiness is None:
            return
        wanted = self._readiness
        if answers_ready(wanted.host, wanted.port, wanted.path):
            self.passed = True
            self._say(wanted.announcement)
        elif not self._warned and time.monotonic() - self._started_at > wanted.limit_seconds:
            self._warned = True
            self._say(f"not ready after {wanted.limit_seconds:g} s; the lines above say why. Still waiting.")


def _supervised_server(server: EmbeddedPostgres | None) -> Supervised | None:
    return Supervised("postgres", server.relaunch, server.process) if server else None


if __name__ == "__main__":
    sys.exit(main())
