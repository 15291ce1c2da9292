"""What every Python program of a peer shares: its orders, the count of what is done, and the answer it prints."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What to do: `serve`, `jobs`, `steps` or `deliver`; `count` items at most, for so many seconds at most.

    `target` is the address that deliveries are posted to, `port` where `serve` listens.
    """

    work: str
    database_url: str
    count: int = 0
    seconds: float = 0.0
    target: str = ""
    port: int = 0


def read_order() -> Order:
    """From the one argument, a JSON object."""
    return Order(**json.loads(sys.argv[1]))


class Drain:
    """Counts what is done, and waits until everything is or the time is over."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._done = 0
        self._first = self._last = self._cpu_first = self._cpu_last = 0.0
        self._all = asyncio.Event()

    def note(self) -> None:
        """One item is done."""
        self._last, self._cpu_last = time.perf_counter(), time.process_time()
        if not self._done:
            self._first, self._cpu_first = self._last, self._cpu_last
        self._done += 1
        if self._done >= self._order.count:
            self._all.set()

    async def wait(self) -> None:
        """Returns at the end; the time is that of the order."""
        try:
            await asyncio.wait_for(self._all.wait(), self._order.seconds)
        except TimeoutError:
            return

    def report(self) -> None:
        """Print what was counted, the first item being the start of the clock."""
        answer = {
            "done": self._done - 1,
            "seconds": self._last - self._first,
            "app_seconds": self._cpu_last - self._cpu_first,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
