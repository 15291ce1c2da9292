"""`switchboard rota` and `switchboard rule`, as somebody on the server runs them."""

import json

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.errors import SwitchboardError
from tests.commands import Run, command_line
from tests.conftest import Urls


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["rota", "rule"])


async def test_a_rota_is_made_filled_and_listed(run: Run, owner: Caller) -> None:
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


async def test_an_unknown_rota_or_member_is_named(run: Run) -> None:
    for words, field in (
        (("rota", "add-member", "--rota", "Sales", "--email", "x@y.example"), "rota"),
        (("rota", "create", "--name", "Sales", "--supervisor", "x@y.example"), "supervisor"),
        (("rota", "create", "--name", "Sales", "--strategy", "loudest"), "strategy"),
    ):
        result = await run(*words)
        assert isinstance(result.exception, SwitchboardError)
        assert [problem.field for problem in result.exception.problems] == [field]
