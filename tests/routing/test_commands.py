"""`switchboard rota` and `switchboard rule`, as somebody on the server runs them."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest
import typer
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner, Result

from switchboard.accounts.command_line import Console
from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.entrypoints.commands import mount
from switchboard.kernel.errors import SwitchboardError
from tests.conftest import Urls


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Any:
    """Run one command in a thread of its own, because it brings its own event loop."""
    parts = {key: str(value) for key, value in conninfo_to_dict(urls.application).items() if value is not None}
    environment = {"DATABASE_URL": f"postgresql:///?{urlencode(parts)}", "SWITCHBOARD_HOME": "/nonexistent"}
    program = typer.Typer()
    mount(program, ["rota", "rule"])

    async def run(*words: str) -> Result:
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, program, list(words), env=environment, obj=Console(build_hub))

    return run


async def test_a_rota_is_made_filled_and_listed(run: Any, owner: Caller) -> None:
    made = json.loads((await run("rota", "create", "--name", "Sales", "--holidays", "de-by", "--json")).stdout)
    added = await run(
        "rota", "add-member", "--rota", "sales", "--email", "Olga@acme.example", "--capacity", "3", "--json"
    )
    [rota] = json.loads((await run("rota", "list", "--json")).stdout)
    [rule] = json.loads((await run("rule", "list", "--json")).stdout)
    assert json.loads(added.stdout) == {
        "rota_id": made["id"],
        "user_id": str(owner.user_id),
        "weight": 1,
        "capacity": 3,
    }
    assert (rota["name"], rota["members"], rota["time_zone"], rota["waiting"]) == ("Sales", 1, "Europe/Berlin", 0)
    assert (rule["name"], rule["rota_id"], rule["is_default"]) == ("Everything else", made["id"], True)
    assert (await run("rota", "list")).stdout.splitlines()[0].split() == [
        "name", "on_now", "next_change", "waiting", "members", "id",
    ]  # fmt: skip


async def test_an_unknown_rota_or_member_is_named(run: Any) -> None:
    for words, field in (
        (("rota", "add-member", "--rota", "Sales", "--email", "x@y.example"), "rota"),
        (("rota", "create", "--name", "Sales", "--supervisor", "x@y.example"), "supervisor"),
        (("rota", "create", "--name", "Sales", "--strategy", "loudest"), "strategy"),
    ):
        result = await run(*words)
        assert isinstance(result.exception, SwitchboardError)
        assert [problem.field for problem in result.exception.problems] == [field]
