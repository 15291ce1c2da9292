"""An outbox with a channel that remembers, and steps of it that tests take one by one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from uuid import UUID

from switchboard.delivery import service
from switchboard.delivery.channels.base import Envelope, SendError, Sent
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.letters import Letterhead
from switchboard.delivery.models import Draft, Message
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.reaping import ReaperLoop
from switchboard.kernel.db import Database

SECRET = b"a secret of thirty-two letters..."
LETTERHEAD = Letterhead("https://switchboard.example", SECRET, "switchboard.localhost", "")
DEADLINE_SECONDS = 20


@dataclass
class HoldingChannel:
    """Keeps every send waiting until it is let go, as a slow server does."""

    name = "holding"
    envelopes: list[Envelope] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, envelope: Envelope) -> Sent:
        self.begun.set()
        await self.released.wait()
        self.envelopes.append(envelope)
        return Sent(None, "Let go.")

    async def close(self) -> None:
        self.released.set()


@dataclass
class Outbox:
    """One process's loops on the test's database."""

    database: Database
    channel: RecordingChannel = field(default_factory=RecordingChannel)

    def __post_init__(self) -> None:
        self.loop = OutboxLoop(self.database, {"email": self.channel}, LETTERHEAD)

    async def run(self) -> None:
        """Send until nothing is due, as the worker does."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await self.loop.tick()).has_more:
                continue

    async def reap(self) -> int:
        return (await ReaperLoop(self.database).tick()).handled

    def fail_next(self, kind: str, code: str, message: str, **more: object) -> None:
        self.channel.failures.append(SendError(kind, code, message, **more))  # type: ignore[arg-type]

    @property
    def subjects(self) -> list[str]:
        return [str(message_from_bytes(one.raw, policy=default)["Subject"]) for one in self.channel.envelopes]

    @property
    def header_ids(self) -> list[str]:
        return [str(message_from_bytes(one.raw, policy=default)["Message-ID"]) for one in self.channel.envelopes]


async def queue(database: Database, workspace_id: UUID, *drafts: Draft) -> list[UUID]:
    async with database.transaction(workspace_id) as tx:
        return await service.queue_messages(tx, drafts)


async def load(database: Database, workspace_id: UUID, message_id: UUID) -> Message:
    async with database.transaction(workspace_id) as tx:
        return (await service.load_messages(tx, [message_id]))[message_id]


async def states(database: Database, workspace_id: UUID, ids: Sequence[UUID]) -> list[tuple[str, str | None]]:
    """State and reason of each message."""
    async with database.transaction(workspace_id) as tx:
        found = await service.load_messages(tx, ids)
    return [(found[one].state, found[one].reason) for one in ids]


async def event_kinds(database: Database, workspace_id: UUID, message_id: UUID) -> list[str]:
    """What happened to a message, in order."""
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT kind FROM app.event WHERE workspace_id = %s AND subject_id = %s ORDER BY id",
            (workspace_id, message_id),
        )
    return [kind for (kind,) in rows]


async def outbox_rows(database: Database) -> int:
    async with database.queue_loop() as tx:
        count: int = await tx.fetch_value("SELECT count(*) FROM app.outbox")
    return count
