"""Filling the real tables by sets: what hours of intake would leave behind, in minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

_PEOPLE = Path(__file__).with_name("seeding.sql").read_bytes()
_SLICE = 50_000
_DAYS = 60
# Their rows come by the million, and an index is quicker made at once than entry by entry.
_FILLED = ("contact", "contact_search", "identity", "lead", "assignment", "conversation", "message")

Connection = psycopg.Connection[Any]


def add_people(
    superuser_url: str, workspace_id: UUID, source_id: UUID, *, first: int, last: int, messages: int
) -> None:
    """People number `first` to `last`, each with addresses, a lead, its history and so many messages; then ANALYZE.

    The workspace needs a member, who owns the leads. Numbers must not repeat: addresses are made of them.
    """
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        # Foreign keys hold by the way the rows are made.
        connection.execute("SET session_replication_role = replica")
        with _without_indexes(connection):
            for start in range(first, last + 1, _SLICE):
                given = {"first": start, "last": min(start + _SLICE - 1, last), "days": _DAYS, "messages": messages}
                connection.execute(_PEOPLE, {**given, "workspace": workspace_id, "source": source_id})
        connection.execute("VACUUM (ANALYZE)")


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Drop the indexes that are no constraints of the tables that are filled, and make them again afterwards."""
    found = connection.execute(
        """
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
        WHERE i.indrelid = ANY(SELECT ('app.' || name)::regclass FROM unnest(%s::text[]) AS name)
          AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
        """,
        (list(_FILLED),),
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}".encode())
    connection.execute("SET maintenance_work_mem = '512MB'")
    try:
        yield
    finally:
        for _, definition in found:
            connection.execute(str(definition).encode())
