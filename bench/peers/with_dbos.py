"""DBOS: workflows of two steps each, and no-op workflows; every step is a checkpoint in Postgres."""

import asyncio
from typing import Any

from dbos import DBOS, DBOSConfig

from bench.peers.drained import Drain, Order, read_order

# More workflows under way at once made it no faster.
AT_ONCE = 20


async def main(order: Order) -> None:
    """Launch it, then do the work that is ordered."""
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": order.database_url.replace("postgresql://", "postgresql+psycopg://"),
        "log_level": "ERROR",
    }
    DBOS(config=config)
    drain = Drain(order)
    workflow = DBOS.workflow(name="flow")(_two_steps(drain) if order.work == "steps" else _nothing(drain))
    DBOS.launch()
    await asyncio.gather(*(_keep_starting(workflow, drain, lane) for lane in range(AT_ONCE)))
    drain.report()
    DBOS.destroy()


def _two_steps(drain: Drain) -> Any:
    async def step(number: int) -> int:
        drain.note()
        return number

    checkpoint = DBOS.step(name="step")(step)

    async def flow(number: int) -> None:
        await checkpoint(await checkpoint(number))

    return flow


def _nothing(drain: Drain) -> Any:
    async def flow(_number: int) -> None:
        drain.note()

    return flow


async def _keep_starting(workflow: Any, drain: Drain, lane: int) -> None:
    """One workflow after the other until the drain says that the time is over."""
    over = asyncio.ensure_future(drain.wait())
    number = lane
    while not over.done():
        handle = await DBOS.start_workflow_async(workflow, number)
        await handle.get_result()
        number += AT_ONCE


if __name__ == "__main__":
    asyncio.run(main(read_order()))
