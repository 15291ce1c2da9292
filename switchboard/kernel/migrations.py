"""Brings a database's schema up to the code's, or back: one runner at a time, each file whole or not at all.

The address given must reach Postgres itself: behind a pooler in transaction mode the lock would not hold.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from switchboard.kernel.errors import ConfigurationError, DatabaseAwayError
from switchboard.kernel.migration_files import DIRECTORY, Migration, Script, discover
from switchboard.kernel.migration_ledger import Applied, Connection, fetch_value, forget, read_ledger, record

OLDEST_SERVER = 15
# Any constant will do as long as no other program takes an advisory lock of the same number in this database.
LOCK_KEY = 7_305_414_962_100_615
LOCK_WAIT = timedelta(seconds=60)
LOCK_POLL_SECONDS = 0.1
CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Status:
    """How a database stands to this code's migrations; each tuple oldest first.

    `skipped` are optional ones whose extension was missing, `drifted` applied ones whose file has changed
    since, `unknown` those a newer version of the code applied.
    """

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]
    skipped: tuple[Migration, ...]
    drifted: tuple[Migration, ...]
    unknown: tuple[Applied, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the runner did: `outcome` is `applied`, `skipped` or `undone`."""

    migration: Migration
    outcome: str


def status(conn: Connection, directory: Path = DIRECTORY) -> Status:
    """How the database behind `conn` stands to `directory`; needs SELECT on the ledger only."""
    return compare(discover(directory), read_ledger(conn))


def compare(migrations: Sequence[Migration], ledger: Sequence[Applied]) -> Status:
    """Status from the files and the ledger's rows, without a database."""
    rows = {row.version: row for row in ledger}
    known = [migration for migration in migrations if migration.version in rows]
    ran = [migration for migration in known if rows[migration.version].skipped_for is None]
    versions = {migration.version for migration in migrations}
    return Status(
        applied=tuple(row for row in ledger if row.skipped_for is None),
        pending=tuple(migration for migration in migrations if migration.version not in rows),
        skipped=tuple(migration for migration in known if rows[migration.version].skipped_for is not None),
        drifted=tuple(migration for migration in ran if rows[migration.version].checksum != migration.checksum),
        unknown=tuple(row for row in ledger if row.version not in versions),
    )


def require_current(conn: Connection, directory: Path = DIRECTORY) -> Status:
    """For a process about to serve: refuses an old server, pending or changed migrations.

    Migrations of a newer version are fine, because old code runs on a new schema while a release goes out;
    they are in `unknown` for the caller to log.
    """
    check_server(conn)
    try:
        found = status(conn, directory)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The role {conn.info.user} may not read the schema app. "
            "Run `switchboard migrate up` with the owner's role in DATABASE_OWNER_URL, which grants it."
        ) from error
    _refuse_drift(found)
    if found.pending:
        labels = ", ".join(migration.label for migration in found.pending)
        raise ConfigurationError(
            f"The database is behind this version of Switchboard: {len(found.pending)} pending ({labels}). "
            "Run `switchboard migrate up`, then start again."
        )
    return found


def migrate_up(
    url: str,
    target: int | None = None,
    *,
    directory: Path = DIRECTORY,
    extensions: frozenset[str] | None = None,
    lock_wait: timedelta = LOCK_WAIT,
) -> list[Step]:
    """Apply what is pending, up to and with version `target`; returns what was done.

    `extensions` are those that optional migrations may use; None asks the server.
    """
    migrations = discover(directory)
    _check_target(migrations, target)
    with _runner(url, lock_wait) as conn:
        found = compare(migrations, read_ledger(conn))
        _refuse_drift(found)
        offered = available_extensions(conn) if extensions is None else extensions
        wanted = sorted(found.pending + found.skipped, key=lambda migration: migration.version)
        steps = [_advance(conn, one, offered) for one in wanted if target is None or one.version <= target]
        recorded = {migration.version for migration in found.skipped}
        return [step for step in steps if step.outcome == "applied" or step.migration.version not in recorded]


def migrate_down(url: str, target: int, *, directory: Path = DIRECTORY, lock_wait: timedelta = LOCK_WAIT) -> list[Step]:
    """Undo every migration above version `target`, newest first; 0 leaves no table."""
    migrations = discover(directory)
    _check_target(migrations, target or None)
    with _runner(url, lock_wait) as conn:
        ledger = read_ledger(conn)
        found = compare(migrations, ledger)
        _refuse_drift(found)
        _refuse_unknown(found, target)
        recorded = {row.version for row in ledger if row.version > target}
        skipped = {migration.version for migration in found.skipped}
        return [
            _retreat(conn, one, runs=one.version not in skipped)
            for one in reversed(migrations)
            if one.version in recorded
        ]


def check_server(conn: Connection) -> None:
    """ConfigurationError when the server behind `conn` is older than we support."""
    check_version(conn.info.server_version)


def check_version(number: int) -> None:
    """The same for a version as Postgres numbers it: 150004 is 15.4."""
    major, minor = divmod(number, 10_000)
    if major < OLDEST_SERVER:
        raise ConfigurationError(
            f"The database runs PostgreSQL {major}.{minor}, and Switchboard needs {OLDEST_SERVER} or newer. "
            "Upgrade it, or leave DATABASE_URL unset to use the embedded one."
        )


def available_extensions(conn: Connection) -> frozenset[str]:
    """Extensions installed here, or that this role may install."""
    # Which extensions can be used without help from an administrator? Catalogs only.
    rows = conn.execute(
        """
        SELECT extname::text FROM pg_catalog.pg_extension
        UNION
        SELECT v.name::text FROM pg_catalog.pg_available_extension_versions v
        JOIN pg_catalog.pg_roles r ON r.rolname = current_user
        WHERE r.rolsuper
           OR ((v.trusted OR NOT v.superuser)
               AND pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))
        """
    ).fetchall()
    return frozenset(row[0] for row in rows)


def connect(url: str) -> Connection:
    """An autocommit connection for schema work, or a ConfigurationError that keeps the password.

    It is a DatabaseAwayError where the address can be read and nobody answers as wanted.
    """
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="switchboard migrate",
        )
    except psycopg.OperationalError as error:
        place = _describe_place(url)
        # libpq explains itself over several lines; the first names the cause.
        cause = str(error).strip().splitlines()[0].removeprefix("connection failed: ")
        raise DatabaseAwayError(
            f"The database at {place} cannot be reached: {cause}. Check that it runs and that DATABASE_URL is right."
        ) from error
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            "DATABASE_URL cannot be read: write it like postgresql://user:password@host:5432/name."
        ) from error


def _describe_place(url: str) -> str:
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'the local socket')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


@contextmanager
def _runner(url: str, lock_wait: timedelta) -> Iterator[Connection]:
    """A connection that holds the one migration lock; closing it gives the lock back."""
    with connect(url) as conn:
        check_server(conn)
        _acquire_lock(conn, lock_wait)
        yield conn


def _acquire_lock(conn: Connection, lock_wait: timedelta) -> None:
    """Ask again and again: a blocked asker holds a snapshot that CREATE INDEX CONCURRENTLY waits for."""
    deadline = time.monotonic() + lock_wait.total_seconds()
    # Is no other runner at work in this database?
    while fetch_value(conn, "SELECT pg_catalog.pg_try_advisory_lock(%s)", LOCK_KEY) is not True:
        if time.monotonic() >= deadline:
            raise ConfigurationError(
                f"Another migration has been running here for {lock_wait.total_seconds():g} s "
                f"or longer (server process {_find_lock_holder(conn)}). Wait until it ends, then try again."
            )
        time.sleep(LOCK_POLL_SECONDS)


def _find_lock_holder(conn: Connection) -> int | None:
    # Which server process holds the migration lock? A bigint key stands in two halves in the lock table.
    holder = fetch_value(
        conn,
        """
        SELECT pid FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND (classid::bigint << 32) + objid::bigint = %s
          AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        """,
        LOCK_KEY,
    )
    return holder if isinstance(holder, int) else None


def _advance(conn: Connection, migration: Migration, offered: frozenset[str]) -> Step:
    extension = migration.up.extension
    if extension is not None and extension not in offered:
        with conn.transaction():
            record(conn, migration, skipped_for=extension)
        return Step(migration, "skipped")
    with _script_errors(migration.up), _script_scope(conn, migration.up):
        if extension is not None:
            conn.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public").format(sql.Identifier(extension)))
        _run(conn, migration.up)
        record(conn, migration, skipped_for=None)
    return Step(migration, "applied")


def _retreat(conn: Connection, migration: Migration, *, runs: bool) -> Step:
    """The ledger's row goes first, because the first file's down half may drop the ledger's schema."""
    with _script_errors(migration.down), _script_scope(conn, migration.down):
        if migration.down.in_transaction:
            forget(conn, migration)
        if runs:
            _run(conn, migration.down)
        if not migration.down.in_transaction:
            forget(conn, migration)
    return Step(migration, "undone")


@contextmanager
def _script_scope(conn: Connection, script: Script) -> Iterator[None]:
    """The file's timeouts, and its transaction if it has one."""
    if script.in_transaction:
        with conn.transaction():
            _set_timeouts(conn, script, is_local=True)
            yield
        return
    _set_timeouts(conn, script, is_local=False)
    try:
        yield
    finally:
        conn.execute("RESET lock_timeout")
        conn.execute("RESET statement_timeout")


def _set_timeouts(conn: Connection, script: Script, *, is_local: bool) -> None:
    conn.execute("SELECT pg_catalog.set_config('lock_timeout', %s, %s)", (script.lock_timeout, is_local))
    conn.execute("SELECT pg_catalog.set_config('statement_timeout', %s, %s)", (script.statement_timeout, is_local))


def _run(conn: Connection, script: Script) -> None:
    for statement in script.statements:
        conn.execute(statement.encode())


@contextmanager
def _script_errors(script: Script) -> Iterator[None]:
    """Postgres's own words, with the file and line, and what state the database is in now."""
    try:
        yield
    except psycopg.Error as error:
        position = error.diag.statement_position
        line = "" if position is None else f", line {script.text.count(chr(10), 0, int(position)) + 1}"
        kept = "Nothing of it was kept" if script.in_transaction else "Statements before the failing one were kept"
        reason = error.diag.message_primary or str(error).strip()
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            reason += " (DATABASE_OWNER_URL may name the role that owns the database)"
        direction = "down" if script.path.name.endswith(".down.sql") else "up"
        raise ConfigurationError(
            f"{script.path.name}{line if script.in_transaction else ''} failed: {reason}. "
            f"{kept}; mend the cause and run `switchboard migrate {direction}` again."
        ) from error


def _check_target(migrations: Sequence[Migration], target: int | None) -> None:
    newest = migrations[-1].version if migrations else 0
    if target is not None and not 1 <= target <= newest:
        raise ConfigurationError(f"There is no migration {target:04d}: this version knows 0001 to {newest:04d}.")


def _refuse_drift(found: Status) -> None:
    if found.drifted:
        files = ", ".join(migration.up.path.name for migration in found.drifted)
        raise ConfigurationError(
            f"Changed after it was applied to this database: {files}. "
            "Put the file back as it was, and make the change in a new migration."
        )


def _refuse_unknown(found: Status, target: int) -> None:
    unknown = [row.label for row in found.unknown if row.version > target]
    if unknown:
        raise ConfigurationError(
            f"A newer version of Switchboard applied {', '.join(unknown)}, and only it knows the way back. "
            "Run `switchboard migrate down` of that version instead."
        )


def grant_application(conn: Connection, role: str) -> None:
    """Let `role` read and write rows, and no more; safe to repeat, and nothing to do when it owns the schema.

    Covers what the role behind `conn` owns now, and by default privileges what it makes later. The ledger is
    for reading only.
    """
    if fetch_value(conn, "SELECT current_user = %s", role) is True:
        return
    if fetch_value(conn, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", role) is None:
        raise ConfigurationError(f"There is no role {role} in the database: create it, or set another role's address.")
    with conn.transaction():
        # Which grants are wanting on what this role owns, outside of extensions? Catalogs only.
        rows = conn.execute(_GRANTS, (role,)).fetchall()
        for (statement,) in rows:
            conn.execute(statement.encode())


_GRANTS = """
WITH role AS (
    SELECT rolname AS name FROM pg_catalog.pg_roles WHERE rolname = %s
), schema AS (
    SELECT n.oid, n.nspname AS name FROM pg_catalog.pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND EXISTS (
        SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = n.oid AND c.relowner = quote_ident(current_user)::regrole
      )
), relation AS (
    SELECT s.name AS schema, c.relname AS name, c.relkind AS kind, c.oid = ledger.oid AS is_ledger
    FROM pg_catalog.pg_class c
    JOIN schema s ON s.oid = c.relnamespace
    CROSS JOIN (SELECT pg_catalog.to_regclass('app.schema_migration') AS oid) ledger
    WHERE c.relowner = quote_ident(current_user)::regrole AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), routine AS (
    SELECT p.oid::regprocedure AS signature
    FROM pg_catalog.pg_proc p JOIN schema s ON s.oid = p.pronamespace
    WHERE s.name = 'app' AND p.proowner = quote_ident(current_user)::regrole
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', schema.name, role.name) FROM schema, role
WHERE NOT pg_catalog.has_schema_privilege(role.name, schema.oid, 'USAGE')
UNION ALL
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %%I.%%I TO %%I', schema, r.name, role.name)
FROM relation r, role
WHERE kind <> 'S' AND NOT coalesce(is_ledger, false)
UNION ALL
SELECT format('REVOKE INSERT, UPDATE, DELETE ON %%I.%%I FROM %%I', schema, r.name, role.name)
FROM relation r, role
WHERE is_ledger
UNION ALL
SELECT format('GRANT SELECT ON %%I.%%I TO %%I', schema, r.name, role.name)
FROM relation r, role WHERE is_ledger
UNION ALL
SELECT format('GRANT USAGE, SELECT ON SEQUENCE %%I.%%I TO %%I', schema, r.name, role.name)
FROM relation r, role
WHERE kind = 'S'
UNION ALL
SELECT format('GRANT EXECUTE ON ROUTINE %%s TO %%I', signature, role.name) FROM routine, role
UNION ALL
SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %%I GRANT %%s TO %%I', schema.name, privilege, role.name)
FROM role, schema
CROSS JOIN (VALUES ('SELECT, INSERT, UPDATE, DELETE ON TABLES'),
                   ('USAGE, SELECT ON SEQUENCES')) AS p (privilege)
UNION ALL
SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT EXECUTE ON ROUTINES TO %%I', role.name)
FROM schema, role WHERE schema.name = 'app'
"""
