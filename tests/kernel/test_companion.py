"""Two processes on one wire: each learns when the other is gone, in whichever way."""

import os
import signal
import subprocess
import sys

import pytest

from tests.processes import eventually

SCRIPT = """
import asyncio, os, sys
from switchboard.kernel.companion import fork_companion, hear_end

def companion(wire):
    {companion}

other = fork_companion(companion)
print(other.pid, flush=True)
{parent}
print(other.wait(), flush=True)
"""
UNTIL_LEFT = "asyncio.run(hear_end(wire))"


def launch(companion: str, parent: str = "") -> subprocess.Popen[str]:
    script = SCRIPT.format(companion=companion, parent=parent)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("companion", "code"),
    [(UNTIL_LEFT, "0"), ("raise RuntimeError('why')", "1"), ("os.kill(os.getpid(), 9)", "-9"), ("sys.exit(3)", "1")],
)
def test_the_parent_hears_how_its_companion_ended(companion: str, code: str) -> None:
    process = launch(companion)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output.split()[1]) == (0, code)
    assert ("why" in errors) is ("why" in companion)


def test_the_end_of_the_companion_is_heard_at_once() -> None:
    process = launch("os.kill(os.getpid(), 9)", "asyncio.run(hear_end(other.wire))")
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output.split()[1]) == (0, "-9")


def test_a_companion_ends_when_its_parent_is_killed() -> None:
    process = launch(UNTIL_LEFT, "import time; time.sleep(60)")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    eventually(lambda: is_gone(pid), what="the end of the companion")
