"""Health says whether to send traffic here, and which queue is behind."""

import json
import re
from pathlib import Path
from uuid import UUID

import psycopg
from starlette.applications import Starlette

from switchboard.intake.models import NewSignal
from switchboard.intake.standby import Standby
from switchboard.kernel import jobs
from switchboard.kernel.db import Database
from switchboard.kernel.events import Hub
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import load_settings
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
    assert sorted(body["queues"]) == ["campaign-steps", "jobs", "outbox", "signals", "steps"]
    # Two rounds of housekeeping are due in a new workspace as well.
    assert body["queues"]["jobs"]["depth"] == 3
    assert 14 < body["queues"]["jobs"]["oldest_due_seconds"] < 60
    assert body["queues"]["jobs"]["worked"] is True
    assert "Nobody works the queue signals. Start `switchboard work`." in body["troubles"]


async def test_a_lost_database_without_a_place_for_signals_is_not_ready_but_alive(app: Starlette) -> None:
    app.state.database = Database("postgresql://127.0.0.1:1/none", Hub())
    app.state.standby.spool.folder.rmdir()
    async with anonymous(app) as browser:
        ready, alive = await browser.get("/health/ready"), await browser.get("/health")
    assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "down", "unreachable")
    assert alive.status_code == 200


async def test_while_the_database_is_away_intake_is_ready_and_pages_are_not(app: Starlette, tmp_path: Path) -> None:
    standby = await _away(app, tmp_path)
    await standby.reserve.keep([[NewSignal(new_id(), new_id(), new_id(), new_id(), 60, '"' + "x" * 50_000 + '"')]])
    async with anonymous(app) as browser:
        ready, pages = await browser.get("/health/ready"), await browser.get("/health/ready?for=pages")
        metrics = (await browser.get("/metrics")).text
        home = await browser.get("/", accept="text/html")
    body = ready.json()
    assert (ready.status_code, body["status"], body["database"]) == (200, "degraded", "unreachable")
    assert (pages.status_code, pages.json()["status"]) == (503, "degraded")
    assert body["intake"] | {"oldest_kept_seconds": 0} == {
        "takes_signals": True,
        "kept_in": "disk",
        "kept_signals": 1,
        "kept_bytes": body["intake"]["kept_bytes"],
        "room_bytes": 1 << 20,
        "oldest_kept_seconds": 0,
    }
    (trouble,) = [text for text in body["troubles"] if "Postgres" in text]
    assert re.fullmatch(
        r"Postgres is away since \d\d:\d\d:\d\d UTC; intake goes on. 1 signal is kept on disk, 5 % of the space.",
        trouble,
    )
    assert home.status_code == 503
    assert trouble in home.text
    assert "switchboard_kept 1.0" in metrics
    assert "switchboard_ready 1.0" in metrics


async def test_without_room_for_another_signal_nothing_is_ready(app: Starlette, tmp_path: Path) -> None:
    standby = await _away(app, tmp_path)
    (standby.spool.folder / "old.refused").write_bytes(bytes(1 << 20))
    async with anonymous(app) as browser:
        ready = await browser.get("/health/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["intake"]["takes_signals"]) == (503, "down", False)
    assert "and intake refuses signals. There is no more room to keep signals." in ready.json()["troubles"][-1]


async def test_what_is_kept_is_said_while_it_is_brought_in(app: Starlette, database: Database, tmp_path: Path) -> None:
    standby = await _away(app, tmp_path)
    await standby.reserve.keep([[NewSignal(new_id(), new_id(), new_id(), new_id(), 60, "{}")]])
    (standby.spool.folder / "old.damaged").write_bytes(b"x")
    standby.outage.end()
    found = await health.check(database, tmp_path, standby)
    assert [text for text in found.troubles if "kept" in text] == [
        "1 signal is kept on disk, 0 % of the space. They are being brought in.",
        "1 files of kept signals could not be brought in whole: `switchboard doctor` names them.",
    ]
    await standby.stop()


async def _away(app: Starlette, home: Path) -> Standby:
    """The application in an outage, with a spool of a megabyte."""
    away = Database("postgresql://127.0.0.1:1/none", Hub())
    standby = Standby(load_settings({"SWITCHBOARD_HOME": str(home), "SPOOL_MEGABYTES": "1"}), away)
    await standby.spool.open()
    standby.outage.begin()
    app.state.database, app.state.standby = away, standby
    return standby


async def test_pending_migrations_are_not_ready(database: Database, urls: Urls) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("UPDATE app.schema_migration SET version = 9999 WHERE version = 9")
    try:
        found = await health.check(database, Path(), Standby(load_settings({}), database))
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


async def test_a_machine_that_works_no_queue_says_so(app: Starlette) -> None:
    async with anonymous(app) as browser:
        assert (await browser.get("/health/ready")).json()["runs_queue_consumers"] is True
        app.state.settings = load_settings({"RUN_QUEUE_CONSUMERS": "false"})
        assert (await browser.get("/health/ready")).json()["runs_queue_consumers"] is False
