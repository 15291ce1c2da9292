"""The canonical story: three people ask for something, get a letter each, and do different things with it.

Ann answers, so that her run stops. Bob unsubscribes, so that the second letter must not go to him. Cleo does nothing
and gets both. `Process` is one process of the product; what people do is seen from outside.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg

from switchboard.delivery.letters import Letterhead
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.unsubscribing import UnsubscribeLink, unsubscribe
from switchboard.entrypoints.assembly import build_hub, build_loops, load_letter_facts
from switchboard.inbox.listener import QUEUE as MAIL
from switchboard.inbox.receiving import receive_mail
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import load_settings
from tests.crash_points.company import Company
from tests.crash_points.faults import FailingChannel, Faults
from tests.crash_points.ledger import Ledger, LedgerChannel
from tests.inbox.conftest import make_mail

SECRET = "kept for tests only, 32 letters long"
LETTERHEAD = Letterhead("https://acme.example", SECRET.encode(), "switchboard.localhost", "")
SETTINGS = load_settings({"SWITCHBOARD_HOME": "/nonexistent", "APP_URL": "https://acme.example", "APP_SECRET": SECRET})
MOST_ROUNDS = 60
# A clock that jumps once beyond every lease and pause, and then to when the second letter is due.
BEYOND_LEASES, NEXT_DAY = "3 minutes", "25 hours"
AT_REST = """
SELECT NOT EXISTS (SELECT FROM app.signal_due) AND NOT EXISTS (SELECT FROM app.outbox)
   AND NOT EXISTS (SELECT FROM app.job WHERE due_at < app.now() + interval '1 hour')
"""
AWAY = (UnavailableError, psycopg.OperationalError)


@dataclass(frozen=True, slots=True)
class Scene:
    """One telling of the story: where, and under which number, so that its people are nobody else's."""

    superuser_url: str
    application_url: str
    company: Company
    number: int
    ledger: Ledger

    def address(self, name: str) -> str:
        return f"{name}{self.number}@x.example"

    @property
    def people(self) -> list[str]:
        return [self.address(name) for name in ("ann", "bob", "cleo")]

    def move_clock(self, shift: str) -> None:
        """Set the one clock to the present plus `shift`, from outside."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute("UPDATE app.clock_shift SET shift = %s::interval", (shift,))

    def is_at_rest(self) -> bool:
        """Whether nothing is due within the hour, so that a day may pass."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            return connection.execute(AT_REST).fetchone() == (True,)


class Process:
    """One process: an intake, and every loop of the product, ticked one after the other."""

    def __init__(self, scene: Scene, database: Database, loops: list[Loop], client: httpx2.AsyncClient) -> None:
        self._scene = scene
        self._database = database
        self._loops = loops
        self._client = client

    async def live(self) -> None:
        """Tell the whole story; only as far as the present where pauses and leases after a fault must run out first."""
        if await self.settle() and await asyncio.to_thread(self._scene.is_at_rest):
            await asyncio.to_thread(self._scene.move_clock, NEXT_DAY)
            await self.settle()

    async def settle(self) -> bool:
        """Work, and let everybody outside do what they would, until nothing is due; False when a call broke."""
        is_whole = True
        for _ in range(MOST_ROUNDS):
            deeds = [await self._attempt(deed) for deed in (self._ask, self._answer, self._unsubscribe)]
            ticks = [await self._tick(loop) for loop in self._loops]
            is_whole = is_whole and None not in (*deeds, *ticks)
            if not any(done is None or done for done in (*deeds, *ticks)):
                return is_whole
        return False

    async def _tick(self, loop: Loop) -> bool | None:
        """Whether more is due, None when the tick broke: the worker lives on, as in production."""
        try:
            tick = await loop.tick()
        except AWAY:
            return None
        return tick.handled > 0 or tick.has_more

    async def _attempt(self, deed: Callable[[], Awaitable[bool | None]]) -> bool | None:
        try:
            return await deed()
        except AWAY:
            return None

    async def _ask(self) -> bool | None:
        """The three people's form is posted, again with the same key until it is acknowledged."""
        ledger = self._scene.ledger
        if ledger.has("acknowledged"):
            return False
        leads = [{"email": address, "name": address.partition("@")[0]} for address in self._scene.people]
        path = f"/in/{self._scene.company.token}"
        answer = await self._client.post(path, json=leads, headers={"Idempotency-Key": f"story-{self._scene.number}"})
        if answer.status_code != 202:
            return None
        ledger.write("acknowledged", subject=" ".join(answer.json()["ids"]))
        return True

    async def _answer(self) -> bool:
        ledger, address = self._scene.ledger, self._scene.address("ann")
        letters = ledger.mails_to(address)
        if not letters or ledger.has("answered", address):
            return False
        mail = make_mail("Call me.", sender=address, message_id=f"<{address}>", in_reply_to=letters[0].header_id)
        await receive_mail(self._database, mail.as_bytes(), address, self._scene.company.mail_address)
        ledger.write("answered", address)
        return True

    async def _unsubscribe(self) -> bool:
        scene, address = self._scene, self._scene.address("bob")
        letters = scene.ledger.mails_to(address)
        if not letters or scene.ledger.has("unsubscribed", address):
            return False
        link = UnsubscribeLink(scene.company.workspace_id, find_message(scene, letters[0].header_id))
        async with self._database.transaction(scene.company.workspace_id) as tx:
            await unsubscribe(tx, link)
        scene.ledger.write("unsubscribed", address)
        return True


def find_message(scene: Scene, header_id: str) -> Any:
    """The id of a message, as the link in the letter names it."""
    with psycopg.connect(scene.superuser_url) as connection:
        found = connection.execute("SELECT id FROM app.message WHERE header_id = %s", (header_id,)).fetchone()
    assert found is not None
    return found[0]


@asynccontextmanager
async def process(
    scene: Scene, faults: Faults, connection_class: type[psycopg.AsyncConnection[Any]]
) -> AsyncIterator[Process]:
    """A process that has just started: a pool, loops and caches of its own; its calls count from now on."""
    database = Database(scene.application_url, build_hub(), max_connections=3, connection_class=connection_class)
    await database.open()
    channel = FailingChannel(LedgerChannel(scene.ledger), faults)
    outbox = OutboxLoop(database, {"email": channel}, LETTERHEAD, load_letter_facts)
    others = [one for one in build_loops(SETTINGS, database) if not isinstance(one, OutboxLoop) and one.name != MAIL]
    batcher = Batcher(database, most_waiting=100)
    batcher.start()
    transport = httpx2.ASGITransport(app=IntakeApp(Doors(database), batcher))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            faults.arm()
            yield Process(scene, database, [*others, outbox], client)
    finally:
        with contextlib.suppress(*AWAY):
            await outbox.close()
        await batcher.stop()
        await database.close()
