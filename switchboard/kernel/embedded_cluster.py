"""Making the embedded cluster: it appears complete, or not at all."""

import os
import shutil
from pathlib import Path

from switchboard.kernel.embedded_configuration import ACCESS_RULES, render_configuration
from switchboard.kernel.embedded_layout import Layout
from switchboard.kernel.embedded_programs import Programs
from switchboard.kernel.errors import ConfigurationError

SUPERUSER = "postgres"
OWNER = "switchboard_owner"
APPLICATION = "switchboard_app"
DATABASE = "switchboard"

_EXTENSIONS = ("pg_trgm", "vector")

# No ICU and no locale of the operating system, whose upgrades would silently corrupt indexes on text.
_INITDB = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)

# Postgres in single-user mode reads one statement a line.
_ROLES = (
    # Makes the role that owns the schema and runs migrations; no index.
    f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOBYPASSRLS",
    # Makes the role the application connects as, which row-level security binds; no index.
    f"CREATE ROLE {APPLICATION} LOGIN NOSUPERUSER NOBYPASSRLS",
    # Makes the database from template1, extensions included; no index.
    f"CREATE DATABASE {DATABASE} OWNER {OWNER} TEMPLATE template1",
    # Shuts every role out that is not ours; no index.
    f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
    # Lets the application in, with temporary tables for imports; no index.
    f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APPLICATION}",
)


def prepare_cluster(layout: Layout, programs: Programs, *, durable: bool) -> None:
    """Make the cluster at the first start, check its version at every other, and write its configuration."""
    if (layout.data / "PG_VERSION").exists():
        _require_version(layout.data, programs.major_version)
    else:
        _create(layout, programs, durable=durable)
    _write(layout.data / "postgresql.conf", render_configuration(layout, durable=durable), programs)


def _require_version(data: Path, expected: int) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != str(expected):
        raise ConfigurationError(
            f"The data in {data} was written by PostgreSQL {found} and this Switchboard brings {expected}: "
            "start it with the Switchboard that wrote it, run `switchboard backup`, and restore into a new "
            "SWITCHBOARD_HOME.",
        )


def _create(layout: Layout, programs: Programs, *, durable: bool) -> None:
    """Build beside the final name, then rename: a crash half-way leaves nothing that looks like a cluster."""
    draft = layout.data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if programs.account is not None:
        os.chown(draft, *programs.account.owner)
    programs.run("initdb", [f"--pgdata={draft}", f"--username={SUPERUSER}", *_INITDB])
    _create_roles(draft, programs)
    _write(draft / "pg_hba.conf", ACCESS_RULES, programs)
    if durable:
        programs.run("initdb", [f"--pgdata={draft}", "--sync-only"])
    draft.rename(layout.data)


def _create_roles(draft: Path, programs: Programs) -> None:
    # Makes what this build of Postgres has, in template1, so that every later database has it too; no index.
    extensions = [f"CREATE EXTENSION {name}" for name in _EXTENSIONS if programs.has_extension(name)]
    script = "".join(f"{statement}\n" for statement in (*extensions, *_ROLES))
    # Nothing is synchronised yet: one pass over the finished files does that for all of them.
    said = programs.run(
        "postgres",
        ["--single", "-F", "-c", "log_checkpoints=off", "-D", str(draft), "template1"],
        text=script,
    )
    problems = [line for line in said.splitlines() if "ERROR:" in line or "FATAL:" in line]
    if problems:
        raise ConfigurationError(f"The embedded Postgres could not be prepared: {problems[0]}")


def _write(path: Path, text: str, programs: Programs) -> None:
    path.write_text(text)
    path.chmod(0o600)
    if programs.account is not None:
        os.chown(path, *programs.account.owner)
