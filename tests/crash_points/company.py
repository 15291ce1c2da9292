"""The company of every story: two agents who take leads in turn, one source, and one flow of two letters."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.delivery.letter_templates import apply_template
from switchboard.delivery.models import LetterDraft
from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import service as intake
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas
from switchboard.routing.models import Rota
from tests.conftest import make_member
from tests.flows.world import save_active

FIRST, SECOND = "We have your request", "Still interested?"
FLOW = """
flow: follow_up
title: Follow up
subject: lead
starts: [lead.created]
stops: [message.replied]
steps:
  - send: first
    purpose: transactional
  - wait: 1d
  - send: second
    purpose: marketing
"""


@dataclass(frozen=True, slots=True)
class Company:
    """What a story needs to know of it."""

    workspace_id: UUID
    token: str
    mail_address: str
    flow_id: UUID


def found(application_url: str) -> Company:
    """Set the company up."""
    return asyncio.run(_found(application_url))


async def _found(application_url: str) -> Company:
    database = Database(application_url, build_hub(), max_connections=2)
    await database.open()
    try:
        async with database.directory() as tx:
            workspace_id = await accounts.create_workspace(
                tx, name="Acme", time_zone="UTC", default_region="DE", mail_domain="switchboard.localhost"
            )
        agents = [
            await make_member(database, workspace_id, f"{name}@acme.example", name, "agent") for name in ("amir", "bea")
        ]
        async with database.transaction(workspace_id) as tx:
            await _add_rota(tx, [agent.user_id for agent in agents if agent.user_id is not None])
            return await _open_for_business(tx)
    finally:
        await database.close()


async def _add_rota(tx: Tx, user_ids: list[UUID]) -> None:
    caller = system_caller(tx.workspace_id)
    rota_id = await rotas.create_rota(tx, caller, Rota(new_id(), "Sales", "UTC", "round_robin", None, None, 1))
    for user_id in user_ids:
        await rotas.set_member(tx, caller, rota_id, user_id)


async def _open_for_business(tx: Tx) -> Company:
    caller = system_caller(tx.workspace_id)
    # A day without quiet hours, so that stories can be told at any hour.
    await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
    for name, purpose, subject in (("first", "transactional", FIRST), ("second", "marketing", SECOND)):
        body = '<mj-text>Hello. <a href="{{ unsubscribe_url }}">No more</a></mj-text>'
        await apply_template(tx, caller, LetterDraft(name, name, purpose, subject, body))
    flow = await save_active(tx, FLOW)
    source = await intake.create_source(tx, caller, name="Site", format_name="generic")
    workspace = await accounts.get_workspace(tx)
    return Company(tx.workspace_id, source.token, workspace.mail_from, flow.id)
