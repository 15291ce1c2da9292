"""Kill -9 before every call to the system, one after the other, while signals are kept and brought in."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import spool_files
from switchboard.intake.draining import drain
from switchboard.intake.kept_signals import encode_request
from switchboard.intake.models import NewSignal
from switchboard.intake.spool_files import Record, SpoolWriter, list_segments
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from tests.conftest import Urls
from tests.intake.test_spool_files import kept

MEGABYTE = 1 << 20
BATCHES = 6
KEEPING = ("open", "pwrite", "fdatasync", "fsync", "rename", "unlink", "close", "ftruncate")
DRAINING = ("open", "pread", "unlink", "rename", "close")


class Killer:
    """Ends this process with SIGKILL before the n-th of the calls it has been put in front of."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self._seen = 0

    def guard(self, place: Any, name: str) -> None:
        real = getattr(place, name)

        def guarded(*args: Any, **named: Any) -> Any:
            self.count()
            return real(*args, **named)

        setattr(place, name, guarded)

    def guard_half_writes(self) -> None:
        """Of a write that is not reached whole, half is on the disk."""
        real = os.pwrite

        def guarded(descriptor: int, content: memoryview, offset: int) -> int:
            self.count(lambda: real(descriptor, bytes(content)[: len(content) // 2], offset))
            return real(descriptor, content, offset)

        os.pwrite = guarded  # type: ignore[assignment]

    def count(self, before: Callable[[], object] = lambda: None) -> None:
        self._seen += 1
        if self._seen == self._fatal:
            before()
            os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[int], None]) -> tuple[list[bytes], bool]:
    """Run `work` in a fork with a pipe to acknowledge on; returns what was, and whether it ended by itself."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        acknowledged = answers.read().splitlines()
    _, status = os.waitpid(child, 0)
    return acknowledged, os.WIFEXITED(status)


def keep_batches(folder: Path, fatal: int, writing: int) -> None:
    """Two requests a batch, of which each is acknowledged when the batch is kept; a segment holds two batches."""
    spool_files.SEGMENT_BYTES = 300
    killer = Killer(fatal)
    for name in KEEPING:
        killer.guard(os, name)
    killer.guard_half_writes()
    killer.guard(fcntl, "flock")
    writer = SpoolWriter(folder, MEGABYTE)
    for batch in range(BATCHES):
        contents = [b"%d-%d" % (batch, request) + b"." * 50 for request in range(2)]
        writer.append([Record(content, 1) for content in contents])
        os.write(writing, b"".join(content + b"\n" for content in contents))
    writer.seal()


def test_whatever_was_acknowledged_is_there_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    everything = [b"%d-%d" % (batch, request) + b"." * 50 for batch in range(BATCHES) for request in range(2)]
    for fatal in count(1):
        folder = tmp_path / str(fatal)
        folder.mkdir()
        acknowledged, is_over = in_child(lambda writing: keep_batches(folder, fatal, writing))  # noqa: B023 used at once
        found = kept(folder)
        assert acknowledged == found[: len(acknowledged)]
        assert found == everything[: len(found)]
        if is_over:
            break
    assert fatal > 40
    assert len(acknowledged) == 2 * BATCHES


def drain_once(urls: Urls, folder: Path, fatal: int) -> None:
    """Bring in what lies in the folder; a commit counts as a call before and after."""
    killer = Killer(fatal)
    for name in DRAINING:
        killer.guard(os, name)
    killer.guard(fcntl, "flock")
    real = Database._commit

    async def commit(database: Database, *words: Any) -> None:
        killer.count()
        await real(database, *words)
        killer.count()

    Database._commit = commit  # type: ignore[assignment, method-assign]

    async def work() -> None:
        database = Database(urls.application, build_hub(), max_connections=2)
        await database.open()
        await drain(database, folder)

    asyncio.run(work())


def test_what_is_killed_while_bringing_in_brings_it_in_once(urls: Urls, tmp_path: Path) -> None:
    workspace_id, source_id = new_id(), new_id()
    for fatal in count(1):
        folder = tmp_path / str(fatal)
        folder.mkdir()
        signals = [
            NewSignal(new_id(), workspace_id, source_id, new_id(), 60, f'{{"round": {fatal}}}') for _ in range(4)
        ]
        writer = SpoolWriter(folder, MEGABYTE)
        for pair in (signals[:2], signals[2:]):
            writer.append([Record(encode_request(pair), 2)])
            writer.seal()
        _, is_over = in_child(lambda _: drain_once(urls, folder, fatal))  # noqa: B023 used at once
        if not is_over:
            _, is_over_now = in_child(lambda _: drain_once(urls, folder, 0))  # noqa: B023 used at once
            assert is_over_now
        assert list_segments(folder) == []
        with psycopg.connect(urls.superuser) as connection:
            rows = connection.execute(
                "SELECT id FROM app.signal WHERE payload->>'round' = %s ORDER BY received_at, id", (str(fatal),)
            ).fetchall()
        assert [row[0] for row in rows] == [each.id for each in signals]
        if is_over:
            break
    assert fatal > 12
