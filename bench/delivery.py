"""What is due, going out: the outbox's own loop over a backlog, with a provider that takes everything at once, by HTTP
and by SMTP.

Real messages of a template with row security on: each is claimed behind a lease, passes the gate, is written as a mail,
handed over, and completed behind the fence with its attempt and its events. The servers are processes of their own.
"""

import os
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from pydantic import SecretStr

from bench import limits
from bench.fresh import fresh_server, open_database
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
from switchboard.delivery.outbox import OutboxLoop
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint

# A backlog of so many messages for each second of a measurement.
MESSAGES_A_SECOND = 2_000
CONNECTIONS = 10


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
        figures = uvloop.run(_measure(endpoint, sink, http_sink, count))
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
            await bench.drain("delivery.database_side", TakingChannel(), 35_000),
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

    async def drain(self, metric: str, channel: Channel, target: float) -> dict[str, Any]:
        """Messages a second from the first claim to the last completion."""
        name = metric.rpartition(".")[2].replace("_", "-")
        await queue_letters(self._database, self._workspace_id, self._count, domain=f"{name}.example")
        self._ask("ANALYZE")
        sent_before = self._ask("SELECT count(*) FROM app.message WHERE state = 'sent'")
        loop = OutboxLoop(self._database, {"email": channel}, LETTERHEAD, slots=CONNECTIONS)
        with measured(self._endpoint.superuser_url, apart=self._apart) as work:
            while (await loop.tick()).has_more:
                continue
        await loop.close()
        assert self._ask("SELECT count(*) FROM app.message WHERE state = 'sent'") == sent_before + self._count
        assert self._ask("SELECT count(*) FROM app.outbox") == 0
        return _per_second(metric, target, work, self._count)

    def _ask(self, sql: str) -> Any:  # noqa: ANN401 the caller knows the column
        with psycopg.connect(self._endpoint.superuser_url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


def _per_second(metric: str, target: float, work: Work, count: int) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": round(count / work.seconds),
        "unit": "messages/s",
        "better": "higher",
        "target": target,
        "cost": work.per(count),
    }
