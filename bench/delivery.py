"""What is due, going out: what delivery asks of the database by itself, the whole with a provider that takes everything
at once, and by HTTP and by SMTP.

`delivery.database_side` is a claim behind a lease with all that the gate asks about, and the fenced completion with its
attempt and its event, batch by batch and four batches at once; no mail is written and none is kept, as in the figures
of queues it is set beside. The others are the outbox's own loop over real messages of a template: each is claimed,
passes the gate, is written as a mail, handed over and completed, its texts kept. Row security is on everywhere, and the
servers are processes of their own.
"""

import asyncio
import os
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from bench import limits
from bench.fresh import fresh_server, open_database, run_as_worker
from bench.http_sink import HttpSink
from bench.limits_requests import measure_requests
from bench.mailing import LETTERHEAD, furnish, queue_letters
from bench.probes import Work, measured
from bench.results import Figure
from bench.sink import Sink
from switchboard.delivery.channels.base import Channel, Envelope, Sent
from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from switchboard.delivery.channels.webhook.settings import WebhookSettings
from switchboard.delivery.channels.webhook.transport import WebhookChannel
from switchboard.delivery.claiming import Claimer
from switchboard.delivery.completing import Completer, Outcome
from switchboard.delivery.models import no_lead_facts
from switchboard.delivery.outbox import MOST_TAKEN, OutboxLoop
from switchboard.delivery.pacing import Room
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint

# A backlog of so many messages for each second of a measurement.
MESSAGES_A_SECOND = 2_000
CONNECTIONS = 10
# How many batches are between claim and completion at a time, and how large they are, as the outbox takes them. With
# two, a third of the cores had nothing to do: both waited for their commits at once, or for Python's one thread.
BATCHES_AT_ONCE = 4
BATCH = MOST_TAKEN


class TakingChannel:
    """A provider that takes everything at once, so that what is left is our own work."""

    name = "taking"

    async def send(self, envelope: Envelope) -> Sent:
        """Take it."""
        return Sent(None, f"Taken: {len(envelope.raw)} bytes.")

    async def close(self) -> None:
        """Nothing is held."""


def run(seconds: float) -> list[Figure]:
    """Each way for a backlog; fails when a message is missing or went twice."""
    count = max(round(MESSAGES_A_SECOND * seconds), 10)
    with fresh_server() as endpoint, Sink() as sink, HttpSink() as http_sink:
        known = limits.measure_commits(endpoint.superuser_url, seconds / 4)
        known |= limits.measure_mail(sink, seconds / 4) | measure_requests(http_sink, seconds / 4)
        sink.take()
        http_sink.take()
        figures = run_as_worker(_measure(endpoint, sink, http_sink, count))
    known["load average"] = os.getloadavg()[0]
    shown = {name: round(value, 2) for name, value in known.items()}
    return [Figure(**figure, limits=shown) for figure in figures]


async def _measure(endpoint: Endpoint, sink: Sink, http_sink: HttpSink, count: int) -> list[dict[str, Any]]:
    smtp = SmtpSettings(host="127.0.0.1", port=sink.port, security="none", connections=CONNECTIONS)
    webhook = WebhookSettings(
        url=http_sink.url, secret=SecretStr("a secret of thirty-two letters..."), may_be_private=True
    )
    async with open_database(endpoint) as database:
        workspace_id = await furnish(database)
        bench = _Bench(endpoint, database, workspace_id, [sink.pid, http_sink.pid], count)
        figures = [
            await bench.drain_bare("delivery.database_side", 35_000),
            await bench.drain("delivery.composed", TakingChannel(), None),
            await bench.drain("delivery.over_http", WebhookChannel(webhook), 3_000),
            await bench.drain("delivery.over_smtp", SmtpChannel(smtp), 3_000),
        ]
    keys = [taken.key for taken in http_sink.take()]
    recipients = [mail.recipient for mail in sink.take()]
    assert len(set(keys)) == len(keys) == count, "a message is missing at the sending API, or came twice"
    assert len(set(recipients)) == len(recipients) == count, "a message is missing at the mail server, or came twice"
    return figures


class _Bench:
    """The database, and how many messages a measurement sends."""

    def __init__(
        self, endpoint: Endpoint, database: Database, workspace_id: UUID, apart: list[int], count: int
    ) -> None:
        self._endpoint = endpoint
        self._database = database
        self._workspace_id = workspace_id
        self._apart = apart
        self._count = count
        self._sent_before = 0

    async def drain_bare(self, metric: str, target: float) -> dict[str, Any]:
        """Messages a second from the first claim to the last completion, with nothing between the two."""
        await self._fill(metric)
        with measured(self._endpoint.superuser_url, apart=self._apart) as work:
            await claim_and_complete(self._database)
        return self._finish(metric, target, work)

    async def drain(self, metric: str, channel: Channel, target: float | None) -> dict[str, Any]:
        """Messages a second from the first claim to the last completion."""
        await self._fill(metric)
        loop = OutboxLoop(self._database, {"email": channel}, LETTERHEAD, slots=CONNECTIONS)
        with measured(self._endpoint.superuser_url, apart=self._apart) as work:
            while (await loop.tick()).has_more:
                continue
        await loop.close()
        return self._finish(metric, target, work)

    async def _fill(self, metric: str) -> None:
        domain = metric.rpartition(".")[2].replace("_", "-")
        await queue_letters(self._database, self._workspace_id, self._count, domain=f"{domain}.example")
        self._ask("ANALYZE")
        self._sent_before = self._ask("SELECT count(*) FROM app.message WHERE state = 'sent'")

    def _finish(self, metric: str, target: float | None, work: Work) -> dict[str, Any]:
        sent = self._ask("SELECT count(*) FROM app.message WHERE state = 'sent'")
        assert sent == self._sent_before + self._count, "not every message went out"
        assert self._ask("SELECT count(*) FROM app.outbox") == 0, "something is left in the outbox"
        return _per_second(metric, target, work, self._count)

    def _ask(self, sql: str) -> Any:  # noqa: ANN401 the caller knows the column
        with psycopg.connect(self._endpoint.superuser_url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


async def claim_and_complete(database: Database) -> None:
    """Take what is due and complete it at once, as if a provider had taken it, until nothing is left."""

    async def work() -> None:
        claimer = Claimer(database, LETTERHEAD, no_lead_facts)
        while (claimed := await claimer.claim(["email"], Room(BATCH, BATCH))).handled:
            await Completer(database).complete([Outcome(taken, 0.0, "Taken.") for taken in claimed.outgoing])

    await asyncio.gather(*(work() for _ in range(BATCHES_AT_ONCE)))


def _per_second(metric: str, target: float | None, work: Work, count: int) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": round(count / work.seconds),
        "unit": "messages/s",
        "better": "higher",
        "target": target,
        "cost": work.per(count),
    }
