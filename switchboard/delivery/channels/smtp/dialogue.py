"""Commands and answers on an open connection: several commands may be written before the first answer is read.

The library opens connections, greets, encrypts and signs in; it cannot pipeline (RFC 2920), and waiting for each answer
by itself costs more than all else of a mail.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import cast

LONGEST_ANSWER_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the server; the lines of a long one are joined by line ends."""

    code: int
    text: str


class ConversationError(Exception):
    """The other side has gone, or says what nobody can read."""


class Dialogue(asyncio.Protocol):
    """The client's side of an SMTP connection after the greeting. Used by one task at a time."""

    def __init__(self, transport: asyncio.BaseTransport, timeout_seconds: float) -> None:
        # Not every event loop's transports are the library's own classes, so their kind is not asked for.
        self._transport = cast(asyncio.Transport, transport)
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._texts: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._failure: Exception | None = None

    @property
    def is_open(self) -> bool:
        """Whether, as far as we can see, the other side is there and has said nothing unasked."""
        return self._failure is None and not self._transport.is_closing() and not self._replies

    def write(self, data: bytes) -> None:
        """Send bytes; raises `ConversationError` when the other side has gone."""
        if self._failure is not None:
            raise self._failure
        self._transport.write(data)

    async def read(self) -> Reply:
        """The next answer; raises `ConversationError`, and `TimeoutError` when it does not come in time."""
        while not self._replies:
            if self._failure is not None:
                raise self._failure
            await self._wait()
        return self._replies.popleft()

    async def drain(self) -> None:
        """Wait until the system has taken all that was written; small mails hardly ever wait."""
        deadline = self._loop.time() + self._timeout_seconds
        pause = 0.0
        while self._transport.get_write_buffer_size():
            if self._failure is not None:
                raise self._failure
            if self._loop.time() > deadline:
                raise TimeoutError("The mail server stopped reading the content.")
            # Some event loops write at the end of a round only: the first look is at once.
            await asyncio.sleep(pause)
            pause = min(pause + 0.001, 0.005)

    def close(self) -> None:
        """Drop the connection without a word."""
        self._fail(ConversationError("The connection was closed."))
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take answers apart as they come, however they are cut."""
        self._received += data
        *lines, self._received = self._received.split(b"\n")
        try:
            for line in lines:
                self._take_line(line)
        except ValueError:
            self._fail(ConversationError("The mail server's answer cannot be read."))
        if len(self._received) + sum(map(len, self._texts)) > LONGEST_ANSWER_BYTES:
            self._fail(ConversationError("The mail server's answer has no end."))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._fail(ConversationError(f"Connection lost: {exc}" if exc else "Connection lost"))

    def eof_received(self) -> bool:
        """The other side hung up; so do we."""
        self._fail(ConversationError("The mail server hung up"))
        return False

    def _take_line(self, line: bytes) -> None:
        code = int(line[:3])
        self._texts.append(line[4:].strip())
        if line[3:4] != b"-":
            text = b"\n".join(self._texts).decode("utf-8", "replace")
            self._texts = []
            self._replies.append(Reply(code, text))

    async def _wait(self) -> None:
        self._waiting = self._loop.create_future()
        timer = self._loop.call_later(self._timeout_seconds, self._give_up)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(TimeoutError("The mail server did not answer in time."))

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
