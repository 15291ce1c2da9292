"""`switchboard inbox`, as somebody on the server runs it."""

import json
from pathlib import Path

import pytest

from switchboard.accounts.models import Caller
from switchboard.inbox.webhook import webhook_secret
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.secrets import load_app_secret
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.inbox.conftest import SETTINGS, Team, make_mail


@pytest.fixture
def run(urls: Urls, tmp_path: Path) -> Run:
    return command_line(
        urls, ["inbox"], "inbox", SWITCHBOARD_HOME=str(tmp_path), APP_URL="https://acme.example", APP_SECRET="a" * 32
    )


async def test_it_lists_who_waits(run: Run, team: Team, agent: Caller) -> None:
    await team.receive(make_mail(subject="Shipping"))
    conversation = await team.conversation(agent)
    (row,) = json.loads((await run("list", "--json")).stdout)
    assert (row["id"], row["contact"], row["subject"]) == (str(conversation.id), "Ann Xu", "Shipping")
    assert row["owner"] is None
    assert "Ann Xu" in (await run("list")).stdout
    assert json.loads((await run("list", "--view", "closed", "--json")).stdout) == []


async def test_it_says_where_mail_is_taken(run: Run, team: Team) -> None:
    found = json.loads((await run("address", "--json")).stdout)
    assert found == {
        "address": team.address,
        "smtp": "127.0.0.1:8025",
        "webhook": f"https://acme.example/inbound/mail?recipient={team.address}",
        "secret": webhook_secret(load_app_secret(SETTINGS), team.workspace_id),
    }
    assert team.address in (await run("address")).stdout


async def test_a_view_that_is_none_is_refused(run: Run, team: Team) -> None:
    refused = await run("list", "--view", "mine")
    assert isinstance(refused.exception, InvalidError)
