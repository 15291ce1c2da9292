"""The statements of `switchboard doctor`, which runs before any pool is open."""

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]


def clock_skew_seconds(connection: Connection) -> float:
    """How far the one clock is from the database machine's own."""
    # One value.
    row = connection.execute("SELECT abs(extract(epoch FROM app.now() - clock_timestamp()))::float8").fetchone()
    return float(str(row[0])) if row else 0.0


def oldest_snapshot_seconds(connection: Connection) -> float:
    """Age of the oldest transaction that holds a snapshot in this database; dead rows pile up behind it."""
    # A row a connection.
    row = connection.execute(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 "
        "FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL"
    ).fetchone()
    return float(str(row[0])) if row else 0.0
