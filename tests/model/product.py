"""The product beside the model: the real loops on real rows, driven one deed at a time, and read back."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery.channels.base import Envelope, SendError, Sent
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.reaping import ReaperLoop
from switchboard.entrypoints.assembly import build_hub
from switchboard.flows import service as flows
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Actor
from switchboard.people import service as people
from tests.conftest import Urls, freeze_clock
from tests.delivery.sending import LETTERHEAD
from tests.flows.world import KINDS, add_contact, add_letters, save_active, settle, tell
from tests.model.plans import LETTERS, Plan
from tests.model.pure import Fate, Person, Rules

# What an example leaves behind, as far as the next one would see it.
FORGET = """
SET LOCAL session_replication_role = replica;
DELETE FROM app.run; DELETE FROM app.run_ended; DELETE FROM app.run_step; DELETE FROM app.flow_entry;
DELETE FROM app.flow_tally; DELETE FROM app.flow; DELETE FROM app.flow_version; DELETE FROM app.outbox;
DELETE FROM app.message; DELETE FROM app.attempt; DELETE FROM app.event; DELETE FROM app.contact;
DELETE FROM app.identity; DELETE FROM app.consent; DELETE FROM app.job; DELETE FROM app.channel_break;
"""
SLOTS = 100
# Person, flow, phase, when it is due, and whether it awaits an event, of each run.
RUNS = """
SELECT c.name, f.name, r.phase, r.due_at, r.awaits IS NOT NULL FROM app.run r
JOIN app.contact c ON c.id = r.contact_id JOIN app.flow f ON f.id = r.flow_id ORDER BY 1, 2
"""
# Person, flow, outcome and reason of each run that has ended.
ENDINGS = """
SELECT c.name, f.name, r.outcome, r.reason FROM app.run_ended r
JOIN app.contact c ON c.id = r.contact_id JOIN app.flow f ON f.id = r.flow_id ORDER BY 1, 2, 3, 4
"""
# Person, flow, letter, state, reason, whether it is in the outbox, and until when the gate has put it off, in the
# order of their ids, which is the one in which they were written.
LETTERS_WRITTEN = """
SELECT c.name, f.name, t.name,
    CASE WHEN m.state = 'queued' AND o.lease_until IS NOT NULL THEN 'sending' ELSE m.state END,
    CASE WHEN m.state <> 'queued' OR o.lease_until IS NULL THEN m.reason END, o.message_id IS NOT NULL,
    CASE WHEN o.lease_until IS NULL AND m.reason IN ('quiet_hours', 'frequency_cap') THEN o.due_at END
FROM app.message m JOIN app.contact c ON c.id = m.contact_id JOIN app.template t ON t.id = m.template_id
JOIN (SELECT id, flow_id FROM app.run UNION ALL SELECT id, flow_id FROM app.run_ended) r ON r.id = m.run_id
JOIN app.flow f ON f.id = r.flow_id LEFT JOIN app.outbox o ON o.message_id = m.id ORDER BY m.id
"""
# How often each flow was begun and left, by the word its tally has for it.
TALLIES = """
SELECT f.name, t.outcome, sum(t.runs) FROM app.flow_tally t JOIN app.flow f ON f.id = t.flow_id
WHERE t.step = -1 GROUP BY 1, 2
"""


@dataclass
class Provider:
    """Takes what it is given, or does what fate wants."""

    fate: Fate = "taken"
    taken: int = 0
    name: str = "fated"

    async def send(self, _envelope: Envelope) -> Sent:
        """Hand over one message as fate wants."""
        if self.fate == "process lost":
            # Nobody hears of this try any more, as when the process is gone.
            raise asyncio.CancelledError
        if self.fate == "later":
            raise SendError("retryable", "busy", "Come back later.", at_fault="message")
        if self.fate == "refused":
            raise SendError("permanent", "refused", "Never.", at_fault="message")
        self.taken += 1
        if self.fate == "in doubt":
            raise SendError("in_doubt", "lost", "The answer was lost.", at_fault="message")
        return Sent(None, "Taken.")

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Seen:
    """What the product's rows say, as the statements above put it."""

    runs: list[tuple[Any, ...]]
    endings: list[tuple[Any, ...]]
    letters: list[tuple[Any, ...]]
    tallies: Counter[tuple[str, str]]


@dataclass
class Product:
    """One workspace whose database's clock stands still until it is told to go on."""

    urls: Urls
    runner: asyncio.Runner
    database: Database
    workspace_id: UUID
    provider: Provider = field(default_factory=Provider)
    contacts: dict[str, UUID] = field(default_factory=dict)
    flows: dict[str, UUID] = field(default_factory=dict)

    def begin(self, now: datetime, persons: Sequence[Person], plans: Sequence[Plan], rules: Rules) -> None:
        """An empty world with these people and flows, all of them active."""
        with psycopg.connect(self.urls.superuser) as connection:
            connection.execute(FORGET)
        freeze_clock(self.urls, now)
        self.provider = Provider()
        self.runner.run(self._begin(persons, plans, rules))

    def pass_time(self, now: datetime) -> None:
        freeze_clock(self.urls, now)

    def tell(self, person: Person, kind: str) -> None:
        async def do(tx: Tx) -> None:
            await tell(tx, kind, contact_id=self.contacts[person.name])

        self._do(do)

    def opt_out(self, person: Person) -> None:
        async def do(tx: Tx) -> None:
            contact_id = self.contacts[person.name]
            await people.opt_out(tx, contact_id, Actor("contact", contact_id), "said so")

        self._do(do)

    def opt_in(self, person: Person) -> None:
        async def do(tx: Tx) -> None:
            await people.opt_in(tx, self._caller, self.contacts[person.name], "said so")

        self._do(do)

    def pause(self, plan: Plan) -> None:
        async def do(tx: Tx) -> None:
            await flows.pause(tx, self._caller, self.flows[plan.name])

        self._do(do)

    def activate(self, plan: Plan) -> None:
        async def do(tx: Tx) -> None:
            await flows.activate(tx, self._caller, self.flows[plan.name], KINDS)

        self._do(do)

    def step(self) -> None:
        self.runner.run(settle(self.database))

    def deliver(self, fate: Fate) -> None:
        """What a fresh process sends until nothing is due, or until it is lost."""
        self.provider.fate = fate
        self.runner.run(self._deliver())

    def reap(self) -> None:
        self.runner.run(ReaperLoop(self.database).tick())

    def read(self) -> "Seen":
        """All that can be compared, at one moment."""

        async def read() -> list[list[tuple[Any, ...]]]:
            async with self.database.transaction(self.workspace_id) as tx:
                return [await tx.fetch_tuples(sql) for sql in (RUNS, ENDINGS, LETTERS_WRITTEN, TALLIES)]

        runs, endings, letters, tallies = self.runner.run(read())
        counts = Counter({(name, outcome): int(count) for name, outcome, count in tallies})
        return Seen(runs, endings, letters, counts)

    @property
    def _caller(self) -> Caller:
        return system_caller(self.workspace_id)

    async def _begin(self, persons: Sequence[Person], plans: Sequence[Plan], rules: Rules) -> None:
        async with self.database.transaction(self.workspace_id) as tx:
            await tx.execute(
                "UPDATE app.workspace SET quiet_start = %s, quiet_end = %s, cap_messages = %s, cap_days = %s",
                (rules.quiet_start, rules.quiet_end, rules.cap_messages, rules.cap_days),
            )
            for person in persons:
                contact_id = await add_contact(tx, f"{person.name}@x.example", name=person.name)
                await tx.execute("UPDATE app.contact SET time_zone = %s WHERE id = %s", (person.zone, contact_id))
                self.contacts[person.name] = contact_id
            for plan in plans:
                self.flows[plan.name] = (await save_active(tx, plan.written())).id

    async def _deliver(self) -> None:
        loop = OutboxLoop(self.database, {"email": self.provider}, LETTERHEAD, slots=SLOTS)
        try:
            while (await loop.tick()).has_more:
                continue
        except asyncio.CancelledError:
            # The process is lost; what it had taken stays taken.
            return

    def _do(self, deed: Any) -> None:
        async def do() -> None:
            async with self.database.transaction(self.workspace_id) as tx:
                await deed(tx)

        self.runner.run(do())


async def found(urls: Urls) -> tuple[Database, UUID]:
    """A database that is open, and an empty workspace with the letters."""
    database = Database(urls.application, build_hub(), max_connections=4)
    await database.open()
    async with database.directory() as tx:
        workspace_id = await accounts.create_workspace(
            tx, name="Acme", time_zone="UTC", default_region="DE", mail_domain="switchboard.localhost"
        )
    async with database.transaction(workspace_id) as tx:
        await add_letters(tx, LETTERS)
    return database, workspace_id
