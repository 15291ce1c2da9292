"""Load that does not wait: one request each so many milliseconds, whether or not the last was answered."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.load import read_status, request_head

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """When each request was due by the monotonic clock, how much later it went out, and when it was answered."""

    due: Sequence[float]
    sent: Sequence[float]
    answered: Sequence[float]
    refused: int


class _Poster:
    """As many kept connections as are under way at once."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._idle: list[Wire] = []

    async def post(self, body: bytes) -> tuple[float, float, bool]:
        reader, writer = self._idle.pop() if self._idle else await self._open()
        writer.write(request_head(self._parts.path, self._parts.netloc, len(body)) + body)
        sent = time.monotonic()
        is_refused = await read_status(reader) != 202
        answered = time.monotonic()
        self._idle.append((reader, writer))
        return sent, answered, is_refused

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()

    async def _open(self) -> Wire:
        return await asyncio.open_connection(self._parts.hostname, self._parts.port)


async def post_at_rate(url: str, bodies: Sequence[bytes], per_second: float) -> OpenLoop:
    """Post each body at its time; a slow answer delays no other request, and a late start counts against us."""
    poster = _Poster(url)
    began = time.monotonic() + 0.05
    due = [began + number / per_second for number in range(len(bodies))]

    async def one(number: int) -> tuple[float, float, bool]:
        return await poster.post(bodies[number])

    tasks = []
    for number, at in enumerate(due):
        await asyncio.sleep(max(at - time.monotonic(), 0))
        tasks.append(asyncio.create_task(one(number)))
    answers = await asyncio.gather(*tasks)
    await poster.close()
    sent, answered, refusals = zip(*answers, strict=True)
    return OpenLoop(due, sent, answered, sum(refusals))


async def post_in_turn(url: str, bodies: Sequence[bytes]) -> int:
    """Post one body after the other; returns how many were refused."""
    poster = _Poster(url)
    refused = 0
    for body in bodies:
        refused += (await poster.post(body))[2]
    await poster.close()
    return refused
