"""The statements that say how many contacts meet a condition before it is saved."""

import json
from uuid import UUID

import psycopg

from switchboard.kernel.db import STATEMENT_TIMEOUT_MILLISECONDS, Tx
from switchboard.people.repository_conditions import Predicate

# Contacts of the workspace by the partial index contact_list, or all of them in a row.
_MEETING = """FROM app.contact c WHERE c.workspace_id = %(workspace)s AND c.merged_into IS NULL AND {condition}"""
# The newest contacts of the workspace, as many as are wanted; walks the partial index contact_list.
_NEWEST = """
    SELECT * FROM app.contact
    WHERE workspace_id = %(workspace)s AND merged_into IS NULL ORDER BY id DESC LIMIT %(among)s
"""


async def find_count(tx: Tx, predicate: Predicate, milliseconds: int) -> int | None:
    """How many contacts meet a condition; None when counting takes longer than that."""
    try:
        async with tx.savepoint():
            await _limit(tx, milliseconds)
            # What is read stands above _MEETING.
            found = await tx.fetch_value(
                "SELECT count(*) " + _MEETING.format(condition=predicate.sql), _bound(tx, predicate)
            )
            # A setting outlives its savepoint where nothing fails.
            await _limit(tx, STATEMENT_TIMEOUT_MILLISECONDS)
            return int(found)
    except psycopg.errors.QueryCanceled:
        return None


async def _limit(tx: Tx, milliseconds: int) -> None:
    # No table is read.
    await tx.execute("SELECT set_config('statement_timeout', %s, true)", (str(milliseconds),))


async def estimate(tx: Tx, predicate: Predicate, among: int) -> int:
    """How many contacts are expected to meet a condition, by the share of those who do among so many of the newest."""
    # Walks the partial index contact_list over as many contacts as it may look at.
    rows = await tx.fetch_tuples(
        f"SELECT count(*), count(*) FILTER (WHERE {predicate.sql}) FROM ({_NEWEST}) c",
        {**_bound(tx, predicate), "among": among},
    )
    looked_at, meeting = int(rows[0][0]), int(rows[0][1])
    if looked_at < among:
        return meeting
    return round(max(await expect_contacts(tx), looked_at) * meeting / looked_at)


async def expect_contacts(tx: Tx) -> int:
    """How many contacts the planner thinks that the workspace has; nothing is read."""
    # The plan alone; the partial index contact_list holds those who were not merged away.
    plan = await tx.fetch_value(
        "EXPLAIN (FORMAT JSON) SELECT FROM app.contact WHERE workspace_id = %s AND merged_into IS NULL",
        (tx.workspace_id,),
    )
    document = json.loads(plan) if isinstance(plan, str) else plan
    return int(document[0]["Plan"]["Plan Rows"])


async def list_sample(tx: Tx, predicate: Predicate, among: int, limit: int) -> list[UUID]:
    """Some contacts who meet a condition, newest first, among so many of the newest."""
    # Walks the partial index contact_list over as many contacts as it may look at.
    rows = await tx.fetch_tuples(
        f"""
        SELECT c.id FROM ({_NEWEST}) c WHERE {predicate.sql} ORDER BY c.id DESC LIMIT %(limit)s
        """,
        {**_bound(tx, predicate), "among": among, "limit": limit},
    )
    return [row[0] for row in rows]


def _bound(tx: Tx, predicate: Predicate) -> dict[str, object]:
    return {**predicate.params, "workspace": tx.workspace_id}
