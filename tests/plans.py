"""How Postgres means to answer statements, beside running them."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from switchboard.kernel.db import Params, Tx

_SWITCH_AUTOVACUUM = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT oid::regclass FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' ORDER BY oid
    LOOP
        EXECUTE format('ALTER TABLE %s {change}', name);
    END LOOP;
END
$$
"""
_FORGET = """
UPDATE pg_class SET relpages = 0, reltuples = -1, relallvisible = 0
WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'i');
DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'app'::regnamespace)
"""


@contextmanager
def without_statistics(superuser_url: str) -> Iterator[None]:
    """Tables of which Postgres knows as little as on the day they were made, whatever tests have left in them."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(_SWITCH_AUTOVACUUM.replace("{change}", "SET (autovacuum_enabled = off)").encode())
        connection.execute(_FORGET)
        try:
            yield
        finally:
            connection.execute(_SWITCH_AUTOVACUUM.replace("{change}", "RESET (autovacuum_enabled)").encode())


def analyse(superuser_url: str) -> None:
    """Let Postgres look at every table; only their owner may ask for that."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("ANALYZE")


class ExplainingTx(Tx):
    """Runs in the transaction `tx`, and keeps the plan of each statement that is run through it."""

    def __init__(self, tx: Tx, workspace_id: UUID) -> None:
        super().__init__(tx.connection, tx.hub, workspace_id)
        self.plans: list[str] = []

    async def _run(self, sql: str, params: Params, row_factory: Callable[..., Any]) -> psycopg.AsyncCursor[Any]:
        explained = await super()._run(f"EXPLAIN {sql}", params, tuple_row)
        self.plans.append("\n".join(row[0] for row in await explained.fetchall()))
        return await super()._run(sql, params, row_factory)


async def explain(tx: Tx, statement: str, params: object) -> str:
    """The plan of a statement that a test has seen being run."""
    rows = await tx.fetch_tuples(f"EXPLAIN {statement}", params)  # type: ignore[arg-type]
    return "\n".join(row[0] for row in rows)


async def explain_for_all_values(tx: Tx, statement: str, params: object) -> str:
    """The plan that a connection keeps for a statement, whatever values it is given next."""
    names = [name for name in params if f"%({name})s" in statement] if isinstance(params, Mapping) else []
    given = len(names) or statement.count("%s")
    numbers = iter(range(1, given + 1))

    def numbered(found: re.Match[str]) -> str:
        return f"${names.index(found[1]) + 1 if found[1] else next(numbers)}"

    prepared = re.sub(r"%(?:\((\w+)\))?s", numbered, statement)
    await tx.execute(f"PREPARE for_all_values AS {prepared}")
    await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    rows = await tx.fetch_tuples(f"EXPLAIN EXECUTE for_all_values({', '.join(['NULL'] * given)})")
    await tx.execute("DEALLOCATE for_all_values")
    return "\n".join(row[0] for row in rows)


class PreparingConnection(psycopg.AsyncConnection[Any]):
    """Prepares every statement the second time it is run, so that its plan can be asked for afterwards."""

    @classmethod
    async def connect(cls, *args: Any, **more: Any) -> Self:
        connection = await super().connect(*args, **more)
        connection.prepare_threshold = 1
        return connection


async def explain_prepared(tx: Tx) -> dict[str, str]:
    """The plans that this transaction would use for the statements its connection has prepared, by their text."""
    prepared = await tx.fetch_tuples(
        "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements"
        " WHERE statement ~* '^\\s*(SELECT|WITH|INSERT|UPDATE|DELETE)'"
    )
    plans = {}
    for name, statement, given in prepared:
        values = f"({', '.join(['NULL'] * given)})" if given else ""
        rows = await tx.fetch_tuples(f"EXPLAIN EXECUTE {name}{values}")
        plans[statement] = "\n".join(row[0] for row in rows)
    return plans


def find_wide_scans(plan: str, tables: Collection[str]) -> list[str]:
    """The scans of these tables, or their partitions, that a plan does not narrow down to keys or due rows."""
    wide, lines = [], plan.splitlines()
    for place, line in enumerate(lines):
        scan = re.search(r"(Seq|Index|Index Only|Tid|Bitmap Heap) Scan.*? on (\w+)", line)
        if scan is None or re.sub(r"_(y\d+m\d+|default)$", "", scan[2]) not in tables:
            continue
        by = next(iter(lines[place + 1 : place + 2]), "")
        by_key = re.search(
            r"(Index|TID|Recheck) Cond: .*\b(\w*id|due_at|key|value|ctid)\b", by.replace("workspace_id", "")
        )
        if by_key is None:
            wide.append(f"{line.strip()} {by.strip()}")
    return wide
