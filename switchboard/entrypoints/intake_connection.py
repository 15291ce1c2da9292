"""Small signals go from the connection to intake by a call, and are answered by another.

For a single signal the ways of ASGI (a scope, a task, an event, three messages) cost more than all that is done for it.
Whatever is not plain goes there as before: intake itself says what it takes like this.
"""

from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from switchboard.entrypoints.http_connection import BoundedConnection
from switchboard.intake.app import PREFIX, Headers, IntakeApp
from switchboard.intake.arrivals import Arrival

# Under this name the application's lifespan gives connections its intake.
INTAKE = "intake"
_PATH = PREFIX.encode()


class IntakeConnection(BoundedConnection):
    """A connection that knows the way to intake."""

    # The request whose body is coming, when intake takes it.
    _exchange: "_Exchange | None" = None

    def begin_request(self) -> None:
        """Hand the request to intake, or on to the application."""
        self._exchange = self._find_exchange() if self.url.startswith(_PATH) else None
        if self._exchange is None:
            super().begin_request()
        else:
            # It has all that uvicorn's connection uses of its own.
            self.cycle = self._exchange  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """The request is there."""
        super().on_message_complete()
        if self._exchange is not None:
            self._exchange.begin()

    def _find_exchange(self) -> "_Exchange | None":
        parser, before = self.parser, self.cycle
        is_plain = (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            # Who sends more before the answer, or does not read answers, waits for them in the application.
            and (before is None or before.response_complete)
            and not self.flow.write_paused
        )
        intake: IntakeApp | None = self.app_state.get(INTAKE) if is_plain else None
        if intake is None:
            return None
        arrival = intake.find_arrival(self.url[len(_PATH) :].decode("latin-1"), dict(self.headers))
        return None if arrival is None else _Exchange(self, intake, arrival, parser.should_keep_alive())


class _NobodyWaits:
    """Stands for the event that an application would wait for."""

    def set(self) -> None:
        """Nothing waits."""


class _Exchange:
    """One request and its answer; the connection treats it as it treats uvicorn's own."""

    message_event = _NobodyWaits()

    def __init__(self, connection: IntakeConnection, intake: IntakeApp, arrival: Arrival, keep_alive: bool) -> None:
        self._connection = connection
        self._intake = intake
        self._arrival = arrival
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.response_complete = False
        self.disconnected = False

    def begin(self) -> None:
        """All of the body has come."""
        self._intake.take(self._arrival, bytes(self.body), self.answer)

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Write the answer in one piece, and let the connection go on."""
        self.response_complete = True
        connection = self._connection
        if not connection.transport.is_closing():
            default = _head(tuple(connection.server_state.default_headers))
            ending = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
            length = b"content-length: %d\r\n" % len(body)
            connection.transport.write(b"".join((STATUS_LINE[status], default, _head(headers), length, ending, body)))
            if not self.keep_alive:
                connection.transport.close()
        connection.on_response_complete()


@lru_cache(maxsize=100)
def _head(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
