"""What the load is about: a workspace, a flow of two letters to every lead, and a campaign under way meanwhile."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery.letter_templates import apply_template
from switchboard.delivery.models import LetterDraft
from switchboard.entrypoints.assembly import build_hub
from switchboard.flows import campaigns
from switchboard.flows.campaign_models import CampaignForm
from switchboard.intake import service as intake
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas
from switchboard.routing.models import Rota
from tests.conftest import make_member
from tests.external.own_postgres import OWNER, OwnPostgres
from tests.flows.campaign_world import add_people
from tests.flows.world import save_active
from tests.processes import PROGRAM

FIRST, SECOND = "We have your request", "Shall we talk?"
NEWS, AGAIN = "News", "News again"
LETTERS = {
    "first": ("transactional", FIRST),
    "second": ("transactional", SECOND),
    "news": ("marketing", NEWS),
    "again": ("marketing", AGAIN),
}
FOLLOW_UP = """
flow: follow_up
title: Follow up
subject: lead
starts: [lead.created]
stops: [message.replied]
steps:
  - send: first
    purpose: transactional
  - wait: 2s
  - send: second
    purpose: transactional
"""
CAMPAIGN = """
flow: news
title: News
subject: contact
stops: [contact.opted_out]
steps:
  - send: news
  - wait: 10s
  - send: again
"""
DOMAIN = "campaign.example"
# The one clock, movable, as the tests of the rooms have it.
CLOCK = (
    "CREATE TABLE app.clock_shift (shift interval NOT NULL)",
    "INSERT INTO app.clock_shift VALUES ('0')",
    "GRANT SELECT ON app.clock_shift TO PUBLIC",
    "CREATE OR REPLACE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql STABLE"
    " AS 'SELECT pg_catalog.now() + shift FROM app.clock_shift'",
)


@dataclass(frozen=True, slots=True)
class World:
    """What load and oracle need to know."""

    server: OwnPostgres
    database: str
    workspace_id: UUID
    token: str
    campaign_id: UUID | None
    recipients: int

    @property
    def application_url(self) -> str:
        return self.server.url(self.database, OWNER)

    def ask(self, sql: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Rows across all workspaces, as the administrator sees them."""
        with psycopg.connect(self.server.url(self.database, "postgres"), connect_timeout=5) as connection:
            return connection.execute(sql.encode(), params).fetchall()

    def do(self, sql: str, *params: object) -> None:
        """One statement as the administrator."""
        url = self.server.url(self.database, "postgres")
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.encode(), params or None)

    def number(self, sql: str) -> int:
        """The number that a statement answers with."""
        ((found,),) = self.ask(sql)
        return int(found)


def migrate(server: OwnPostgres, database: str) -> None:
    """Make the schema as an operator does."""
    settings = {"DATABASE_URL": server.url(database, OWNER), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([*PROGRAM, "migrate", "up"], env=settings, check=True, capture_output=True, timeout=120)


def found(server: OwnPostgres, database: str, *, recipients: int = 0, per_minute: int | None = None) -> World:
    """Set everything up in a migrated database; a campaign to so many is started, and nothing works yet."""
    made = asyncio.run(_found(server.url(database, OWNER), recipients, per_minute))
    world = World(server, database, *made, recipients)
    for statement in CLOCK:
        world.do(statement)
    return world


async def _found(url: str, recipients: int, per_minute: int | None) -> tuple[UUID, str, UUID | None]:
    edge = Database(url, build_hub(), max_connections=2)
    await edge.open()
    try:
        async with edge.directory() as tx:
            workspace_id = await accounts.create_workspace(
                tx, name="Acme", time_zone="UTC", default_region="DE", mail_domain="switchboard.localhost"
            )
        agent = await make_member(edge, workspace_id, "amir@acme.example", "Amir", "agent")
        async with edge.transaction(workspace_id) as tx:
            caller = system_caller(workspace_id)
            await _open(tx, caller, [agent])
            source = await intake.create_source(tx, caller, name="Site", format_name="generic")
            await add_people(tx, recipients, domain=DOMAIN)
            campaign_id = await _start_campaign(tx, caller, per_minute) if recipients else None
        return workspace_id, source.token, campaign_id
    finally:
        await edge.close()


async def _open(tx: Tx, caller: Caller, agents: Sequence[Caller]) -> None:
    """Letters at any hour, and somebody who takes the leads."""
    await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00', cap_messages = 1000")
    rota_id = await rotas.create_rota(tx, caller, Rota(new_id(), "Sales", "UTC", "round_robin", None, None, 1))
    for agent in agents:
        assert agent.user_id is not None
        await rotas.set_member(tx, caller, rota_id, agent.user_id)
    body = '<mj-text>Hello. <a href="{{ unsubscribe_url }}">No more</a></mj-text>'
    for name, (purpose, subject) in LETTERS.items():
        await apply_template(tx, caller, LetterDraft(name, name, purpose, subject, body))
    await save_active(tx, FOLLOW_UP)


async def _start_campaign(tx: Tx, caller: Caller, per_minute: int | None) -> UUID:
    flow = await save_active(tx, CAMPAIGN)
    form = CampaignForm(
        name="news", variants=[(flow.id, 100)], audience_kind="everybody", throttle_per_minute=per_minute
    )
    campaign = await campaigns.create_campaign(tx, caller, form)
    return (await campaigns.start_campaign(tx, caller, campaign.id)).id
