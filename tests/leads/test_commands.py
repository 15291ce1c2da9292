"""`switchboard lead`, as somebody on the server runs it."""

import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.leads.errors import LeadNotFoundError, StageUnknownError
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.leads.conftest import open_lead, read


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["lead"], "lead")


async def test_leads_are_listed_by_stage_and_owner(
    run: Run, database: Database, owner: Caller, source_id: UUID
) -> None:
    ada = await open_lead(database, owner, source_id, value_minor=100, currency="EUR")
    bob = await open_lead(database, owner, source_id, "Bob Stone", stage="qualified")
    found = json.loads((await run("list", "--json")).stdout)
    assert [lead["id"] for lead in found] == [str(bob), str(ada)]
    assert (found[1]["stage"], found[1]["stage_kind"]) == ("new", "open")
    assert datetime.fromisoformat(found[1]["created_at"]).utcoffset() == timedelta(0)
    assert found[1]["created_at"][10] == "T"
    assert (found[1]["name"], found[1]["source_name"], found[1]["value_minor"]) == ("Ada Byron", "Website", 100)
    assert [lead["id"] for lead in json.loads((await run("list", "--json", "--limit", "1")).stdout)] == [str(bob)]
    staged = json.loads((await run("list", "--json", "--stage", "new", "--owner", "nobody")).stdout)
    assert [lead["id"] for lead in staged] == [str(ada)]
    assert json.loads((await run("list", "--json", "--owner", "olga@acme.example")).stdout) == []
    assert (await run("list")).stdout.splitlines()[0].split()[:3] == ["id", "name", "stage"]


async def test_a_lead_is_shown_and_accepted(run: Run, database: Database, owner: Caller, source_id: UUID) -> None:
    lead_id = await open_lead(database, owner, source_id, fields={"plan": "gold"})
    shown = json.loads((await run("show", str(lead_id), "--json")).stdout)
    assert (shown["email"], shown["fields"], shown["owner"]) == ("ada.byron@client.example", {"plan": "gold"}, None)
    refused = await run("accept", str(lead_id))
    assert isinstance(refused.exception, InvalidError)
    accepted = json.loads((await run("accept", str(lead_id), "--member", "Olga@acme.example", "--json")).stdout)
    assert accepted["owner"] == "olga@acme.example"
    assert accepted["accepted_at"] is not None
    assert (await read(database, owner, lead_id)).owner_id == owner.user_id


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("show", str(new_id())), LeadNotFoundError),
        (("list", "--stage", "gone"), StageUnknownError),
        (("list", "--owner", "x@y.example"), InvalidError),
        (("list", "--view", "mine"), InvalidError),
    ],
)
async def test_what_cannot_be_is_said(run: Run, words: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance((await run(*words)).exception, error)


@pytest.mark.parametrize("words", [("show", "rubbish"), ("accept", "rubbish")])
async def test_what_is_no_id_is_said(run: Run, words: tuple[str, ...]) -> None:
    refused = await run(*words)
    assert refused.exit_code == 2
    assert "rubbish" in refused.stderr
