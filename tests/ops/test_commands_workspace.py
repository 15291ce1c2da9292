"""`switchboard workspace`, as somebody on the server runs it on a database that nobody has used yet."""

import json
from uuid import UUID

import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.errors import EmailTakenError
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError, NotFoundError
from switchboard.leads.stages import list_stages
from switchboard.routing import service as routing
from tests.commands import Run, command_line
from tests.conftest import PASSWORD, Urls

CREATE = ("workspace", "create", "--name", "Acme", "--owner", "Olga@acme.example", "--password", PASSWORD)


@pytest.fixture
def run(urls: Urls) -> Run:
    return command_line(urls, ["workspace", "user"])


async def test_a_workspace_is_made_with_its_owner_and_furniture(run: Run, database: Database) -> None:
    words = (*CREATE, "--time-zone", "Europe/Berlin", "--region", "de", "--json")
    made = json.loads((await run(*words)).stdout)
    assert (made["name"], made["time_zone"], made["default_region"]) == ("Acme", "Europe/Berlin", "DE")
    assert json.loads((await run("workspace", "list", "--json")).stdout) == [made]
    async with database.transaction(UUID(made["id"])) as tx:
        (owner,) = await accounts.list_members(tx)
        assert (owner.email, owner.role) == ("olga@acme.example", "owner")
        assert [stage.key for stage in await list_stages(tx)][:2] == ["new", "contacted"]
        assert [rota.name for rota in await routing.list_rotas(tx)] == ["sales"]
    refused = await run("user", "create", "--email", "olga@acme.example", "--password", PASSWORD)
    assert isinstance(refused.exception, EmailTakenError)


async def test_what_is_wrong_is_said_and_nothing_is_made(run: Run, database: Database) -> None:
    refused = await run(*CREATE, "--time-zone", "Mars/Base")
    assert isinstance(refused.exception, InvalidError)
    assert [problem.field for problem in refused.exception.problems] == ["time_zone"]
    assert json.loads((await run("workspace", "list", "--json")).stdout) == []
    async with database.directory() as tx:
        assert not await accounts.has_users(tx)


async def test_a_user_without_a_workspace_is_told_how_to_make_one(run: Run, database: Database) -> None:
    refused = await run("user", "create", "--email", "ann@acme.example", "--password", PASSWORD)
    assert isinstance(refused.exception, NotFoundError)
    assert "switchboard workspace create --name NAME --owner EMAIL" in refused.exception.message
