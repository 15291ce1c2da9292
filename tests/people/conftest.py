"""People seen in signals, and what the tables say about them."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.kernel.db import Database, Tx
from switchboard.people import service
from switchboard.people.models import Recognised, Sighting
from tests.conftest import Urls
from tests.rows import read_rows

# Whole tables, by the name they are compared under; what a merge is expected to leave behind is not among them.
TABLES = {
    "contact": "SELECT c.*, null AS updated_at FROM app.contact c ORDER BY id",
    "identity": "SELECT * FROM app.identity ORDER BY id",
    "consent": "SELECT * FROM app.consent ORDER BY id",
    "note": "SELECT * FROM app.note ORDER BY id",
    "contact_tag": "SELECT * FROM app.contact_tag ORDER BY tag, contact_id",
    "merge_suggestion": "SELECT * FROM app.merge_suggestion ORDER BY id",
}


@pytest.fixture
async def other_process(urls: Urls) -> AsyncIterator[Database]:
    """A second pool on the same database, as another process has."""
    database = Database(urls.application, build_hub(), max_connections=4)
    await database.open()
    yield database
    await database.close()


async def see(database: Database, caller: Caller, *sightings: Sighting) -> list[Recognised]:
    """Recognise one batch in a transaction of its own, with Germany as the region."""
    async with database.transaction(caller.workspace_id) as tx:
        return await service.recognise(tx, sightings, "DE")


async def count(tx: Tx, table: str) -> int:
    return int(await tx.fetch_value(f"SELECT count(*) FROM app.{table}"))


async def whole_tables(tx: Tx) -> dict[str, Sequence[dict[str, object]]]:
    """Everything that a merge followed by its undo must leave as it was."""
    return {name: await read_rows(tx, statement) for name, statement in TABLES.items()}


async def find_consent(tx: Tx, contact_id: UUID, channel: str = "email") -> bool | None:
    """What a contact said last to advertising on a channel; None where they never said anything."""
    said = [one for one in await service.list_consents(tx, contact_id) if one.channel == channel]
    return said[0].is_granted if said else None
