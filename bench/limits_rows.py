"""How many rows a second Postgres takes here in batches, from a client that does nothing else."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg

from switchboard.kernel.ids import new_id

COPIED_AT_ONCE = 2_000
# The product's own batches are of this size: larger ones cost latency.
INSERTED_AT_ONCE = 500
PAYLOAD = '{"name": "Ada Lovelace", "email": "ada@x.example", "message": "A quote, please"}'

Connection = psycopg.Connection[Any]


def measure_rows(superuser_url: str, seconds: float) -> dict[str, float]:
    """Rows a second by COPY, and by `unnest` under a unique key with the new ones returned; a commit a batch."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.bench_batch (id uuid PRIMARY KEY, payload json NOT NULL)")
        try:
            return {
                "rows, COPY": _per_second(connection, _copy, COPIED_AT_ONCE, seconds),
                "rows, unnest with dedupe": _per_second(connection, _insert, INSERTED_AT_ONCE, seconds),
            }
        finally:
            connection.execute("DROP TABLE public.bench_batch")


def _per_second(
    connection: Connection, write: Callable[[Connection, list[UUID]], None], size: int, seconds: float
) -> float:
    rows, spent = 0, 0.0
    while spent < seconds:
        ids = [new_id() for _ in range(size)]
        began = time.perf_counter()
        write(connection, ids)
        spent += time.perf_counter() - began
        rows += size
    return rows / spent


def _copy(connection: Connection, ids: list[UUID]) -> None:
    lines = "".join(f"{identifier}\t{PAYLOAD}\n" for identifier in ids)
    with connection.cursor().copy("COPY public.bench_batch (id, payload) FROM STDIN") as copy:
        copy.write(lines)


def _insert(connection: Connection, ids: list[UUID]) -> None:
    """With psycopg's binary arrays, as the product sends them."""
    connection.execute(
        "INSERT INTO public.bench_batch (id, payload) SELECT * FROM unnest(%b::uuid[], %b::text[]::json[])"
        " ON CONFLICT DO NOTHING RETURNING id",
        (ids, [PAYLOAD] * len(ids)),
    ).fetchall()
