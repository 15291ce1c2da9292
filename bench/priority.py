"""Whether a page waits behind a campaign: pages sent at a steady rate, alone and while a campaign goes out.

Real processes on a fresh `switchboard up`: from before a page is queued until the mail server reads its MAIL FROM. The
campaign has more messages than can be sent in the time, all due, on the same channel and provider.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from bench.path import mail_settings, working
from bench.results import Figure
from bench.seeding import add_people
from bench.sink import Sink
from switchboard.delivery.models import Draft
from switchboard.delivery.service import queue_messages
from switchboard.entrypoints.assembly import build_hub
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint, find_running
from switchboard.kernel.ids import new_id
from tests.processes import Product, eventually, running

PAGES_A_SECOND = 20
# More than can be sent in a second, so that the campaign lasts as long as the pages.
RECIPIENTS_A_SECOND, RECIPIENTS_IN_FULL = 12_000, 1_000_000
QUEUED_AT_ONCE = 1_000
PATIENCE_SECONDS = 60.0
# The first ones wait for the worker to start.
WARM_UP_SECONDS = 0.5
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True, slots=True)
class _Bench:
    """The product, the way into its database, the mail server, and the people that messages go to."""

    product: Product
    endpoint: Endpoint
    sink: Sink
    workspace_id: UUID
    contact_ids: Sequence[UUID]


def run(seconds: float, *, rows: int | None = None, full: bool = False) -> list[Figure]:
    """Pages alone for `seconds`, then as many beside a campaign; fails when a page is missing or the campaign ends."""
    recipients = rows or (RECIPIENTS_IN_FULL if full else round(RECIPIENTS_A_SECOND * seconds))
    with (
        tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder,
        Sink() as sink,
        running(Path(folder), RUN_QUEUE_CONSUMERS="false", **mail_settings(sink.port)) as product,
    ):
        bench = _furnish(product, sink, recipients)
        with working(product, *_queues(product)):
            _send_pages(bench, WARM_UP_SECONDS, "early")
            alone = _send_pages(bench, seconds, "alone")
        asyncio.run(_queue_campaign(bench))
        with working(product, *_queues(product)):
            eventually(sink.take, seconds=PATIENCE_SECONDS, what="the first mail of the campaign")
            beside = _send_pages(bench, seconds, "beside")
            assert _count_waiting(bench), "the campaign ended before the pages: give it more recipients"
    return [*_figures("priority.page_alone", alone, None), *_figures("priority.page_during_campaign", beside, alone)]


def _queues(product: Product) -> list[str]:
    """Those that send: there may be one of its own for what is urgent."""
    return [name for name in product.health()["queues"] if name.startswith("outbox")]


def _furnish(product: Product, sink: Sink, recipients: int) -> _Bench:
    """A workspace that lets everything out at any hour, and its people."""
    source = product.json_command("source", "create", "--name", "Bench", "--format", "generic")
    endpoint = find_running(product.home)
    assert endpoint is not None, "the embedded Postgres is not running"
    with psycopg.connect(endpoint.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00', cap_messages = 1000")
        (workspace_id,) = connection.execute("SELECT id FROM app.workspace").fetchone() or (None,)
        add_people(endpoint.superuser_url, workspace_id, UUID(source["id"]), first=1, last=recipients, messages=0)
        found = connection.execute("SELECT id FROM app.contact ORDER BY id").fetchall()
    return _Bench(product, endpoint, sink, workspace_id, [contact_id for (contact_id,) in found])


async def _queue_campaign(bench: _Bench) -> None:
    campaign_id = new_id()
    drafts = [
        Draft(
            purpose="marketing",
            contact_id=contact_id,
            subject="An offer",
            text="Something new, for you.",
            campaign_id=campaign_id,
        )
        for contact_id in bench.contact_ids
    ]
    database = Database(bench.endpoint.application_url, build_hub(), max_connections=2)
    await database.open()
    for start in range(0, len(drafts), QUEUED_AT_ONCE):
        async with database.transaction(bench.workspace_id) as tx:
            await queue_messages(tx, drafts[start : start + QUEUED_AT_ONCE])
    await database.close()


def _send_pages(bench: _Bench, seconds: float, name: str) -> list[float]:
    """Milliseconds from queueing to the mail server for each page; sorted."""
    count = max(round(PAGES_A_SECOND * seconds), 5)
    addresses = [f"{name}{number}@page.example" for number in range(count)]
    asked = asyncio.run(_queue_pages(bench, addresses))
    began: dict[str, float] = {}

    def look() -> bool:
        began.update({mail.recipient: mail.at for mail in bench.sink.take() if mail.recipient in asked})
        return len(began) == count

    eventually(look, seconds=PATIENCE_SECONDS, what=f"{count} pages")
    return sorted((began[address] - asked[address]) * 1000 for address in addresses)


async def _queue_pages(bench: _Bench, addresses: Sequence[str]) -> dict[str, float]:
    """When each was asked for, by the clock that the mail server shares."""
    database = Database(bench.endpoint.application_url, build_hub(), max_connections=2)
    await database.open()
    asked: dict[str, float] = {}
    first = time.monotonic() + 0.05
    for number, address in enumerate(addresses):
        await asyncio.sleep(max(first + number / PAGES_A_SECOND - time.monotonic(), 0))
        asked[address] = time.monotonic()
        async with database.transaction(bench.workspace_id) as tx:
            page = Draft(
                purpose="page", contact_id=bench.contact_ids[0], subject="Down", text="It is down.", address=address
            )
            await queue_messages(tx, [page])
    await database.close()
    return asked


def _count_waiting(bench: _Bench) -> int:
    with psycopg.connect(bench.endpoint.superuser_url, autocommit=True) as connection:
        row: tuple[Any, ...] | None = connection.execute("SELECT count(*) FROM app.outbox").fetchone()
    assert row is not None
    return int(row[0])


def _figures(name: str, waits: Sequence[float], alone: Sequence[float] | None) -> list[Figure]:
    """What a page waits; beside a campaign no longer than alone is the aim."""
    return [
        Figure(
            f"{name}.{percentile}",
            _at(waits, share),
            "ms",
            "lower",
            None if alone is None else _at(alone, share),
        )
        for percentile, share in PERCENTILES.items()
    ]


def _at(ordered: Sequence[float], share: float) -> float:
    return round(ordered[int(len(ordered) * share)], 2)
