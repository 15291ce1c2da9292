"""With many leads every list reads a bounded number of rows, by the index that is meant for it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import tuple_row

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Params, Tx
from switchboard.kernel.ids import new_id
from switchboard.leads import listing, numbers
from switchboard.leads.models import LeadFilter
from tests.conftest import Urls

CROWD = (Path(__file__).parent / "crowd.sql").read_text()
LEADS = 20_000
SOURCES = [new_id() for _ in range(3)]
Look = Callable[[Tx, Caller], Awaitable[object]]


@pytest.fixture
async def crowd(urls: Urls, workspace_id: UUID, owner: Caller, agent: Caller, viewer: Caller) -> None:
    """20,000 leads over the last six weeks, and a planner who knows it."""
    members = [owner.user_id, agent.user_id, viewer.user_id]

    def fill() -> None:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            params = {"workspace": workspace_id, "leads": LEADS, "sources": SOURCES, "members": members}
            connection.execute(CROWD.encode(), params)
            connection.execute("VACUUM ANALYZE app.lead, app.contact")

    await asyncio.to_thread(fill)


def listed(chosen: LeadFilter, before: UUID | None = None) -> Look:
    async def look(tx: Tx, caller: Caller) -> object:
        names = await listing.load_names(tx)
        return await listing.list_leads(tx, caller, chosen, names, before=before)

    return look


async def board(tx: Tx, caller: Caller) -> object:
    return await listing.list_board(tx, caller, LeadFilter(), await listing.load_names(tx))


async def unanswered(tx: Tx, caller: Caller) -> object:
    return await listing.list_unanswered(tx, caller, await listing.load_names(tx), 6)


async def overdue(tx: Tx, _caller: Caller) -> object:
    return await numbers.count_overdue(tx)


async def figures(tx: Tx, caller: Caller) -> object:
    return await numbers.load_numbers(tx, caller)


LOOKS: list[tuple[str, Look, set[str], int]] = [
    ("open", listed(LeadFilter()), {"lead_open_list"}, 51),
    ("open, further on", listed(LeadFilter(), new_id()), {"lead_open_list"}, 51),
    ("waiting", listed(LeadFilter(view="waiting")), {"lead_unaccepted"}, 51),
    ("closed", listed(LeadFilter(view="closed")), {"lead_closed_list"}, 51),
    ("junk", listed(LeadFilter(view="junk")), {"lead_junk_list"}, 51),
    ("stage", listed(LeadFilter(stage="qualified")), {"lead_by_stage"}, 51),
    ("source", listed(LeadFilter(source_id=SOURCES[0])), {"lead_by_source", "lead_open_list"}, 500),
    ("nobody's", listed(LeadFilter(is_unowned=True)), {"lead_by_owner", "lead_open_list"}, 500),
    ("found by text", listed(LeadFilter(contact_ids=(new_id(), new_id()))), {"lead_open", "lead_by_contact"}, 10),
    ("board", board, {"lead_by_stage"}, 6 * (26 + 501)),
    ("home, unanswered", unanswered, {"lead_unanswered"}, 6),
    ("rail, overdue", overdue, {"lead_unanswered"}, 99),
    ("home, numbers", figures, {"lead_answered", "lead_list", "lead_pkey"}, 8_000 + 2_000),
    ("home, numbers again", figures, {"lead_answered", "lead_list", "lead_pkey"}, 1_500 + 2_000),
]


class ExplainingTx(Tx):
    """A transaction that has every statement about leads explained before it runs it."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.connection, tx.hub, tx.workspace_id)
        self.plans: list[dict[str, Any]] = []

    async def _run(self, sql: str, params: Params, row_factory: Callable[..., Any]) -> psycopg.AsyncCursor[Any]:
        if "FROM app.lead" in sql:
            explained = await super()._run(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params, tuple_row)
            self.plans += [found["Plan"] for found in (await explained.fetchall())[0][0]]
        return await super()._run(sql, params, row_factory)


@pytest.mark.usefixtures("crowd")
async def test_each_list_walks_its_index(database: Database, agent: Caller) -> None:
    for name, look, indexes, most_rows in LOOKS:
        async with database.transaction(agent.workspace_id) as tx:
            explaining = ExplainingTx(tx)
            await look(explaining, agent)
        scans = [node for plan in explaining.plans for node in walk(plan) if node.get("Relation Name") == "lead"]
        assert scans, name
        assert {node.get("Index Name", node["Node Type"]) for node in scans} <= indexes, name
        assert sum(count_rows(node) for node in scans) <= most_rows, name


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from walk(below)


def count_rows(node: dict[str, Any]) -> float:
    """What a scan read, kept or not."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
