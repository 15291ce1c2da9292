"""What is done once a day."""

from uuid import uuid4

from switchboard.intake import housekeeping
from switchboard.intake.batcher import Batcher
from switchboard.intake.models import NewSignal, Source
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import Again
from tests.conftest import Urls, move_clock


async def test_expired_keys_go_and_months_to_come_have_their_place(
    database: Database, source: Source, urls: Urls
) -> None:
    batcher = Batcher(database, most_waiting=10)
    batcher.start()
    for seconds in (60, 7_200):
        await batcher.accept([NewSignal(new_id(), source.workspace_id, source.id, uuid4(), seconds, "{}")])
    await batcher.stop()
    await move_clock(urls, "1 hour")
    async with database.transaction(source.workspace_id) as tx:
        again = await housekeeping.clean_up(tx, {})
        kept = await tx.fetch_value("SELECT count(*) FROM app.signal_key")
        partitions = await tx.fetch_value(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'app.signal'::regclass AND inhrelid <> "
            "'app.signal_default'::regclass"
        )
    assert again == Again({}, after=housekeeping.NEXT_DAY)
    assert kept == 1
    # The present month's rows lie in the default partition already, so only the months after it are made.
    assert partitions >= housekeeping.MONTHS_AHEAD
