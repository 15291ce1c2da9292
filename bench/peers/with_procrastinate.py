"""procrastinate: jobs deferred from FastAPI, no-op jobs, chained jobs and deliveries, with its own connector."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import procrastinate
from fastapi import Request, Response

from bench.peers.drained import Drain, Order, read_order
from bench.peers.fastapi_door import run, serve

CONCURRENCY = 50
BATCH = 1_000


async def main(order: Order) -> None:
    """Make the schema, then do the work that is ordered."""
    connector = procrastinate.PsycopgConnector(conninfo=order.database_url, min_size=4, max_size=20)
    app = procrastinate.App(connector=connector)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        match order.work:
            case "serve":
                await _serve(app, order)
            case "jobs":
                await _drain(app, order, _idle)
            case "deliver":
                await _deliver(app, order)
            case "steps":
                await _chain(app, order)


async def _idle(number: int) -> None:
    """Nothing to do."""


async def _drain(app: Any, order: Order, handle: Any) -> None:
    drain = Drain(order)

    async def run(number: int) -> None:
        await handle(number)
        drain.note()

    task = app.task(name="work")(run)
    await _defer(task, order.count)
    await _work_until_done(app, drain)


async def _deliver(app: Any, order: Order) -> None:
    limits = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=limits) as session:

        async def post(number: int) -> None:
            async with session.post(order.target, json={"number": number}) as answer:
                answer.raise_for_status()

        await _drain(app, order, post)


async def _chain(app: Any, order: Order) -> None:
    """Two jobs an item: the first one defers the second, as a flow of two steps does."""
    drain = Drain(order)

    async def second(number: int) -> None:  # noqa: ARG001 the job has it by this name
        drain.note()

    second_task = app.task(name="second")(second)

    async def first(number: int) -> None:
        drain.note()
        await second_task.defer_async(number=number)

    await _defer(app.task(name="first")(first), order.count // 2)
    await _work_until_done(app, drain)


async def _defer(task: Any, count: int) -> None:
    for start in range(0, count, BATCH):
        await task.batch_defer_async(*({"number": number} for number in range(start, min(start + BATCH, count))))


async def _work_until_done(app: Any, drain: Drain) -> None:
    worker = asyncio.create_task(
        app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="successful", install_signal_handlers=False)
    )
    await drain.wait()
    drain.report()
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


async def _serve(app: Any, order: Order) -> None:
    async def handle(**signal: Any) -> None:
        """Never run here."""

    task = app.task(name="signal")(handle)

    async def take(request: Request) -> Response:
        body = await request.json()
        if isinstance(body, list):
            await task.batch_defer_async(*body)
        else:
            await task.defer_async(**body)
        return Response(status_code=202)

    await serve(take, order.port)


if __name__ == "__main__":
    run(main(read_order()))
