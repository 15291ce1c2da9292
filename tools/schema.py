"""Writes `switchboard/migrations/schema.sql` anew from the migrations: `python -m tools.schema`."""

from switchboard.kernel.migration_files import DIRECTORY
from switchboard.kernel.migrations import connect, migrate_up
from switchboard.kernel.schema_text import dump_schema
from tests.kernel.scratch_postgres import EMBEDDED, start_scratch_postgres

SCHEMA_FILE = DIRECTORY / "schema.sql"


def main() -> None:
    """As a superuser, so that every optional migration is part of the text."""
    server = start_scratch_postgres(EMBEDDED)
    try:
        migrate_up(server.address())
        with connect(server.address()) as conn:
            SCHEMA_FILE.write_text(dump_schema(conn), encoding="utf-8")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
