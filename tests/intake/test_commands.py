"""`switchboard source`, `signal` and `import`, as somebody on the server runs them."""

import asyncio
import json
from pathlib import Path

import pytest

from switchboard.accounts.models import Caller
from switchboard.intake.recognition import RecognitionLoop
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database
from switchboard.kernel.errors import NotFoundError
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.queues import Worker
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.intake.conftest import recognise_all


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["source", "signal", "import"], APP_URL="https://sb.example")


async def test_a_source_is_made_listed_and_tested(run: Run, database: Database) -> None:
    made = json.loads((await run("source", "create", "--name", "Site", "--format", "webform", "--json")).stdout)
    assert made["url"] == f"https://sb.example/in/{made['token']}"
    assert (made["name"], made["format"], made["is_paused"]) == ("Site", "webform", False)
    assert json.loads((await run("source", "list", "--json")).stdout) == [made]
    sent = json.loads((await run("source", "test", "site", "--json")).stdout)
    await recognise_all(database)
    [signal] = json.loads((await run("signal", "list", "--source", "Site", "--json")).stdout)
    assert (signal["id"], signal["outcome"]) == (sent["signal_id"], "opened")


async def test_an_unknown_source_is_named(run: Run) -> None:
    for words in (("source", "test", "Nowhere"), ("signal", "list", "--source", "Nowhere")):
        refused = await run(*words)
        assert isinstance(refused.exception, NotFoundError)
        assert "Nowhere" in str(refused.exception)


async def test_what_is_no_id_of_a_signal_is_said(run: Run) -> None:
    refused = await run("signal", "again", "--source", "Nowhere", "--id", "nonsense")
    assert refused.exit_code == 2
    assert "nonsense" in refused.stderr


async def test_a_file_is_imported_and_followed_to_the_end(
    run: Run, database: Database, urls: Urls, tmp_path: Path
) -> None:
    file, mapping = tmp_path / "leads.csv", tmp_path / "mapping.json"
    file.write_text("Who,Where\nAnn,ann@x.example\nBob,nowhere\n")
    mapping.write_text('{"name": "Who", "email": "Where"}')
    await run("source", "create", "--name", "Lists")
    worker = Worker([RecognitionLoop(database), JobLoop(database, job_handlers(database))], database)
    working = asyncio.create_task(worker.run())
    try:
        some = await run("import", str(file), "--source", "Lists", "--mapping", str(mapping), "--json")
        file.write_text("Who,Where\nCid,cid@x.example\n")
        all_ = await run("import", str(file), "--source", "lists")
    finally:
        worker.stop()
        await working
    report = json.loads(some.stdout)
    del report["id"]
    assert report == {
        "state": "done", "detail": None, "rows": 2, "new": 1, "updated": 0, "duplicate": 0, "failed": 1,
    }  # fmt: skip
    assert (some.exit_code, all_.exit_code) == (1, 0)
    assert all_.stdout.strip() == "1 new, 0 joined an open lead, 0 twice in the file, 0 not imported."


async def test_a_file_that_cannot_be_read_ends_with_one(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("\n\n")
    await run("source", "create", "--name", "Lists")
    refused = await run("import", str(file), "--source", "Lists")
    assert (refused.exit_code, "The file has no rows" in refused.stdout) == (1, True)
