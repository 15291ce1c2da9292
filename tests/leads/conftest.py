"""A source, contacts, and leads of theirs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.leads import changes, service
from switchboard.leads.models import Enquiry, Lead
from switchboard.people import service as people
from switchboard.people.models import Sighting


@pytest.fixture
async def source_id(database: Database, workspace_id: UUID) -> UUID:
    """The source `Website`."""
    async with database.transaction(workspace_id) as tx:
        return await add_source(tx, "Website")


async def add_source(tx: Tx, name: str) -> UUID:
    source_id = new_id()
    await tx.execute(
        "INSERT INTO app.source (id, workspace_id, name, format, token) VALUES (%s, %s, %s, 'generic', %s)",
        (source_id, tx.workspace_id, name, source_id.hex),
    )
    return source_id


async def meet(tx: Tx, name: str) -> UUID:
    """The contact of that name, known by an e-mail address made from it."""
    sighting = Sighting(name=name, email=f"{name.lower().replace(' ', '.')}@client.example")
    (found,) = await people.recognise(tx, [sighting], "DE")
    assert found.contact_id is not None
    return found.contact_id


def enquiry(contact_id: UUID, source_id: UUID, **columns: object) -> Enquiry:
    """An enquiry of now, with these columns."""
    given: Mapping[str, object] = {"occurred_at": datetime.now(UTC), **columns}
    return Enquiry(contact_id=contact_id, source_id=source_id, **given)  # type: ignore[arg-type]


async def open_lead(
    database: Database, caller: Caller, source_id: UUID, name: str = "Ada Byron", **columns: object
) -> UUID:
    """A new lead of that person, routed by the rules as intake does it."""
    async with database.transaction(caller.workspace_id) as tx:
        asked = enquiry(await meet(tx, name), source_id, **columns)
        (opened,) = await service.open_or_join(tx, [asked])
        if opened.is_open:
            await changes.route(tx, [opened.lead_id], trigger="lead.created")
        return opened.lead_id


async def read(database: Database, caller: Caller, lead_id: UUID) -> Lead:
    async with database.transaction(caller.workspace_id) as tx:
        return await service.access_lead(tx, caller, lead_id)


async def list_events(database: Database, caller: Caller, lead_id: UUID) -> list[str]:
    """The kinds of a lead's events in their order, those of one change sorted."""
    async with database.transaction(caller.workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT kind FROM app.event WHERE lead_id = %s ORDER BY at, kind", (lead_id,))
    return [row[0] for row in rows]
