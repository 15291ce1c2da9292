"""The least a mail server can do: take every mail and note when its MAIL FROM came. A process of its own.

Times are those of the monotonic clock, which all processes of a machine share. `python -m bench.sink` prints its port,
then answers each line on its standard input with what it has taken since the last, and ends with the input.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import uvloop

_GREETING = b"220 sink ready\r\n"
_EHLO = b"250-sink\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SIZE 10485760\r\n"
_DONE = b"250 2.0.0 Ok: queued as sink\r\n"
_END_OF_CONTENT = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Mail:
    """Whom a mail was for, and when its MAIL FROM came, in seconds of the monotonic clock."""

    recipient: str
    at: float


class SinkProcess:
    """A server in a process of its own, ended with the block: `python -m module` calls `serve`."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.port = int(self._read())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def ask(self) -> list[Any]:
        """What came since the last call, as the process notes it."""
        assert self._process.stdin is not None
        self._process.stdin.write("take\n")
        self._process.stdin.flush()
        taken: list[Any] = json.loads(self._read())
        return taken

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Sink(SinkProcess):
    """The mail server."""

    def __init__(self) -> None:
        super().__init__("bench.sink")

    def take(self) -> list[Mail]:
        """The mails that came since the last call."""
        return [Mail(recipient, at) for recipient, at in self.ask()]


class _Conversation(asyncio.Protocol):
    """One connection. Commands may come one by one or several in one piece."""

    def __init__(self, taken: list[tuple[str, float]]) -> None:
        self._taken = taken
        self._received = b""
        self._began_at = 0.0
        self._recipient = ""
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not the library's own classes.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._received += data
        answers = []
        while (answer := self._step()) is not None:
            answers.append(answer)
        if answers:
            self._transport.write(b"".join(answers))

    def _step(self) -> bytes | None:
        """The answer to what came next, or None until it is whole."""
        before, end, after = self._received.partition(_END_OF_CONTENT if self._is_content else b"\r\n")
        if not end:
            return None
        self._received = after
        if self._is_content:
            self._is_content = False
            self._taken.append((self._recipient, self._began_at))
            return _DONE
        return self._obey(before)

    def _obey(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                return _EHLO
            case b"MAIL":
                self._began_at = time.monotonic()
            case b"RCPT":
                self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            case b"DATA":
                self._is_content = True
                return b"354 go on\r\n"
            case b"QUIT":
                self._transport.close()
        return b"250 2.0.0 Ok\r\n"


async def serve(conversation: Callable[[list[Any]], asyncio.Protocol]) -> None:
    """Print the port, then answer each line of the standard input with what the conversations have noted since."""
    taken: list[Any] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: conversation(taken), "127.0.0.1", 0)
    _say(server.sockets[0].getsockname()[1])
    asked = asyncio.Queue[str]()
    threading.Thread(target=_hear, args=(loop, asked), daemon=True).start()
    while await asked.get():
        _say(taken)
        taken.clear()


def _hear(loop: asyncio.AbstractEventLoop, asked: asyncio.Queue[str]) -> None:
    """Hand on the lines of the standard input; an empty one is its end."""
    line = "begin"
    while line:
        line = sys.stdin.readline()
        loop.call_soon_threadsafe(asked.put_nowait, line)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(_Conversation))
