"""`switchboard campaign`, as somebody on the server runs it."""

import json
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConflictError, InvalidError, NotFoundError
from tests.commands import Run, command_line
from tests.conftest import Urls
from tests.flows.campaign_world import LETTER, OTHER_LETTER, add_people, outbox, run_campaign, send_all
from tests.flows.world import add_letters, save_active


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["campaign"], "campaign")


@pytest.fixture
async def people(database: Database, workspace_id: UUID, owner: Caller) -> list[UUID]:
    """Three people, and two flows that write to them."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
        await add_letters(tx)
        for source in (LETTER, OTHER_LETTER):
            await save_active(tx, source)
        return await add_people(tx, 3)


async def test_a_campaign_goes_from_draft_to_ledger(run: Run, database: Database, people: list[UUID]) -> None:
    made = await run("create", "Spring news", "--flow", "news", "--everybody", "--throttle", "600")
    assert "Added the draft spring_news." in made.stdout
    tried = json.loads((await run("dry-run", "spring_news", "--json")).stdout)
    assert (tried["totals"], tried["is_whole"], len(tried["rows"])) == ({"send": 3}, True, 3)
    assert "send: 3" in (await run("dry-run", "spring_news", "--limit", "1")).stdout
    assert "spring_news is starting." in (await run("start", "spring_news")).stdout
    assert "spring_news is paused." in (await run("pause", "spring_news")).stdout
    assert "next: Nothing goes out until somebody resumes it." in (await run("show", "spring_news")).stdout
    assert json.loads((await run("resume", "spring_news", "--json")).stdout)["state"] == "starting"
    await run_campaign(database)
    await send_all(outbox(database))
    listed = json.loads((await run("list", "--json")).stdout)
    assert [(one["campaign"]["name"], sum(one["states"].values())) for one in listed] == [("spring_news", 3)]
    assert "spring_news  running" in (await run("list")).stdout
    ledger = json.loads((await run("recipients", "spring_news", "--after", str(people[0]), "--json")).stdout)
    assert [line["contact_id"] for line in ledger] == [str(one) for one in people[1:]]
    assert "spring_news is cancelled." in (await run("cancel", "spring_news")).stdout


async def test_a_test_has_shares_a_rule_and_a_schedule(run: Run, people: list[UUID]) -> None:
    made = await run(
        "create", "Which one?", "--flow", "news=10", "--flow", "other=10", "--everybody", "--winner", "answered",
        "--winner-after", "4h", "--local", "2027-05-03T09:00", "--when-passed", "skip", "--json",
    )  # fmt: skip
    campaign = json.loads(made.stdout)
    assert (campaign["name"], campaign["start_kind"], campaign["local_hour"]) == (
        "which_one", "local_hour", "09:00:00",
    )  # fmt: skip
    assert "which_one is scheduled." in (await run("start", "which_one")).stdout
    assert "which_one is starting." in (await run("start", "which_one", "--now")).stdout
    assert isinstance((await run("start", "which_one")).exception, ConflictError)


async def test_a_test_goes_to_a_member_and_the_missed_get_a_draft(
    run: Run, database: Database, people: list[UUID]
) -> None:
    await run("create", "Spring", "--flow", "news", "--everybody")
    sent = await run("test", "spring", "--to", "olga@acme.example", "--contact", "person1@x.example", "--json")
    assert json.loads(sent.stdout) == {"address": "olga@acme.example"}
    assert isinstance((await run("test", "spring", "--to", "x@y.example")).exception, InvalidError)
    assert isinstance((await run("missed", "spring")).exception, ConflictError)
    await run("start", "spring")
    await run_campaign(database)
    assert "spring-2 is draft." in (await run("missed", "spring", "--state", "failed")).stdout
    assert isinstance((await run("missed", "spring", "--state", "sent")).exception, InvalidError)


async def test_what_is_wrong_with_a_command_is_said(run: Run, database: Database, people: list[UUID]) -> None:
    nobody = await run("create", "Spring", "--flow", "news")
    both = await run("create", "Spring", "--flow", "news", "--everybody", "--segment", "x")
    numbers = await run("create", "Spring", "--flow", "news", "--everybody", "--throttle", "fast", "--pause-at", "0")
    unknown = await run("create", "Spring", "--flow", "nothing", "--everybody")
    for refused, field in ((nobody, "audience"), (both, "audience"), (numbers, "throttle_per_minute")):
        assert isinstance(refused.exception, InvalidError)
        assert field in [problem.field for problem in refused.exception.problems]
    assert isinstance(unknown.exception, NotFoundError)
    assert isinstance((await run("show", "spring")).exception, NotFoundError)
