"""`switchboard contact`, as somebody on the server runs it."""

import json

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.people.errors import ContactNotFoundError
from switchboard.people.models import Sighting
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.people.conftest import see


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["contact"], "contact")


async def test_contacts_are_listed_shown_merged_and_parted(run: Run, database: Database, owner: Caller) -> None:
    seen = await see(
        database,
        owner,
        Sighting(name="Ann Lee", email="ann@lee.example"),
        Sighting(name="Bob Ray", phone="030 1234567"),
    )
    ann, bob = (str(one.contact_id) for one in seen)
    assert {row["id"] for row in json.loads((await run("list", "--json")).stdout)} == {ann, bob}
    assert [row["id"] for row in json.loads((await run("list", "--search", "ann", "--json")).stdout)] == [ann]
    assert "Bob Ray" in (await run("list")).stdout
    merged = json.loads((await run("merge", ann, bob, "--json")).stdout)
    assert (merged["kept_id"], merged["lost_id"]) == (ann, bob)
    shown = json.loads((await run("show", bob, "--json")).stdout)
    assert shown["contact"]["id"] == ann
    assert [identity["value"] for identity in shown["identities"]] == ["ann@lee.example", "+49301234567"]
    assert (await run("unmerge", merged["merge_id"])).exit_code == 0
    assert "Bob Ray" in (await run("show", bob)).stdout


async def test_an_unknown_contact_is_told_as_an_error(run: Run, owner: Caller) -> None:
    answer = await run("show", str(owner.workspace_id))
    assert isinstance(answer.exception, ContactNotFoundError)
