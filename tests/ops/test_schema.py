"""Preparing a database is safe to repeat, also when a month has begun without its partition."""

from uuid import UUID

from switchboard.kernel.db import Database
from switchboard.kernel.events import Event, append
from switchboard.kernel.migrations import connect
from switchboard.ops.schema import ensure_partitions
from tests.conftest import Urls, move_clock


async def test_a_start_after_a_month_without_its_partition_goes_on(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await move_clock(urls, "400 days")
    async with database.transaction(workspace_id) as tx:
        await append(tx, [Event("workspace.updated", subject_id=workspace_id)])
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE at > app.now() - interval '1 day'") == 1
    with connect(urls.owner) as connection:
        ensure_partitions(connection)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE at > app.now() - interval '1 day'") == 1
