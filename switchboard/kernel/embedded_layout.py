"""Where the embedded Postgres keeps its data, socket and logs."""

import os
import stat
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from switchboard.kernel.embedded_account import Account, can_enter
from switchboard.kernel.embedded_programs import SHARED_FOLDER, make_passable
from switchboard.kernel.errors import ConfigurationError

PORT = 5432

# The kernel's limit for a socket's address is 104 bytes on macOS and 108 on Linux, the closing zero included.
_LONGEST_SOCKET_BYTES = 103


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one server, all under `base`, except the socket's where that path would be too long."""

    base: Path

    @property
    def data(self) -> Path:
        """The cluster itself: what Postgres calls PGDATA."""
        return self.base / "postgres"

    @property
    def logs(self) -> Path:
        """One file for each weekday, overwritten a week later, and `start.log`."""
        return self.base / "logs" / "postgres"

    @property
    def sockets(self) -> Path:
        """A folder only the server's account and root can enter: that is what guards the unix socket."""
        near = self.base / "run"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= _LONGEST_SOCKET_BYTES:
            return near
        return Path(tempfile.gettempdir()) / f"switchboard-{zlib.crc32(os.fsencode(self.base)):08x}"


def find_layout(home: Path) -> Layout:
    """The layout a data folder has now, without touching anything."""
    link = home / "postgres"
    return Layout(link.resolve().parent if link.is_symlink() else home)


def prepare_layout(home: Path, account: Account | None) -> Layout:
    """Make the folders, owned by the account.

    In a home that the account cannot reach, as under /root, `postgres` is a link into /var/lib/switchboard.
    """
    layout = find_layout(home)
    if layout.base == home and account is not None and not _made_reachable(home, account):
        layout = _linked_elsewhere(home)
    for folder in (layout.base, layout.logs.parent):
        make_passable(folder)
    for folder in (layout.logs, layout.sockets):
        _make_private(folder, account)
    return layout


def _made_reachable(home: Path, account: Account) -> bool:
    """Whether the account gets into home, after opening home itself, but never a folder above it."""
    if not can_enter(account, home) and can_enter(account, home.parent):
        make_passable(home)
    return can_enter(account, home)


def _linked_elsewhere(home: Path) -> Layout:
    layout = Layout(SHARED_FOLDER / os.urandom(6).hex())
    (home / "postgres").symlink_to(layout.data)
    return layout


def _make_private(folder: Path, account: Account | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    uid = account.uid if account else os.geteuid()
    # In a shared temporary folder somebody else could have put this name there first.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {uid, os.geteuid()}:
        raise ConfigurationError(
            f"{folder} belongs to another user: remove it, or set SWITCHBOARD_HOME to a folder with a shorter path.",
        )
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
