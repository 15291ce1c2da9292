import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from switchboard.kernel.embedded import find_running
from switchboard.kernel.errors import ConfigurationError
from switchboard.ops.ports import require_free_port
from switchboard.ops.supervised import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, Supervised, ending
from switchboard.ops.supervision_plan import ChildPlan, Readiness, SupervisionPlan, write_plan
from tests.processes import free_port

LIMIT_SECONDS = 20.0

POLITE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print(sys.argv[1], "ends", flush=True), sys.exit(0)))
print(sys.argv[1], "runs as", os.getpid(), flush=True)
while True:
    signal.pause()
"""

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
print("stubborn runs as", os.getpid(), flush=True)
while True:
    # A signal that comes just before signal.pause() would not be told until the next.
    time.sleep(0.05)
"""

FAIL_FIRST = """
import sys
from pathlib import Path
tried = Path(sys.argv[1])
if not tried.exists():
    tried.touch()
    sys.exit(3)
print("filled", flush=True)
"""

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

UP = """
import json, sys
from pathlib import Path
from switchboard.kernel.embedded import EmbeddedPostgres
from switchboard.ops.supervision_plan import ChildPlan, SupervisionPlan
from switchboard.ops.supervisor import become_supervisor
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
children = [ChildPlan("work", json.loads(sys.argv[2]))]
become_supervisor(SupervisionPlan(children, postgres=server.hand_over()))
"""


class Running:
    """A supervisor in a process of its own, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def text(self) -> str:
        return self._log.read_text()

    def await_text(self, wanted: str) -> None:
        until(lambda: wanted in self.text(), f"{wanted!r} in:\n{self.text()}")

    def pid_of(self, name: str) -> int:
        """The process id that a child has written, the first one if there were several."""
        self.await_text(f"{name} runs as ")
        until(lambda: self._find_pid(name) is not None, f"the process id of {name}")
        return self._find_pid(name) or 0

    def _find_pid(self, name: str) -> int | None:
        found = re.search(rf"{name} runs as (\d+)\n", self.text())
        return int(found[1]) if found else None


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    """A process that nobody has waited for yet has ended all the same."""
    argv = ["ps", "-o", "state=", "-p", str(pid)]
    state = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=5).stdout.strip()
    return state in {"", "Z"}


def resident_bytes(pid: int) -> int:
    argv = ["ps", "-o", "rss=", "-p", str(pid)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=5).stdout) * 1024


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def polite(name: str) -> ChildPlan:
    return ChildPlan(name, python(POLITE, name))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[SupervisionPlan], Running]]:
    with contextlib.ExitStack() as stack:

        def start_plan(plan: SupervisionPlan) -> Running:
            descriptor = write_plan(plan)
            argv = [sys.executable, "-m", "switchboard.ops.supervisor", str(descriptor)]
            running = launch(argv, tmp_path / "output", pass_fds=[descriptor])
            os.close(descriptor)
            stack.callback(end, running.process)
            return running

        yield start_plan


def launch(argv: Sequence[str], log: Path, *, pass_fds: Sequence[int] = ()) -> Running:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, pass_fds=pass_fds)
    return Running(process, log)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(LIMIT_SECONDS)


def test_announces_only_when_the_server_answers(start: Callable[[SupervisionPlan], Running]) -> None:
    port = free_port()
    readiness = Readiness("127.0.0.1", port, "Switchboard is at http://localhost")
    running = start(SupervisionPlan([ChildPlan("serve", python(SERVER, str(port)))], readiness))
    running.await_text("up    | Switchboard is at http://localhost\n")
    assert '"GET /health/ready HTTP/1.0" 200' in running.text()
    assert running.text().count("Switchboard is at") == 1


def test_says_that_it_still_waits(start: Callable[[SupervisionPlan], Running]) -> None:
    readiness = Readiness("127.0.0.1", free_port(), "ready", limit_seconds=0.1)
    running = start(SupervisionPlan([polite("serve")], readiness))
    running.await_text("not ready after 0.1 s; the lines above say why. Still waiting.")


def test_stops_the_children_in_their_order(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([polite("serve"), polite("work")]))
    running.await_text("serve runs")
    running.await_text("work runs")
    running.process.terminate()
    assert running.process.wait(LIMIT_SECONDS) == 0
    assert running.text().splitlines()[-4:] == [
        "up    | stopping; press Ctrl-C again to end everything at once.",
        "serve | serve ends",
        "work  | work ends",
        "up    | stopped.",
    ]


def test_starts_a_dead_child_again_and_says_so(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([polite("work")]))
    os.kill(running.pid_of("work"), signal.SIGKILL)
    until(lambda: running.text().count("work runs") == 2, "a second start")
    assert "up   | work was ended by SIGKILL; starting it again in 0.2 s." in running.text()


def test_a_program_that_is_missing_is_tried_again(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([ChildPlan("work", ["/nowhere/program"])]))
    running.await_text("No such file or directory: '/nowhere/program'; starting it again in 0.4 s.")


def test_a_wrong_setting_ends_everything_with_its_exit_code(start: Callable[[SupervisionPlan], Running]) -> None:
    wrong = ChildPlan("serve", python("import sys; print('PORT: not a number', flush=True); sys.exit(2)"))
    readiness = Readiness("127.0.0.1", free_port(), "ready")
    running = start(SupervisionPlan([wrong, polite("work")], readiness))
    assert running.process.wait(LIMIT_SECONDS) == 2
    assert "serve | PORT: not a number" in running.text()


def test_a_program_with_an_end_is_repeated_only_after_a_failure(
    start: Callable[[SupervisionPlan], Running], tmp_path: Path
) -> None:
    fail_first = python(FAIL_FIRST, str(tmp_path / "tried"))
    running = start(SupervisionPlan([ChildPlan("demo", fail_first, once=True), polite("work")]))
    running.await_text("demo | filled\n")
    os.kill(running.pid_of("work"), signal.SIGKILL)
    until(lambda: running.text().count("work runs") == 2, "a second start of the other program")
    running.process.terminate()
    assert running.process.wait(LIMIT_SECONDS) == 0
    assert "demo ended with exit code 3; starting it again in 0.2 s." in running.text()
    assert running.text().count("filled") == 1


def test_a_second_signal_ends_everything_at_once(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([ChildPlan("work", python(STUBBORN), stop_seconds=600)]))
    child = running.pid_of("stubborn")
    running.process.send_signal(signal.SIGINT)
    running.await_text("not yet")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(LIMIT_SECONDS) == 0
    until(lambda: has_ended(child), "the child's end")


def test_a_child_that_takes_too_long_is_killed(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([ChildPlan("work", python(STUBBORN), stop_seconds=0.2)]))
    running.await_text("stubborn runs")
    running.process.terminate()
    assert running.process.wait(LIMIT_SECONDS) == 0
    assert "work did not end in time and is ended with SIGKILL." in running.text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_children_die_with_a_killed_supervisor(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([ChildPlan("work", python(STUBBORN))]))
    child = running.pid_of("stubborn")
    running.process.kill()
    until(lambda: has_ended(child), "the child's end")


def test_the_supervisor_weighs_little(start: Callable[[SupervisionPlan], Running]) -> None:
    running = start(SupervisionPlan([polite("work")]))
    running.await_text("work runs")
    assert resident_bytes(running.process.pid) <= 25 * 1024 * 1024


def test_postgres_is_taken_over_restarted_and_stopped_last(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="switchboard-test-") as folder:
        home = Path(folder)
        running = launch(python(UP, folder, json.dumps(python(POLITE, "work"))), tmp_path / "output")
        try:
            running.await_text("work runs")
            postgres = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(postgres, signal.SIGKILL)
            running.await_text("up       | postgres was ended by SIGKILL; starting it again in 0.2 s.")
            until(lambda: find_running(home) is not None, "the second server")
            running.process.terminate()
            assert running.process.wait(LIMIT_SECONDS) == 0
        finally:
            end(running.process)
        assert re.search(r"work ends\n(.*\n)*up +\| stopped\.\n$", running.text())
        assert not (home / "postgres" / "postmaster.pid").exists()


def test_delays_double_up_to_a_limit() -> None:
    supervised = Supervised("work", launch=lambda: pytest.fail("it is not started here"))
    delays = [supervised.schedule() for _ in range(10)]
    assert delays[:4] == [FIRST_DELAY_SECONDS, 0.4, 0.8, 1.6]
    assert delays[-1] == LONGEST_DELAY_SECONDS


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
    ],
)
def test_endings_are_told_in_words(exit_code: int, words: str) -> None:
    assert ending(exit_code) == words


@pytest.mark.parametrize("setting", ["PORT", "SMTP_IN_PORT"])
def test_a_busy_port_is_named_with_a_free_one(setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as refusal:
            require_free_port("127.0.0.1", port, setting=setting)
    message = refusal.value.message
    assert message.startswith(f"Port {port} is already in use by another program: stop that program, or choose ")
    assert re.search(rf" {setting}=(\d+|\.\.\.)\.$", message)


def test_a_free_port_is_accepted() -> None:
    require_free_port("127.0.0.1", free_port())


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Nothing can listen on 192\.0\.2\.1, port 8000: set HOST to"):
        require_free_port("192.0.2.1", 8000)
