"""The least a provider can do: answer 200 to every POST and note its idempotency key. A process of its own."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any, cast

import uvloop

from bench.sink import SinkProcess, serve

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Taken:
    """One POST: its `Idempotency-Key`, empty when it has none, and when it was whole, by the monotonic clock."""

    key: str
    at: float


class HttpSink(SinkProcess):
    """The provider, ended with the block."""

    def __init__(self) -> None:
        super().__init__("bench.http_sink")
        self.url = f"http://127.0.0.1:{self.port}/"

    def take(self) -> list[Taken]:
        """The requests that came since the last call."""
        return [Taken(key, at) for key, at in self.ask()]


class _Conversation(asyncio.Protocol):
    """One connection that is kept open; requests have a Content-Length."""

    def __init__(self, taken: list[Any]) -> None:
        self._taken = taken
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not the library's own classes.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._take_one():
            self._transport.write(_ANSWER)

    def _take_one(self) -> bool:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = int(found[1]) if (found := _LENGTH.search(head)) else 0
        if not end or len(rest) < length:
            return False
        self._received = rest[length:]
        key = _KEY.search(head)
        self._taken.append((key[1].decode() if key else "", time.monotonic()))
        return True


if __name__ == "__main__":
    uvloop.run(serve(_Conversation))
