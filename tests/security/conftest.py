"""The application with its intake, and a workspace with one of everything in it."""

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors
from switchboard.kernel.db import Database
from tests.security.world import furnish


@pytest.fixture
async def app(app: Starlette, database: Database) -> AsyncIterator[Starlette]:
    """The application whose intake commits to this test's database."""
    batcher = Batcher(database, most_waiting=2_000)
    batcher.start()
    app.state.batcher = batcher
    app.state.intake = IntakeApp(Doors(database), batcher)
    yield app
    await batcher.stop()


@pytest.fixture
async def ids(app: Starlette, database: Database, owner: Caller) -> dict[str, str]:
    """The ids of one of everything in the owner's workspace."""
    return await furnish(app, database, owner)
