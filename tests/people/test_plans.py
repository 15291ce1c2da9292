"""The plan of the hottest look-up, also on tables that have only just been filled and were never analysed."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from switchboard.kernel.db import Database, Params, Tx
from switchboard.people import repository
from switchboard.people.models import Sighting
from switchboard.people.service import recognise

PEOPLE = 300


class ExplainingTx(Tx):
    """Keeps the plan of each statement that is run in it."""

    plans: list[str]

    async def _run(self, sql: str, params: Params, row_factory: Callable[..., Any]) -> psycopg.AsyncCursor[Any]:
        explained = await super()._run(f"EXPLAIN {sql}", params, tuple_row)
        self.plans.append("\n".join(row[0] for row in await explained.fetchall()))
        return await super()._run(sql, params, row_factory)


async def test_addresses_are_looked_up_one_by_one_without_statistics(database: Database, workspace_id: UUID) -> None:
    people = [Sighting(name="Ann", email=f"ann{number}@x.example") for number in range(PEOPLE)]
    async with database.transaction(workspace_id) as tx:
        await recognise(tx, people, "DE")
    async with database.transaction(workspace_id) as tx:
        explaining = ExplainingTx(tx.connection, tx.hub, workspace_id)
        explaining.plans = []
        known = await repository.find_known(
            explaining, [("email", f"ann{number}@x.example") for number in range(PEOPLE)]
        )
    assert len(known.owners) == PEOPLE
    (plan,) = explaining.plans
    assert "Seq Scan" not in plan
    assert "identity_key" in plan
    assert plan.count("contact_pkey") == 2
