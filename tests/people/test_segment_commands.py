"""`switchboard segment`, as somebody on the server runs it."""

import json

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.people.segment_world import meet, work


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["segment"], "segment")


async def test_segments_are_previewed_added_and_read(run: Run, database: Database, owner: Caller) -> None:
    (ada,) = await meet(database, owner, "Ada")
    condition = 'contact.name == "Ada"'
    previewed = json.loads((await run("preview", condition, "--json")).stdout)
    assert (previewed["count"], previewed["is_exact"]) == (1, True)
    assert [each["id"] for each in previewed["sample"]] == [str(ada)]
    made = json.loads((await run("create", "The Adas", "--condition", condition, "--json")).stdout)
    assert (made["name"], made["state"]) == ("the_adas", "building")
    assert "Added the list guests." in (await run("create", "Guests")).stdout
    await work(database)
    listed = json.loads((await run("list", "--json")).stdout)
    assert [(each["name"], each["members"]) for each in listed] == [("guests", 0), ("the_adas", 1)]
    assert json.loads((await run("show", "the_adas", "--json")).stdout)["state"] == "live"
    members = json.loads((await run("members", "the_adas", "--json")).stdout)
    assert [each["contact"]["id"] for each in members] == [str(ada)]


async def test_a_wrong_condition_says_where(run: Run) -> None:
    refused = await run("preview", "contact.nam == 1")
    assert isinstance(refused.exception, InvalidError)
    assert "did you mean contact.name?" in refused.exception.message
