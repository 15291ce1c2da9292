"""Debian's PostgreSQL 15 as an administrator hands it out: TCP, a password, and no right beyond one database."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from tests.kernel.scratch_postgres import run_unprivileged
from tests.processes import free_port

INSTALLED = Path("/usr/lib/postgresql/15")
SHARED = Path("/usr/share/postgresql/15")
PASSWORD = "an administrator's secret"
OWNER, APPLICATION = "crm_owner", "crm_app"
LOOPBACK = "127.0.0.1"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class OwnPostgres:
    """A running server; databases of `OWNER` are made on demand, and `APPLICATION` may only connect."""

    programs: Path
    folder: Path
    port: int
    hosts: tuple[str, ...] = (LOOPBACK,)
    settings: Mapping[str, str] = field(default_factory=dict)

    def url(self, database: str, role: str, host: str = LOOPBACK) -> str:
        """The address as one writes it into DATABASE_URL."""
        return f"postgresql://{role}:{PASSWORD.replace(' ', '%20')}@{host}:{self.port}/{database}"

    def new_database(self, *extensions: str) -> str:
        """An empty database of `OWNER`, with what only an administrator could have put into it; returns its name."""
        name = f"crm_{next(_NUMBERS)}"
        self._administer("postgres", sql.SQL("CREATE DATABASE {} OWNER {}").format(*_names(name, OWNER)))
        for extension in extensions:
            self._administer(name, sql.SQL("CREATE EXTENSION {}").format(*_names(extension)))
        return name

    def count(self, database: str, statement: str) -> int:
        """One number, as the administrator sees it: across all workspaces."""
        with psycopg.connect(self.url(database, "postgres")) as connection:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return int(row[0])

    def start(self) -> None:
        options = f"-k {self.folder} -p {self.port} -h {','.join(self.hosts)} -F -c max_wal_size=64MB"
        options += "".join(f" -c {name}={value}" for name, value in self.settings.items())
        self._control("-o", options, "-l", f"{self.folder}/log", "start")

    def start_unless_running(self) -> None:
        if not (self.folder / "data" / "postmaster.pid").exists():
            self.start()

    def stop(self) -> None:
        """As an administrator restarts it: connections are ended, not waited for."""
        self._control("stop", "-m", "fast")

    def stop_at_once(self) -> None:
        """As after a loss of power, save for what the disk has: nothing is finished, and recovery follows."""
        self._control("stop", "-m", "immediate")

    def is_alive(self) -> bool:
        """Whether there is a postmaster, also one that recovers and answers nobody."""
        try:
            return psutil.pid_exists(self._postmaster_id())
        except (FileNotFoundError, IndexError):
            return False

    def processes(self) -> list[psutil.Process]:
        """The postmaster and all its processes, as they are now."""
        postmaster = psutil.Process(self._postmaster_id())
        return [postmaster, *postmaster.children(recursive=True)]

    def remove(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder)

    def make_cluster(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        run_unprivileged(
            self.programs / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "scram-sha-256",
            f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {host}/24 scram-sha-256\n" for host in self.hosts if host != LOOPBACK)

    def make_roles(self) -> None:
        for role in (OWNER, APPLICATION):
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            self._administer("postgres", statement.format(sql.Identifier(role), sql.Literal(PASSWORD)))

    def _postmaster_id(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def _administer(self, database: str, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _control(self, *words: str) -> None:
        run_unprivileged(self.programs / "pg_ctl", "-D", self.folder / "data", "-w", *words)


def _names(*names: str) -> Iterator[sql.Identifier]:
    return (sql.Identifier(name) for name in names)


@contextmanager
def own_postgres(
    *,
    with_contrib: bool,
    parent: Path | None = None,
    hosts: tuple[str, ...] = (LOOPBACK,),
    settings: Mapping[str, str] | None = None,
) -> Iterator[OwnPostgres]:
    """A running server of a fresh cluster; without contrib there is no extension that could be created."""
    folder = Path(tempfile.mkdtemp(prefix="own-", dir=parent))
    programs = INSTALLED / "bin" if with_contrib else _install_without_contrib(folder / "installed")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", folder], check=True, timeout=30)
    server = OwnPostgres(programs, folder, free_port(), hosts, settings or {})
    try:
        server.make_cluster()
        server.start()
        server.make_roles()
        yield server
    finally:
        server.remove()


def _install_without_contrib(root: Path) -> Path:
    """A copy of the programs, which find their extensions beside themselves: none but plpgsql."""
    programs = root / INSTALLED.relative_to("/") / "bin"
    shared = root / SHARED.relative_to("/")
    shutil.copytree(INSTALLED / "bin", programs, symlinks=True)
    (programs.parent / "lib").symlink_to(INSTALLED / "lib")
    shutil.copytree(SHARED, shared, ignore=shutil.ignore_patterns("extension"))
    (shared / "extension").mkdir()
    for path in (SHARED / "extension").glob("plpgsql*"):
        shutil.copy(path, shared / "extension")
    return programs


def count_rows(url: str, statement: str) -> int:
    """The number that a statement answers with."""
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return int(row[0])
