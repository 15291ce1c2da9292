"""pgqueuer: jobs enqueued from FastAPI, no-op jobs and deliveries, with asyncpg, its fastest driver."""

import asyncio
import json
from typing import Any

import aiohttp
import asyncpg
from fastapi import Request, Response
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries

from bench.peers.drained import Drain, Order, read_order
from bench.peers.fastapi_door import run, serve

# The largest batch that kept getting faster; its own default is 10.
BATCH = 100
ENQUEUED_AT_ONCE = 1_000
CONNECTIONS_OUT = 50


async def main(order: Order) -> None:
    """Make the schema, then do the work that is ordered."""
    async with asyncpg.create_pool(order.database_url, min_size=4, max_size=20) as pool:
        driver = AsyncpgPoolDriver(pool)
        await Queries(driver).install()
        match order.work:
            case "serve":
                await _serve(Queries(driver), order)
            case "jobs":
                await _drain(driver, order, None)
            case "deliver":
                limits = aiohttp.TCPConnector(limit=CONNECTIONS_OUT)
                async with aiohttp.ClientSession(connector=limits) as session:
                    await _drain(driver, order, session)


async def _drain(driver: Any, order: Order, session: aiohttp.ClientSession | None) -> None:
    queuer, drain = PgQueuer(driver), Drain(order)

    async def handle(job: Any) -> None:
        if session is not None:
            async with session.post(order.target, data=job.payload) as answer:
                answer.raise_for_status()
        drain.note()

    queuer.qm.entrypoint("work")(handle)
    await _enqueue(queuer.qm.queries, order.count)
    worker = asyncio.create_task(queuer.qm.run(batch_size=BATCH))
    await drain.wait()
    drain.report()
    queuer.shutdown.set()
    await worker


async def _enqueue(queries: Any, count: int) -> None:
    for start in range(0, count, ENQUEUED_AT_ONCE):
        numbers = range(start, min(start + ENQUEUED_AT_ONCE, count))
        payloads = [json.dumps({"number": number}).encode() for number in numbers]
        await queries.enqueue(["work"] * len(payloads), payloads, [0] * len(payloads))


async def _serve(queries: Any, order: Order) -> None:
    async def take(request: Request) -> Response:
        body = await request.json()
        payloads = [json.dumps(signal).encode() for signal in (body if isinstance(body, list) else [body])]
        await queries.enqueue(["signal"] * len(payloads), payloads, [0] * len(payloads))
        return Response(status_code=202)

    await serve(take, order.port)


if __name__ == "__main__":
    run(main(read_order()))
