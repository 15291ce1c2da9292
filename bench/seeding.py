"""Filling the real tables by sets: what hours of intake would leave behind, in minutes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

_PEOPLE = Path(__file__).with_name("seeding.sql").read_bytes()
_SLICE = 50_000
# History lies in partitions by month, as it would if it had come in its time.
_MONTHS = b"""
    SELECT app.ensure_partition('event', (now() - age * interval '1 day')::date)
    FROM generate_series(%(newest)s::integer, %(oldest)s::integer + 27, 28) AS age
"""
# Their rows come by the million, and an index is quicker made at once than entry by entry.
_FILLED = ("contact", "contact_search", "identity", "lead", "assignment", "conversation", "message")
# A vacuum of Postgres' own that takes longer than this is measured as part of the work.
SETTLE_LIMIT_SECONDS = 300.0

Connection = psycopg.Connection[Any]


def add_people(
    superuser_url: str,
    workspace_id: UUID,
    source_id: UUID,
    *,
    first: int,
    last: int,
    messages: int,
    days: tuple[float, float] = (60.0, 0.0),
) -> None:
    """People number `first` to `last`, each with addresses, a lead, its history and so many messages; then `settle`.

    They came evenly between so many `days` ago, in the order of their numbers, so that rows lie on the disk in the
    order of their ids, as work leaves them. The workspace needs a member, who owns the leads. Numbers must not repeat:
    addresses are made of them.
    """
    oldest, newest = days
    given = {"workspace": workspace_id, "source": source_id, "messages": messages}
    given |= {"begin": first, "end": last, "oldest": oldest, "newest": newest}
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        # Foreign keys hold by the way the rows are made.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_MONTHS, given)
        with without_indexes(connection, _FILLED):
            for start in range(first, last + 1, _SLICE):
                connection.execute(_PEOPLE, {**given, "first": start, "last": min(start + _SLICE - 1, last)})
        settle(connection)


def settle(connection: Connection) -> None:
    """Do what filling has left for later: visibility, statistics, and what is in memory only; for a superuser."""
    connection.execute("VACUUM (ANALYZE)")
    deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
    while _is_vacuuming(connection) and time.monotonic() < deadline:
        time.sleep(0.2)
    connection.execute("CHECKPOINT")


def _is_vacuuming(connection: Connection) -> bool:
    """Whether Postgres itself is clearing up."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')"
    ).fetchone()
    return row is not None and bool(row[0])


@contextmanager
def without_indexes(connection: Connection, tables: Sequence[str]) -> Iterator[None]:
    """Drop the indexes of these tables that are no constraints, and make them again after the block."""
    found = connection.execute(
        """
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
        WHERE i.indrelid = ANY(SELECT ('app.' || name)::regclass FROM unnest(%s::text[]) AS name)
          AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
        """,
        (list(tables),),
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}".encode())
    connection.execute("SET maintenance_work_mem = '512MB'")
    try:
        yield
    finally:
        for _, definition in found:
            connection.execute(str(definition).encode())
