"""The statements of `switchboard doctor`, which runs before any pool is open."""

from collections.abc import Mapping
from datetime import UTC, datetime

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


def the_present(connection: Connection) -> datetime:
    """The instant of the one clock."""
    # One value.
    row = connection.execute("SELECT app.now()").fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise TypeError("app.now() gives no instant")
    return row[0]


def oldest_months(connection: Connection) -> Mapping[str, datetime]:
    """The first instant of the oldest month that has a partition, by log."""
    # Catalogs only; the name of a partition ends in y2026m11.
    rows = connection.execute(
        r"""
        SELECT p.relname, min(right(c.relname, 7)) FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
        WHERE p.relnamespace = 'app'::regnamespace AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$' GROUP BY p.relname
        """
    ).fetchall()
    return {str(log): datetime.strptime(str(month), "%Ym%m").replace(tzinfo=UTC) for log, month in rows}
