"""The first start makes one workspace and one owner, however many processes start first."""

import asyncio

from switchboard.accounts import service as accounts
from switchboard.kernel.db import Database
from switchboard.kernel.settings import load_settings
from switchboard.ops.first_run import OWNER_EMAIL, FirstOwner, set_up_first_workspace


async def test_of_two_first_starts_at_once_one_makes_the_workspace(database: Database) -> None:
    settings = load_settings({})
    made = await asyncio.gather(
        *(set_up_first_workspace(database, settings, password=f"correct horse {number}") for number in range(2))
    )
    assert [owner.email for owner in made if isinstance(owner, FirstOwner)] == [OWNER_EMAIL]
    async with database.directory() as tx:
        assert len(await accounts.list_workspace_ids(tx)) == 1
