"""The plan of the hottest look-up, also on tables that have only just been filled and were never analysed."""

from uuid import UUID

import pytest

from switchboard.kernel.db import Database
from switchboard.people import repository
from switchboard.people.models import Sighting
from switchboard.people.service import recognise
from tests.plans import ExplainingTx

PEOPLE = 300


@pytest.mark.usefixtures("never_analysed")
async def test_addresses_are_looked_up_one_by_one_without_statistics(database: Database, workspace_id: UUID) -> None:
    people = [Sighting(name="Ann", email=f"ann{number}@x.example") for number in range(PEOPLE)]
    async with database.transaction(workspace_id) as tx:
        await recognise(tx, people, "DE")
    async with database.transaction(workspace_id) as tx:
        explaining = ExplainingTx(tx, workspace_id)
        known = await repository.find_known(
            explaining, [("email", f"ann{number}@x.example") for number in range(PEOPLE)]
        )
    assert len(known.owners) == PEOPLE
    (plan,) = explaining.plans
    assert "Seq Scan" not in plan
    assert "identity_key" in plan
    assert plan.count("contact_pkey") == 2
