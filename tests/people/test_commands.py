"""`switchboard contact`, as somebody on the server runs it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest
import typer
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner, Result

from switchboard.accounts.command_line import Console
from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import build_hub, contact_holders
from switchboard.entrypoints.commands import mount
from switchboard.kernel.db import Database
from switchboard.people.errors import ContactNotFoundError
from switchboard.people.models import Sighting
from tests.conftest import Urls
from tests.people.conftest import see

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    """Run one command in a thread of its own, because it brings its own event loop."""
    parts = {key: str(value) for key, value in conninfo_to_dict(urls.application).items() if value is not None}
    environment = {"DATABASE_URL": f"postgresql:///?{urlencode(parts)}", "SWITCHBOARD_HOME": "/nonexistent"}
    program = typer.Typer()
    mount(program, ["contact"])
    context = Console(build_hub, contact_holders=contact_holders)

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, program, ["contact", *words], env=environment, obj=context)

    return run


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
