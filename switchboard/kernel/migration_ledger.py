"""The ledger `app.schema_migration`: which migrations a database has had, and with which text.

Made with the first migration and gone with the last, so that a database is empty again after the way down.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow, class_row

from switchboard.kernel.migration_files import Migration

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the ledger; `skipped_for` names the extension that was missing, and then nothing was run."""

    version: int
    name: str
    checksum: str
    applied_at: datetime
    skipped_for: str | None

    @property
    def label(self) -> str:
        """`0003_people`, as in the file names."""
        return f"{self.version:04d}_{self.name}"


def read_ledger(conn: Connection) -> list[Applied]:
    """What the database says was applied, oldest first; empty where no migration ever ran."""
    if not _ledger_exists(conn):
        return []
    with conn.cursor(row_factory=class_row(Applied)) as cursor:
        # Which migrations were applied? A few dozen rows, read whole.
        cursor.execute(
            "SELECT version, name, checksum, applied_at, skipped_for FROM app.schema_migration ORDER BY version"
        )
        return cursor.fetchall()


def record(conn: Connection, migration: Migration, *, skipped_for: str | None) -> None:
    if not _ledger_exists(conn):
        _create_ledger(conn)
    # Writes down one migration; by primary key, where a skipped one may already stand.
    conn.execute(
        """
        INSERT INTO app.schema_migration (version, name, checksum, skipped_for) VALUES (%s, %s, %s, %s)
        ON CONFLICT (version) DO UPDATE
        SET name = excluded.name, checksum = excluded.checksum, applied_at = pg_catalog.clock_timestamp(),
            skipped_for = excluded.skipped_for
        """,
        (migration.version, migration.name, migration.checksum, skipped_for),
    )


def _create_ledger(conn: Connection) -> None:
    # PostgreSQL asks for CREATE on the database even when the schema is there, so it is looked for first.
    if fetch_value(conn, "SELECT pg_catalog.to_regnamespace('app')::text") is None:
        conn.execute("CREATE SCHEMA app")
    conn.execute(
        """
        CREATE TABLE app.schema_migration (
            version integer PRIMARY KEY,
            name text NOT NULL,
            checksum text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
            skipped_for text
        )
        """
    )


def forget(conn: Connection, migration: Migration) -> None:
    """Strike one migration from the ledger, and take the ledger away with its last row."""
    # Strikes out one migration, by primary key.
    conn.execute("DELETE FROM app.schema_migration WHERE version = %s", (migration.version,))
    # Is the ledger empty now?
    if fetch_value(conn, "SELECT EXISTS (SELECT 1 FROM app.schema_migration)") is False:
        conn.execute("DROP TABLE app.schema_migration")


def _ledger_exists(conn: Connection) -> bool:
    # Has any migration been recorded here? A catalog look-up by name.
    return fetch_value(conn, "SELECT pg_catalog.to_regclass('app.schema_migration')::text") is not None


def fetch_value(conn: Connection, query: LiteralString, *values: object) -> Any:  # noqa: ANN401
    """The first column of the first row, or None."""
    row = conn.execute(query, values or None).fetchone()
    return None if row is None else row[0]
