"""How Postgres means to answer statements, beside running them."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from switchboard.kernel.db import Params, Tx


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
