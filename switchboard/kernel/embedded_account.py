"""Which account of the operating system runs the embedded Postgres.

Postgres refuses to run as root. Started by root it gets an account of its own; started by anybody else it
runs as them.
"""

import os
import pwd
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from switchboard.kernel.errors import ConfigurationError

NAME = "switchboard-db"

_CREATE_COMMANDS = (
    (
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/bin/false",
        NAME,
    ),
    ("adduser", "-S", "-D", "-H", "-s", "/bin/false", NAME),
)
_APPEARANCE_LIMIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account that root lends to Postgres."""

    name: str
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """(uid, gid), as processes and files want them."""
        return self.uid, self.gid


def find_server_account(data: Path) -> Account | None:
    """The account to run Postgres as; None when that is simply the current user.

    The owner of an existing data folder keeps it; otherwise the account is made at the first start by root.
    Raises ConfigurationError where even root may not become another account.
    """
    if os.geteuid() != 0:
        return None
    account = _owner_of(data) or _dedicated()
    if output_as(account, ["/bin/sh", "-c", ":"]) is None:
        raise ConfigurationError(
            f"Postgres does not run as root, and root may not become {account.name} here: start Switchboard as "
            "another user, or set DATABASE_URL to a PostgreSQL 15 or newer.",
        )
    return account


def can_enter(account: Account | None, folder: Path) -> bool:
    """Whether the account gets into the folder, asked of the kernel: mode bits are half the truth."""
    argv = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
    return output_as(account, argv) is not None


def output_as(account: Account | None, argv: list[str]) -> str | None:
    """What the command prints when this account runs it; None when it may not run it, or it fails."""
    try:
        finished = subprocess.run(  # noqa: S603 - the program and its arguments are ours.
            argv,
            check=False,
            capture_output=True,
            text=True,
            timeout=10,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout if finished.returncode == 0 else None


def _owner_of(data: Path) -> Account | None:
    if not data.exists() or data.stat().st_uid == 0:
        return None
    status = data.stat()
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        name = str(status.st_uid)
    return Account(name, status.st_uid, status.st_gid)


def _dedicated() -> Account:
    existing = _find(NAME)
    if existing is not None:
        return existing
    created = any(output_as(None, list(command)) is not None for command in _CREATE_COMMANDS)
    # Another start may be creating the account at this moment, and then ours has failed on its lock.
    return _await_account(0.0 if created else _APPEARANCE_LIMIT_SECONDS) or _nobody()


def _await_account(limit_seconds: float) -> Account | None:
    deadline = time.monotonic() + limit_seconds
    while True:
        account = _find(NAME)
        if account is not None or time.monotonic() >= deadline:
            return account
        time.sleep(0.05)


def _nobody() -> Account:
    return _find("nobody") or Account("65534", 65534, 65534)


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)
