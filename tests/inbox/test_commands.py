"""`switchboard inbox`, as somebody on the server runs it."""

import asyncio
import json
from pathlib import Path
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
from switchboard.inbox.webhook import webhook_secret
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.secrets import load_app_secret
from tests.conftest import Urls
from tests.inbox.conftest import SETTINGS, Team, make_mail


@pytest.fixture
def run(urls: Urls, tmp_path: Path) -> Any:
    """Run one command in a thread of its own, because it brings its own event loop."""
    parts = {key: str(value) for key, value in conninfo_to_dict(urls.application).items() if value is not None}
    environment = {
        "DATABASE_URL": f"postgresql:///?{urlencode(parts)}",
        "SWITCHBOARD_HOME": str(tmp_path),
        "APP_URL": "https://acme.example",
        "APP_SECRET": "a" * 32,
    }
    program = typer.Typer()
    mount(program, ["inbox"])

    async def run(*words: str) -> Result:
        console = Console(build_hub)
        return await asyncio.to_thread(CliRunner().invoke, program, ["inbox", *words], env=environment, obj=console)

    return run


async def test_it_lists_who_waits(run: Any, team: Team, agent: Caller) -> None:
    await team.receive(make_mail(subject="Shipping"))
    conversation = await team.conversation(agent)
    (row,) = json.loads((await run("list", "--json")).stdout)
    assert (row["id"], row["contact"], row["subject"]) == (str(conversation.id), "Ann Xu", "Shipping")
    assert row["owner"] is None
    assert "Ann Xu" in (await run("list")).stdout
    assert json.loads((await run("list", "--view", "closed", "--json")).stdout) == []


async def test_it_says_where_mail_is_taken(run: Any, team: Team) -> None:
    found = json.loads((await run("address", "--json")).stdout)
    assert found == {
        "address": team.address,
        "smtp": "127.0.0.1:8025",
        "webhook": f"https://acme.example/inbound/mail?recipient={team.address}",
        "secret": webhook_secret(load_app_secret(SETTINGS), team.workspace_id),
    }
    assert team.address in (await run("address")).stdout


async def test_a_view_that_is_none_is_refused(run: Any, team: Team) -> None:
    refused = await run("list", "--view", "mine")
    assert isinstance(refused.exception, InvalidError)
