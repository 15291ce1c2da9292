"""Health says whether to send traffic here, and which queue is behind."""

import json
from pathlib import Path
from uuid import UUID

import psycopg
from starlette.applications import Starlette

from switchboard.kernel import jobs
from switchboard.kernel.db import Database
from switchboard.kernel.events import Hub
from switchboard.kernel.ids import new_id
from switchboard.ops import health, queries
from tests.conftest import Urls, move_clock
from tests.pages import anonymous


async def test_ready_names_every_queue_its_lag_and_who_works_it(
    app: Starlette, database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async with database.directory() as tx:
        await queries.report_worker(tx, new_id(), ["jobs", "smtp-in"])
    async with database.transaction(workspace_id) as tx:
        await jobs.enqueue(tx, "nobody's", {})
    await move_clock(urls, "15 seconds")
    async with anonymous(app) as browser:
        answer = await browser.get("/health/ready")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["database"], body["mailbox_listener"]) == ("degraded", "ok", "up")
    assert sorted(body["queues"]) == ["jobs", "outbox", "signals", "steps"]
    # Two rounds of housekeeping are due in a new workspace as well.
    assert body["queues"]["jobs"]["depth"] == 3
    assert 14 < body["queues"]["jobs"]["oldest_due_seconds"] < 60
    assert body["queues"]["jobs"]["worked"] is True
    assert "Nobody works the queue signals. Start `switchboard work`." in body["troubles"]


async def test_a_lost_database_is_not_ready_but_alive(app: Starlette) -> None:
    app.state.database = Database("postgresql://127.0.0.1:1/none", Hub())
    async with anonymous(app) as browser:
        ready, alive = await browser.get("/health/ready"), await browser.get("/health")
    assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "down", "unreachable")
    assert alive.status_code == 200


async def test_pending_migrations_are_not_ready(database: Database, urls: Urls) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("UPDATE app.schema_migration SET version = 9999 WHERE version = 9")
    try:
        found = await health.check(database, Path())
    finally:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("UPDATE app.schema_migration SET version = 9 WHERE version = 9999")
    assert (found.is_ready, found.pending_migrations) == (False, (9,))


async def test_metrics_show_requests_and_queues(app: Starlette, database: Database) -> None:
    async with anonymous(app) as browser:
        await browser.get("/health")
        text = (await browser.get("/metrics")).text
    assert 'switchboard_request_seconds_count{area="health",method="GET",status="200"}' in text
    assert 'switchboard_queue_depth{queue="outbox"} 0.0' in text
    assert json.dumps("switchboard_ready 1.0")[1:-1] in text
