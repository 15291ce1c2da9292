"""Events reach the runs that they concern, and no run is looked for that no flow lets them concern."""

from uuid import UUID

import pytest

from switchboard.kernel.db import Database, recorded_queries
from tests.flows.world import add_contact, add_letters, save_active, settle, tell

FLOW = """\
flow: greet
title: Greet
subject: contact
starts:
  - on: contact.created
steps:
  - wait: {for: 2d}
  - send: welcome
"""


async def hear(database: Database, workspace_id: UUID, contact_id: UUID) -> bool:
    """Tell of a sent message as the outbox does; returns whether runs were looked for."""
    async with database.queue_loop() as tx:
        await tx.enter_workspace(workspace_id)
        with tx.remembering(), recorded_queries() as statements:
            await tell(tx, "message.sent", contact_id=contact_id)
    return any("FROM app.run" in statement for statement in statements)


async def endings(database: Database, workspace_id: UUID) -> list[tuple[str, str]]:
    async with database.transaction(workspace_id) as tx:
        return [(row[0], row[1]) for row in await tx.fetch_tuples("SELECT outcome, reason FROM app.run_ended")]


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(FLOW + "stops: [message.sent]\n", id="a stop"),
        pytest.param(FLOW + 'stops: ["message\\x2esent"]\n', id="a stop that is hidden by an escape"),
        pytest.param(
            FLOW.replace("{for: 2d}", "{event: message.sent, timeout: 2d}") + "stops: [message.replied]\n", id="a wait"
        ),
    ],
)
async def test_the_outbox_asks_for_runs_only_where_a_version_names_what_it_tells(
    database: Database, workspace_id: UUID, named: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, FLOW)
        contact_id = await add_contact(tx, "ann@x.example")
    assert await settle(database) == 1
    assert not await hear(database, workspace_id, contact_id)
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, named.replace("greet", "listen"))
        other_id = await add_contact(tx, "bob@x.example")
    assert await settle(database) == 2
    assert await hear(database, workspace_id, other_id)
    async with database.transaction(workspace_id) as tx:
        await save_active(tx, FLOW.replace("greet", "listen"))
    # Runs of the version before are under way still.
    assert await hear(database, workspace_id, other_id)


async def test_a_stop_that_the_outbox_tells_of_ends_the_run(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, FLOW + "stops: [message.sent]\n")
        contact_id = await add_contact(tx, "ann@x.example")
    await settle(database)
    await hear(database, workspace_id, contact_id)
    assert await endings(database, workspace_id) == [("stopped", "message.sent")]
