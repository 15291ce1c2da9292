"""What tests of two transactions at once have to wait for."""

import asyncio

from switchboard.kernel.db import Database


async def wait_until_somebody_waits(database: Database) -> None:
    """Until a transaction waits for a lock that another holds."""
    for _ in range(200):
        async with database.directory() as tx:
            if await tx.fetch_value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waited for a lock within two seconds")
