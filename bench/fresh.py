"""A fresh embedded Postgres with the whole schema, for benchmarks that need no process of the product.

As it ships: durable, with row-level security, and the application's own role.
"""

import gc
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import uvloop

from switchboard.accounts import service as accounts
from switchboard.entrypoints.assembly import build_hub
from switchboard.entrypoints.work import collect_seldom
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import EmbeddedPostgres, Endpoint
from switchboard.ops.schema import prepare_database

Result = TypeVar("Result")


@contextmanager
def fresh_server() -> Iterator[Endpoint]:
    """The server with the migrated schema, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, EmbeddedPostgres(Path(folder)) as endpoint:
        prepare_database(endpoint.owner_url, endpoint.application_url)
        yield endpoint


@asynccontextmanager
async def open_database(endpoint: Endpoint, *, max_connections: int = 8) -> AsyncIterator[Database]:
    """The application's edge on it, wired as in production."""
    database = Database(endpoint.application_url, build_hub(), max_connections=max_connections)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def run_as_worker(program: Coroutine[Any, Any, Result]) -> Result:
    """Run loops in this process as `switchboard work` runs them: on its event loop, rings of objects looked for seldom.

    Afterwards the process looks for them as before.
    """
    thresholds = gc.get_threshold()
    collect_seldom()
    try:
        return uvloop.run(program)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def add_workspace(database: Database) -> UUID:
    """A workspace as the first start makes it."""
    async with database.directory() as tx:
        return await accounts.create_workspace(
            tx, name="Bench", time_zone="UTC", default_region="US", mail_domain="switchboard.localhost"
        )
