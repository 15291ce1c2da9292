"""What is written about a run stands behind its revision: whoever comes late changes nothing."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from switchboard.flows import repository_runs
from switchboard.flows.models import RunPosition
from switchboard.kernel.db import Database
from tests.flows.world import add_contact, add_letters, running, save_active, settle, tell

FLOW = """
flow: waits
title: Waits
subject: contact
starts: [lead.stage_changed]
steps:
  - wait: 1h
  - send: welcome
"""


async def test_a_position_that_is_no_newer_changes_nothing(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, FLOW)
        await tell(tx, "lead.stage_changed", contact_id=await add_contact(tx, "ann@x.example"))
    await settle(database)
    async with database.transaction(workspace_id) as tx:
        [(run_id, revision)] = await tx.fetch_tuples("SELECT id, revision FROM app.run")
        late = RunPosition(run_id, 1, revision, "ready", await tx.now() + timedelta(hours=9), None, 0)
        assert await repository_runs.save_positions(tx, [late]) == set()
        assert await running(tx) == [(0, "waiting")]
        assert await repository_runs.save_positions(tx, [replace(late, revision=revision + 1)]) == {run_id}
        assert await running(tx) == [(1, "ready")]
