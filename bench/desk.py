"""A workspace as a sales team has it: colleagues in a rota, a flow that begins with each lead, and a source."""

import secrets
from uuid import UUID

from bench.fresh import add_workspace
from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.entrypoints.assembly import subject_kinds
from switchboard.flows import service as flows
from switchboard.intake import service as intake
from switchboard.intake.models import Source
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas
from switchboard.routing.models import Rota

COLLEAGUES = 3
FLOW = """
flow: bench
title: Bench
subject: lead
starts:
  - on: lead.created
steps:
  - send: request_received
    purpose: transactional
"""


async def furnish(database: Database) -> Source:
    """All of it in a new workspace; returns the source."""
    workspace_id = await add_workspace(database)
    await _add_rota(database, workspace_id)
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        await flows.install_library(tx, caller)
        flow = await flows.save_flow(tx, caller, FLOW, subject_kinds())
        await flows.activate(tx, caller, flow.id, subject_kinds())
        return await intake.create_source(tx, caller, name="Bench", format_name="generic")


async def _add_rota(database: Database, workspace_id: UUID) -> None:
    caller = system_caller(workspace_id)
    async with database.transaction(workspace_id) as tx:
        rota_id = await rotas.create_rota(tx, caller, Rota(new_id(), "Desk", "UTC", "round_robin", None, None, 1))
        for number in range(COLLEAGUES):
            email = f"colleague{number}@bench.example"
            user_id = await accounts.create_member(
                tx, caller, email=email, name=email, password=secrets.token_urlsafe(12), role="agent"
            )
            await rotas.set_member(tx, caller, rota_id, user_id)
