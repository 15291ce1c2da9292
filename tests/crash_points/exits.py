"""A process that ends where a fault says so: `python -m tests.crash_points.exits` tells one story a line in a child.

The children are forked from a process that has imported everything and has no other thread, because a new
interpreter for each of some hundred stories takes minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO
from uuid import UUID

from tests.crash_points.company import Company
from tests.crash_points.faults import EXIT_STATUS, Fault
from tests.crash_points.ledger import Ledger
from tests.crash_points.story import Scene
from tests.crash_points.telling import suffer

MOST_COMPLAINTS = 5_000
ROOT = Path(__file__).parents[2]


class Nursery:
    """Starts processes that suffer faults, and says how each ended."""

    def __init__(self, parent: "subprocess.Popen[str]", complaints: IO[str]) -> None:
        self._parent = parent
        self._complaints = complaints

    def suffer(self, scene: Scene, planned: Sequence[Fault]) -> bool:
        """Tell the story in a process of its own; True when it ended on the spot, False when it told all."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(_written(scene, planned), default=str) + "\n")
        self._parent.stdin.flush()
        status = int(self._parent.stdout.readline() or -1)
        assert status in {0, EXIT_STATUS}, f"the process ended with {status}: {self._read_complaints()}"
        return status == EXIT_STATUS

    def _read_complaints(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()[-MOST_COMPLAINTS:]


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A parent of processes, which ends with the block."""
    command = [sys.executable, "-m", "tests.crash_points.exits"]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as parent,
    ):
        yield Nursery(parent, complaints)
        assert parent.stdin is not None
        parent.stdin.close()
        parent.wait(timeout=30)


def _written(scene: Scene, planned: Sequence[Fault]) -> dict[str, object]:
    return {
        "superuser_url": scene.superuser_url,
        "application_url": scene.application_url,
        "company": asdict(scene.company),
        "number": scene.number,
        "ledger": scene.ledger.file,
        "planned": [asdict(fault) for fault in planned],
    }


def _read(line: str) -> tuple[Scene, list[Fault]]:
    given = json.loads(line)
    company = given["company"]
    ids = {name: UUID(company[name]) for name in ("workspace_id", "flow_id")}
    scene = Scene(
        given["superuser_url"],
        given["application_url"],
        Company(**{**company, **ids}),
        given["number"],
        Ledger(Path(given["ledger"])),
    )
    return scene, [Fault(**fault) for fault in given["planned"]]


def main() -> None:
    """Fork a child a line, and answer with the status it ended with."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _tell(line)
        _, ended = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _tell(line: str) -> None:
    status = 1
    # What the story logs must not stand among the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        suffer(*_read(line))
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Without the parent's exit handlers and buffers, whatever happened.
        os._exit(status)


if __name__ == "__main__":
    main()
