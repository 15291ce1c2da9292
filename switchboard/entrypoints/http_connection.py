"""One HTTP connection within limits: a head of bounded size, and a sender that does not keep us waiting."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 * 1024
# A connection on which nothing has been asked yet, or whose head is still coming, is cut after this time; one whose
# body is coming, when nothing of it came for so long.
HEAD_SECONDS = 30.0
SILENCE_SECONDS = 60.0
CHECK_SECONDS = 10.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 27\r\nconnection: close\r\n\r\n"
    b"The header is far too long."
)


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, which by itself waits for ever and keeps a head of any size in memory."""

    head_seconds = HEAD_SECONDS
    silence_seconds = SILENCE_SECONDS
    check_seconds = CHECK_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 handed on as they come
        super().__init__(*arguments, **options)
        # The instant since which a whole head, or the next part of a body, is awaited; None while neither is.
        self._awaited_since: float | None = None
        self._is_in_head = True
        # Bytes since the last whole head or part of a body: an unfinished head, or what is sent behind a body.
        self._loose_bytes = 0
        self._check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._awaited_since = self.loop.time()
        self._check = self.loop.call_later(self.check_seconds, self._cut_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what is neither a whole head nor a body, and note that something came."""
        self._loose_bytes += len(data)
        if not self._is_in_head and self._awaited_since is not None:
            self._awaited_since = self.loop.time()
        super().data_received(data)
        if self._loose_bytes > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins; its head is awaited."""
        self._is_in_head = True
        self._awaited_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; its body is awaited."""
        self._is_in_head = False
        self._loose_bytes = 0
        self.begin_request()

    def begin_request(self) -> None:
        """Hand the request on, whose head is there."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        self._loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there; nothing is awaited until the next one begins."""
        self._awaited_since = None
        self._is_in_head = True
        self._loose_bytes = 0
        super().on_message_complete()

    def _cut_if_silent(self) -> None:
        patience = self.head_seconds if self._is_in_head else self.silence_seconds
        since = self._awaited_since
        # While we are the slow ones, the peer is not to blame.
        if since is not None and not self.flow.read_paused and self.loop.time() - since > patience:
            self.transport.abort()
            return
        self._check = self.loop.call_later(self.check_seconds, self._cut_if_silent)
