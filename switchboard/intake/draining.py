"""Emptying the spool into Postgres, oldest first, by one process of the machine at a time."""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from switchboard.intake.batcher import MOST_ROWS
from switchboard.intake.bringing_in import bring_in
from switchboard.intake.kept_signals import decode_request, encode_refused
from switchboard.intake.models import NewSignal, RefusedSignal
from switchboard.intake.spool_files import Record, SealedSegment, Segment, list_segments, sync_folder
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database

_LOCK = "drain.lock"

log = structlog.get_logger()


async def drain(database: Database, folder: Path) -> int:
    """Bring in every segment that nobody appends to; returns how many signals that were.

    Nothing happens while another process does it. Raises UnavailableError when Postgres goes away again: a segment is
    removed once all of it is committed, so the rest is brought in later, and what came in already comes in once.
    """
    drained = 0
    with _only_drainer(folder) as is_ours:
        for path in list_segments(folder) if is_ours else ():
            segment = SealedSegment.find(path)
            if segment is None:
                continue
            try:
                drained += await _drain_segment(database, folder, segment)
            finally:
                segment.close()
    if drained:
        log.info("intake.spool_drained", signals=drained)
    return drained


def read_back(folder: Path, most: int) -> list[NewSignal]:
    """The latest signals that processes which have ended left in a spool folder, about `most` at most."""
    found: list[NewSignal] = []
    for path in reversed(list_segments(folder)):
        segment = SealedSegment.find(path)
        if segment is None:
            continue
        found = [*(signal for request in _requests(segment) for signal in request), *found]
        segment.close()
        if len(found) >= most:
            break
    return found


async def _drain_segment(database: Database, folder: Path, segment: SealedSegment) -> int:
    drained = 0
    refused: list[RefusedSignal] = []
    for batch in _batches(segment):
        began = monotonic_seconds()
        refused += await bring_in(database, batch)
        drained += len(batch)
        # What comes in live has waited for nothing yet: it gets at least half of the database's time.
        await asyncio.sleep(monotonic_seconds() - began)
    if refused:
        await asyncio.to_thread(_set_aside, folder, refused)
    # A record whose length was damaged hides all that come after it.
    segment.is_damaged |= drained < segment.signals
    segment.remove()
    return drained


def _batches(segment: SealedSegment) -> Iterator[list[NewSignal]]:
    """Signals of whole requests, together at most `MOST_ROWS` unless one request has more."""
    batch: list[NewSignal] = []
    for signals in _requests(segment):
        if batch and len(batch) + len(signals) > MOST_ROWS:
            yield batch
            batch = []
        batch += signals
    if batch:
        yield batch


def _requests(segment: SealedSegment) -> Iterator[list[NewSignal]]:
    for record in segment.records():
        try:
            yield decode_request(record)
        except msgspec.DecodeError:
            # Written by another version: the segment is kept for it.
            segment.is_damaged = True


def _set_aside(folder: Path, refused: Sequence[RefusedSignal]) -> None:
    """Keep what Postgres refuses, and why, in a file of its own, for a person to look at."""
    segment = Segment(folder)
    segment.append([Record(encode_refused(refused), len(refused))])
    segment.path.rename(segment.path.with_suffix(".refused"))
    sync_folder(folder)
    segment.seal()


@contextmanager
def _only_drainer(folder: Path) -> Iterator[bool]:
    """Whether this process may drain now; the kernel gives the right back when it dies."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
