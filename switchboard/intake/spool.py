"""Keeping signals on this machine's disk while Postgres is away."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from switchboard.intake.errors import SpoolFullError
from switchboard.intake.kept_signals import encode_request
from switchboard.intake.models import NewSignal
from switchboard.intake.reserve import Kept
from switchboard.intake.spool_files import Record, SpoolWriter, measure

FOLDER = "spool"
_SET_ASIDE = ("*.damaged", "*.refused")

log = structlog.get_logger()


class Spool:
    """A folder of segments. Several processes share it; each appends to a segment of its own."""

    # A disk that fails is asked again each time: it fails at once.
    is_away = False

    def __init__(self, home: Path, most_bytes: int) -> None:
        self.folder = home / FOLDER
        self._most_bytes = most_bytes
        self._writer = SpoolWriter(self.folder, most_bytes)
        self._one_at_a_time = asyncio.Lock()

    async def open(self) -> None:
        """Make the folder; where it cannot be made, nothing is kept, and `measure` says so."""
        try:
            await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            log.warning("intake.spool_unusable", reason=error.strerror)

    async def keep(self, requests: Sequence[Sequence[NewSignal]]) -> None:
        """Append the requests and wait for the disk; raises SpoolFullError when there is no room."""
        async with self._one_at_a_time:
            # A request that goes away must not leave a write under way behind it.
            await asyncio.shield(asyncio.to_thread(self._append, requests))

    async def seal(self) -> None:
        """Let what is kept be drained."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._writer.seal)

    async def close(self) -> None:
        """Let go; what is kept stays for whoever starts next."""
        await self.seal()

    async def measure(self) -> Kept:
        """What lies in the folder, of all processes."""
        return await asyncio.to_thread(find_kept, self.folder, self._most_bytes)

    def _append(self, requests: Sequence[Sequence[NewSignal]]) -> None:
        try:
            self._writer.append([Record(encode_request(signals), len(signals)) for signals in requests])
        except FileNotFoundError as error:
            raise SpoolFullError from error


def find_kept(folder: Path, most_bytes: int) -> Kept:
    """What lies in a spool folder."""
    if not folder.is_dir():
        return Kept("disk", most_bytes=most_bytes, error=f"The folder {folder} cannot be made or written into.")
    found = measure(folder)
    set_aside = len(find_set_aside(folder))
    # Ids are made by this machine's clock, and so is the age.
    now = datetime.now(UTC)  # gate: clock compared to an instant of the same clock
    age = None if found.oldest_at is None else (now - found.oldest_at).total_seconds()
    return Kept("disk", found.signals, found.bytes, most_bytes, age, set_aside)


def find_set_aside(folder: Path) -> list[Path]:
    """The files of a spool folder that could not be brought in whole."""
    return sorted(path for pattern in _SET_ASIDE for path in folder.glob(pattern))
