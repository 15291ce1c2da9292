"""`switchboard flow`, as somebody on the server runs it."""

import json
from pathlib import Path

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.flows.world import add_contact, add_lead, settle

FLOW = """\
flow: patience
title: Patience
subject: lead
starts: [lead.created]
steps:
  - wait: 2d
  - set: {stage: qualified}
"""


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["flow"], "flow")


async def test_a_file_becomes_a_flow_that_runs(run: Run, database: Database, owner: Caller, tmp_path: Path) -> None:
    file = tmp_path / "patience.yaml"
    file.write_text(FLOW)
    assert (await run("apply", str(file))).stdout == "patience stands at version 1 and is paused.\n"
    applied = json.loads((await run("apply", str(file), "--activate", "--json")).stdout)
    assert (applied["name"], applied["version"], applied["is_active"]) == ("patience", 1, True)
    async with database.transaction(owner.workspace_id) as tx:
        lead_id = await add_lead(tx, await add_contact(tx, "ann@x.example"))
    await settle(database)
    (going,) = json.loads((await run("runs", "--flow", "patience", "--json")).stdout)
    assert (going["subject_id"], going["step"], going["phase"]) == (str(lead_id), 0, "waiting")
    (record,) = json.loads((await run("history", going["id"], "--json")).stdout)
    assert (record["step"], record["outcome"]) == (0, "waiting")
    (listed,) = json.loads((await run("list", "--json")).stdout)
    assert (listed["running"], listed["started"], listed["stopped"]) == (1, 1, {})
    assert (await run("pause", "patience")).stdout == "patience stands at version 1 and is paused.\n"
    assert json.loads((await run("activate", "patience", "--json")).stdout)["is_active"] is True
    assert (await run("runs")).stdout.splitlines()[0].split()[:2] == ["id", "subject_kind"]


async def test_a_mistake_names_its_place_and_nothing_is_saved(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "patience.yaml"
    file.write_text(FLOW.replace("qualified", "qualifed"))
    refused = await run("apply", str(file))
    assert isinstance(refused.exception, InvalidError)
    assert [(problem.line, problem.column) for problem in refused.exception.problems] == [(7, 18)]
    assert json.loads((await run("list", "--json")).stdout) == []


async def test_a_file_that_is_no_text_is_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "picture.yaml"
    file.write_bytes(b"\x89PNG\xff")
    error = (await run("apply", str(file))).exception
    assert isinstance(error, InvalidError)
    assert [problem.field for problem in error.problems] == ["file"]


async def test_the_library_is_added_once(run: Run) -> None:
    added = json.loads((await run("install", "--json")).stdout)
    assert [flow["name"] for flow in added] == ["speed_to_lead", "welcome", "win_back"]
    assert json.loads((await run("install", "--json")).stdout) == []
    assert (await run("list")).stdout.splitlines()[1].split()[:3] == ["speed_to_lead", "False", "1"]
