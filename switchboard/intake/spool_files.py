"""The spool on disk: segments that one process appends to, and that are drained once nobody appends any more.

A segment is a head (mark, signals, payload bytes) and records, each with its length and checksum. Its name is an id of
the moment it was begun, so the order of names is the order of time. Whoever appends holds a lock on it, which the
kernel drops when that process dies; what can be locked may be drained.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from switchboard.intake.errors import SpoolFullError
from switchboard.kernel.ids import instant_of, new_id

SUFFIX = ".spool"
_DRAFT_SUFFIX = ".draft"
# Small enough to be read at once; the space of a drained segment is given back as a whole.
SEGMENT_BYTES = 4 << 20
_MARK = b"SWSPOOL1"
_HEAD = struct.Struct("<8sQ")
_RECORD = struct.Struct("<II")
LONGEST_RECORD = 64 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """What one request sent, encoded, and how many signals that is."""

    content: bytes
    signals: int


class Segment:
    """The segment this process appends to. Not for two threads at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{new_id()}{SUFFIX}"
        draft = self.path.with_suffix(_DRAFT_SUFFIX)
        self._descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._signals = 0
        self.bytes = 0
        try:
            # Under its name it is locked from the first moment: nobody can take it for one that was left behind.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(0, _HEAD.pack(_MARK, 0))
            os.fdatasync(self._descriptor)
            draft.rename(self.path)
            sync_folder(folder)
        except OSError:
            os.close(self._descriptor)
            draft.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            raise
        self.bytes = _HEAD.size

    def append(self, records: Sequence[Record]) -> None:
        """Write the records and wait for the disk; raises OSError with nothing of them left in the file."""
        content = b"".join(
            _RECORD.pack(len(record.content), zlib.crc32(record.content)) + record.content for record in records
        )
        signals = self._signals + sum(record.signals for record in records)
        try:
            self._write(self.bytes, content)
            # One wait for both. Whoever dies in between leaves a head that says too little, which misleads nobody but
            # the health page; one that says more than there is means that a record was lost.
            self._write(0, _HEAD.pack(_MARK, signals))
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.bytes)
            self._write(0, _HEAD.pack(_MARK, self._signals))
            raise
        self.bytes += len(content)
        self._signals = signals

    def seal(self) -> None:
        """Append no more: from now on it may be drained."""
        os.close(self._descriptor)

    def _write(self, offset: int, content: bytes) -> None:
        left = memoryview(content)
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            left, offset = left[written:], offset + written


class SpoolWriter:
    """Appends batches to segments of one folder, which together stay below `most_bytes` over all processes."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment: Segment | None = None

    def append(self, records: Sequence[Record]) -> None:
        """Keep the records of a batch; they are on the disk when this returns.

        Raises SpoolFullError when they are too many for the bound or the disk; nothing of them is kept then.
        """
        size = sum(len(record.content) + _RECORD.size for record in records)
        if count_bytes(self._folder) + size + _HEAD.size > self._most_bytes:
            raise SpoolFullError
        if self._segment is not None and self._segment.bytes + size > SEGMENT_BYTES:
            self.seal()
        try:
            self._segment = self._segment or Segment(self._folder)
            self._segment.append(records)
        except OSError as error:
            # What a disk has failed to write once, it is not asked to write again into the same place.
            self.seal()
            raise SpoolFullError from error

    def seal(self) -> None:
        """Let what is kept be drained."""
        if self._segment is not None:
            self._segment.seal()
            self._segment = None


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """What lies in a spool folder: signals that can be brought in, bytes of everything, and since when."""

    signals: int
    bytes: int
    oldest_at: datetime | None


def measure(folder: Path) -> SpoolFigures:
    """The figures of a folder, which need not exist."""
    if not folder.is_dir():
        return SpoolFigures(0, 0, None)
    signals = 0
    paths = list_segments(folder)
    for path in paths:
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD.size)
        except FileNotFoundError:
            # Drained a moment ago.
            continue
        if len(head) == _HEAD.size:
            signals += int(_HEAD.unpack(head)[1])
    return SpoolFigures(signals, count_bytes(folder), instant_of(UUID(paths[0].stem)) if paths and signals else None)


def count_bytes(folder: Path) -> int:
    """The size of all that was kept here, what was set aside included."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                # Drained a moment ago.
                continue
    return total


def list_segments(folder: Path) -> list[Path]:
    """The segments of a folder, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


class SealedSegment:
    """A segment that nobody appends to any more, locked for as long as it is read.

    `signals` is how many its head says that it holds.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.is_damaged = False
        head = os.pread(descriptor, _HEAD.size, 0)
        self.signals = int(_HEAD.unpack(head)[1]) if len(head) == _HEAD.size else 0

    @classmethod
    def find(cls, path: Path) -> "SealedSegment | None":
        """The segment; None while a living process appends to it, and when another has drained it a moment ago."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def records(self) -> Iterator[bytes]:
        """Every whole record, in order. A last one that was cut short was never acknowledged, and is left out.

        A whole one whose checksum is wrong is left out too, and `is_damaged` is set.
        """
        content = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        self.is_damaged = len(content) >= _HEAD.size and content[: len(_MARK)] != _MARK
        offset = len(content) if self.is_damaged else _HEAD.size
        while offset + _RECORD.size <= len(content):
            length, checksum = _RECORD.unpack_from(content, offset)
            offset += _RECORD.size
            record = content[offset : offset + length]
            if not 0 < length <= LONGEST_RECORD or len(record) < length:
                return
            offset += length
            if zlib.crc32(record) == checksum:
                yield record
            else:
                self.is_damaged = True

    def remove(self) -> None:
        """It is drained; one that is damaged is kept under another name, for somebody to look at."""
        if self.is_damaged:
            self._path.rename(self._path.with_suffix(".damaged"))
        else:
            self._path.unlink()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
