"""The flows that come with Switchboard, each through its whole length in virtual time."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.flows import service
from switchboard.kernel.db import Database
from switchboard.kernel.events import SYSTEM
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject
from tests.conftest import Urls, move_clock
from tests.flows.world import KINDS, add_contact, add_lead, endings, settle
from tests.routing.conftest import make_rota

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture
async def library(database: Database, owner: Caller, agent: Caller) -> None:
    """All three, active, with Amir in the rota they need."""
    await make_rota(database, owner.workspace_id, "sales", [agent])
    async with database.transaction(owner.workspace_id) as tx:
        for flow in await service.install_library(tx, owner):
            await service.activate(tx, owner, flow.id, KINDS)


async def pass_days(database: Database, urls: Urls, days: int, *, first: int = 0) -> None:
    """Let the stepper look at every hour."""
    for hour in range(first * 24, (first + days) * 24 + 1, 6):
        await move_clock(urls, f"{hour} hours")
        await settle(database)


async def sleep_until_due(database: Database, workspace_id: UUID, urls: Urls) -> bool:
    """Move the clock to just after the next moment at which a run goes on; False when none does."""
    async with database.transaction(workspace_id) as tx:
        ahead = await tx.fetch_value("SELECT min(due_at) - app.now() FROM app.run")
        shift = await tx.fetch_value("SELECT shift FROM app.clock_shift")
    if ahead is None:
        return False
    await move_clock(urls, f"{(shift + max(ahead, timedelta(0)) + timedelta(seconds=1)).total_seconds()} seconds")
    return True


async def letters(database: Database, workspace_id: UUID, contact_id: UUID) -> Sequence[str]:
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT t.name FROM app.message m JOIN app.template t ON t.id = m.template_id"
            " WHERE m.contact_id = %s ORDER BY m.created_at, m.run_revision",
            (contact_id,),
        )
    return [name for (name,) in rows]


async def test_welcome_takes_five_days_in_the_contacts_mornings(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        contact_id = await add_contact(tx, "ann@x.example", company="Roofs", time_zone="Asia/Tokyo")
        await add_lead(tx, contact_id)
    while await sleep_until_due(database, workspace_id, urls):
        await settle(database)
    sent = await letters(database, workspace_id, contact_id)
    assert [name for name in sent if name != "request_received"] == [
        "welcome", "welcome_for_teams", "welcome_question", "welcome_goodbye",
    ]  # fmt: skip
    async with database.transaction(workspace_id) as tx:
        assert ("stopped", "All letters sent, no answer") in await endings(tx)
        hours = await tx.fetch_tuples(
            "SELECT DISTINCT to_char(m.created_at AT TIME ZONE 'Asia/Tokyo', 'HH24:MI') FROM app.message m"
            " JOIN app.template t ON t.id = m.template_id WHERE t.name IN ('welcome_for_teams', 'welcome_goodbye')"
        )
        assert hours == [("09:30",)]


async def test_speed_to_lead_ends_the_moment_somebody_accepts(
    database: Database, workspace_id: UUID, urls: Urls, agent: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        contact_id = await add_contact(tx, "ann@x.example")
        lead_id = await add_lead(tx, contact_id)
        await routing.route(tx, [RoutingSubject(lead_id, "lead", contact_id, {})], trigger="arrived")
    await settle(database)
    await move_clock(urls, "4 minutes")
    async with database.transaction(workspace_id) as tx:
        await routing.accept(tx, agent, lead_id)
        assert await endings(tx) == [("stopped", "lead.accepted")]
    await pass_days(database, urls, 1)
    async with database.transaction(workspace_id) as tx:
        told = await tx.fetch_tuples("SELECT address FROM app.message WHERE user_id IS NOT NULL")
        assert told == [("amir@acme.example",)]


async def test_win_back_asks_twice_after_a_lost_lead_but_not_somebody_who_is_back(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    async with database.transaction(workspace_id) as tx:
        quiet, back = await add_contact(tx, "quiet@x.example"), await add_contact(tx, "back@x.example")
        won = await add_contact(tx, "won@x.example")
        for contact_id, stage in ((quiet, "lost"), (back, "lost"), (won, "won")):
            lead_id = await add_lead(tx, contact_id)
            await KINDS["lead"].change(tx, [lead_id], "stage", stage, SYSTEM)
    await pass_days(database, urls, 10)
    async with database.transaction(workspace_id) as tx:
        await add_lead(tx, back)
    await pass_days(database, urls, 50, first=10)
    found = [await letters(database, workspace_id, contact_id) for contact_id in (quiet, back, won)]
    asked = [[name for name in names if name.startswith("win_back")] for names in found]
    assert asked == [["win_back_hello", "win_back_goodbye"], [], []]
