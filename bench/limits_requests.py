"""What a request to a provider costs here, from the client that the product sends with."""

import asyncio
import time

import aiohttp

from bench.http_sink import HttpSink

CONNECTIONS = 50
PAYLOAD = b'{"to": "ada@x.example", "subject": "Hello", "text": "A quote, as you asked"}'


def measure_requests(sink: HttpSink, seconds: float) -> dict[str, float]:
    """Requests a second to the sink, and the client's processor microseconds for one."""
    return asyncio.run(_post(sink.url, seconds))


async def _post(url: str, seconds: float) -> dict[str, float]:
    until = time.perf_counter() + seconds
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def keep_posting() -> int:
            done = 0
            while time.perf_counter() < until:
                async with session.post(url, data=PAYLOAD) as answer:
                    await answer.read()
                    done += 1
            return done

        began, spent = time.perf_counter(), time.process_time()
        done = sum(await asyncio.gather(*(keep_posting() for _ in range(CONNECTIONS))))
        elapsed, cost = time.perf_counter() - began, time.process_time() - spent
    return {"requests, aiohttp alone": done / elapsed, "aiohttp request, us": cost / done * 1e6}
