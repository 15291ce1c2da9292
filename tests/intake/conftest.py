"""Sources, and the real application with an intake of its own on the test's database."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import system_caller
from switchboard.intake import service
from switchboard.intake.app import IntakeApp, new_signals
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors, open_door
from switchboard.intake.formats.payloads import Payload
from switchboard.intake.models import Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database

BUFFER = 2_000


@pytest.fixture
async def app(app: Starlette, database: Database) -> AsyncIterator[Starlette]:
    """The application whose intake commits to this test's database."""
    batcher = Batcher(database, most_waiting=BUFFER)
    batcher.start()
    app.state.batcher = batcher
    app.state.intake = IntakeApp(Doors(database), batcher)
    yield app
    await batcher.stop()


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who posts to an address."""

    client: httpx2.AsyncClient
    path: str
    workspace_id: UUID

    async def post(self, **request: object) -> httpx2.Response:
        return await self.client.post(self.path, **request)  # type: ignore[arg-type]


@pytest.fixture
async def outside(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a session."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://testserver") as client:
        yield client


async def make_source(
    database: Database, workspace_id: UUID, name: str = "Site", format_name: str = "generic"
) -> Source:
    """A source of that format."""
    async with database.transaction(workspace_id) as tx:
        return await service.create_source(tx, system_caller(workspace_id), name=name, format_name=format_name)


@pytest.fixture
async def source(database: Database, workspace_id: UUID) -> Source:
    return await make_source(database, workspace_id)


@pytest.fixture
async def form(database: Database, workspace_id: UUID) -> Source:
    return await make_source(database, workspace_id, "Form", "webform")


@pytest.fixture
def sender(outside: httpx2.AsyncClient, source: Source) -> Sender:
    return Sender(outside, f"/in/{source.token}", source.workspace_id)


async def count_signals(database: Database, workspace_id: UUID) -> int:
    """How many signals are stored."""
    async with database.transaction(workspace_id) as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM app.signal"))


async def recognise_all(database: Database) -> int:
    """Run recognition until nothing is due; returns how many signals it took."""
    loop, handled = RecognitionLoop(database), 0
    while (tick := await loop.tick()).handled:
        handled += tick.handled
    return handled


async def store(database: Database, source: Source, *payloads: object) -> list[UUID]:
    """Store payloads as if they had been posted to the source's address; returns the signals' ids."""
    batcher = Batcher(database, most_waiting=BUFFER)
    batcher.start()
    raw = [Payload(json.dumps(payload).encode(), payload) for payload in payloads]
    answers = await batcher.accept(new_signals(open_door(source, source.workspace_id), raw, ""))
    await batcher.stop()
    return [answer.id for answer in answers]
