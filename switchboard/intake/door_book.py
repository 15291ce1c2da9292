"""The sources as this machine last saw them, for as long as Postgres is away.

They lie on the disk, so that a process that starts meanwhile knows them too. They hold signing secrets: the file is
sealed with the instance's secret, and holds digests of the tokens only.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from uuid import UUID

import msgspec
import structlog

from switchboard.accounts import service as accounts
from switchboard.intake import repository
from switchboard.intake.models import Source
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.secrets import find_unsealed, load_app_secret, seal
from switchboard.kernel.settings import Settings

FILE = "sources.sealed"
MOST_SOURCES = 20_000
_PURPOSE = "intake.sources"

log = structlog.get_logger()

_DECODER = msgspec.msgpack.Decoder(dict[str, Source])


class DoorBook:
    """Sources by the digest of their token."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.home / FILE
        self._settings = settings
        self._sources: Mapping[str, Source] = {}
        self._written = b""
        self.is_behind = True

    def note(self, token: str) -> None:
        """This token is somebody's: unless that is known here, it is time to refresh."""
        if self.find(token) is None:
            self.is_behind = True

    def find(self, token: str) -> Source | None:
        """The source of a token, as it was last seen."""
        return self._sources.get(accounts.token_digest(token))

    def read(self) -> None:
        """Take up what an earlier process has written; a file that cannot be read is as good as none."""
        try:
            content = find_unsealed(load_app_secret(self._settings), _PURPOSE, self._path.read_bytes())
            self._sources = {} if content is None else _DECODER.decode(content)
        except (OSError, msgspec.DecodeError, ConfigurationError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("intake.sources_unreadable", reason=type(error).__name__)
            return
        if content is None:
            log.warning("intake.sources_unreadable", reason="sealed with another secret")

    async def refresh(self, database: Database) -> None:
        """Read all sources of all workspaces, and write them down when they have changed; raises OSError."""
        self.is_behind = False
        self._sources = await _load_sources(database)
        content = msgspec.msgpack.encode(self._sources)
        if content != self._written:
            self._write(seal(load_app_secret(self._settings), _PURPOSE, content))
            self._written = content

    def _write(self, sealed: bytes) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path)


def is_written(settings: Settings) -> bool:
    """Whether an earlier process has left what intake needs to know without Postgres."""
    return (settings.home / FILE).exists()


async def _load_sources(database: Database) -> dict[str, Source]:
    async with database.directory() as tx:
        listed = await accounts.list_addresses(tx, "intake", MOST_SOURCES)
        digests = {target: digest for digest, _, target in listed if target is not None}
        known: dict[str, Source] = {}
        for workspace_id, group in groupby(sorted(listed, key=lambda row: row[1]), key=lambda row: row[1]):
            await tx.enter_workspace(workspace_id)
            ids: list[UUID] = [target for _, _, target in group if target is not None]
            found = await repository.load_sources(tx, ids)
            known |= {digests[each]: replace(source, token="") for each, source in found.items()}
    return known
