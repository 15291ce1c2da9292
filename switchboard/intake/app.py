"""`/in/{token}`: the one address of a source, as a bare ASGI application, because this is where the load is.

202 is sent after the commit and never before it; while Postgres is away, once the signals are kept. Browsers on
any site may post here: a token only lets signals in.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec
import structlog
from prometheus_client import Histogram
from starlette.types import Receive, Scope, Send

from switchboard.intake.arrivals import Arrival, find_arrival, is_browser_form, needs_signature
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors
from switchboard.intake.errors import PostOnlyError
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.dedupe import dedupe_key
from switchboard.intake.formats.payloads import DEFAULT_LIMITS, Payload
from switchboard.intake.formats.webform import find_redirect
from switchboard.intake.models import Accepted, Door, NewSignal
from switchboard.kernel.body_budget import BodyBudget, HeldBody
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.errors import (
    InvalidError,
    Problem,
    SwitchboardError,
    TooLargeError,
    UnreadableError,
)
from switchboard.kernel.http import error_headers, problem_body
from switchboard.kernel.ids import new_id
from switchboard.kernel.telemetry import REQUEST_SECONDS, SIGNALS

PREFIX = "/in/"
LONGEST_IDEMPOTENCY_KEY = 255
DAY_SECONDS = 86_400
# How long the same key means the same signal, by what the key was made of.
IDEMPOTENCY_WINDOW = 7 * DAY_SECONDS
OWN_ID_WINDOW = 365 * DAY_SECONDS
CONTENT_WINDOW = DAY_SECONDS

# Nothing that is answered here may be taken for anything but what it says it is.
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_JSON_HEADERS = ((b"content-type", b"application/json"), (b"access-control-allow-origin", b"*"))
_PROBLEM_HEADERS = ((b"content-type", b"application/problem+json"), (b"access-control-allow-origin", b"*"))
_TEXT_HEADERS = ((b"content-type", b"text/plain; charset=utf-8"),)
_PREFLIGHT_HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, idempotency-key"),
    (b"access-control-max-age", b"86400"),
)
_THANKS = "/thanks"
_ACCEPTED, _DUPLICATE = SIGNALS.labels("accepted"), SIGNALS.labels("duplicate")

# What a sender may make up must not become a series each.
_METHODS = frozenset({"POST", "GET", "OPTIONS"})

Headers = tuple[tuple[bytes, bytes], ...]
Reply = Callable[[int, Headers, bytes], None]
"""Called with the status, the headers but for the length, and the body of an answer."""

log = structlog.get_logger()


class IntakeApp:
    """Reads a request, checks its signature, splits it into signals, and answers when they are committed."""

    def __init__(self, doors: Doors, batcher: Batcher, bodies: BodyBudget | None = None) -> None:
        self._doors = doors
        self._batcher = batcher
        self._bodies = bodies or BodyBudget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        started = monotonic_seconds()
        try:
            status, headers, body = await self._answer(scope, receive)
        except SwitchboardError as error:
            SIGNALS.labels("refused").inc()
            status, headers, body = _problem(error)
        _seconds(scope["method"], status).observe(monotonic_seconds() - started)
        # With its length an answer is one piece; without it the server would send it in chunks.
        length = () if status == 204 else ((b"content-length", str(len(body)).encode()),)
        await send({"type": "http.response.start", "status": status, "headers": (*headers, _NO_SNIFFING, *length)})
        await send({"type": "http.response.body", "body": body})

    def find_arrival(self, token: str, headers: Mapping[bytes, bytes]) -> Arrival | None:
        """The head of a request that `take` takes; None for one that has to be called for in the ways of ASGI."""
        door = self._doors.find_remembered(token)
        return None if door is None else find_arrival(door, headers, monotonic_seconds())

    def take(self, arrival: Arrival, body: bytes, reply: Reply) -> None:
        """Take the whole body of such a request; `reply` is called with the answer, later and never from in here."""
        held = self._bodies.hold()
        waiting = _Waiting(arrival, held, reply)
        try:
            held.grow(len(body))
            payloads = arrival.door.format.split(body, arrival.content_type)
            self._batcher.add(new_signals(arrival.door, payloads, arrival.idempotency_key), waiting)
        except Exception as error:  # noqa: BLE001 whoever calls would take it for a request that cannot be read
            asyncio.get_running_loop().call_soon(waiting.refuse, error)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
        method = scope["method"]
        if method == "OPTIONS":
            return 204, _PREFLIGHT_HEADERS, b""
        token = scope["path"][len(PREFIX) :].strip("/")
        if method == "GET":
            return await self._shake_hands(token, scope["query_string"])
        if method != "POST":
            raise PostOnlyError
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        door = await self._doors.find(token)
        with self._bodies.hold() as held:
            body = await read_bytes(receive, headers, DEFAULT_LIMITS.batch_bytes, held)
            return await self._take(door, scope, headers, body)

    async def _take(
        self, door: Door, scope: Scope, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Headers, bytes]:
        if needs_signature(door):
            door.format.verify(_inbound_request(scope, headers, body), door.signing_secret or "")
        content_type = headers.get("content-type", "")
        payloads = door.format.split(body, content_type)
        signals = new_signals(door, payloads, headers.get("idempotency-key", ""))
        answers = await self._batcher.accept(signals)
        receipt = _receipt(answers)
        if is_browser_form(content_type, headers.get("accept", "")):
            return _see_other(find_redirect(payloads[0].value, door.redirect_hosts) or _THANKS)
        return 202, _JSON_HEADERS, receipt

    async def _shake_hands(self, token: str, query_string: bytes) -> tuple[int, Headers, bytes]:
        door = await self._doors.find(token)
        query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
        # The vendor is told the token as its verify token: who knows it may send here anyway.
        text = door.format.handshake(query, token)
        if text is None:
            raise PostOnlyError
        return 200, _TEXT_HEADERS, text.encode()


class _Waiting:
    """A sender who is answered by a call."""

    __slots__ = ("_arrival", "_held", "_reply")

    def __init__(self, arrival: Arrival, held: HeldBody, reply: Reply) -> None:
        self._arrival = arrival
        self._held = held
        self._reply = reply

    def accept(self, answers: list[Accepted]) -> None:
        self._answer(202, _JSON_HEADERS, _receipt(answers))

    def refuse(self, error: Exception) -> None:
        if not isinstance(error, SwitchboardError):
            log.error("intake.failed", exc_info=error)
            error = SwitchboardError("Something went wrong on our side. Nothing was taken; the log says more.")
        SIGNALS.labels("refused").inc()
        self._answer(*_problem(error))

    def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        self._held.give_back()
        _seconds("POST", status).observe(monotonic_seconds() - self._arrival.started)
        self._reply(status, (*headers, _NO_SNIFFING), body)


def new_signals(door: Door, payloads: list[Payload], idempotency_key: str) -> list[NewSignal]:
    """One row a payload, with the key that makes it the same as another; raises InvalidError for a bad key."""
    if len(idempotency_key) > LONGEST_IDEMPOTENCY_KEY:
        problem = Problem("Idempotency-Key", f"at most {LONGEST_IDEMPOTENCY_KEY} characters")
        raise InvalidError("The Idempotency-Key is too long.", problems=[problem])
    signals = []
    for row, payload in enumerate(payloads):
        own_id = None if idempotency_key else door.format.find_own_id(payload.value, door.mapping)
        window = IDEMPOTENCY_WINDOW if idempotency_key else OWN_ID_WINDOW if own_id else CONTENT_WINDOW
        key = dedupe_key(door.source_id, idempotency_key, own_id, payload, row=row)
        text = payload.raw.decode()
        signals.append(NewSignal(new_id(), door.workspace_id, door.source_id, key, window, text))
    return signals


async def read_bytes(receive: Receive, headers: Mapping[str, str], most: int, held: HeldBody) -> bytes:
    """The whole body; raises TooLargeError as soon as it is clear, UnreadableError when the client went away.

    It counts against the process's budget while it grows; over that it raises UnavailableError.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise UnreadableError("The connection ended before the whole body had arrived.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _too_large(most)
        held.grow(len(chunks[-1]))
        if not message.get("more_body"):
            return b"".join(chunks)


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The body is over {most:,} bytes; send less at a time.", data={"limit_bytes": most})


@lru_cache(maxsize=100)
def _seconds(method: str, status: int) -> Histogram:
    """The histogram's child, looked up once: finding it costs more than observing."""
    return REQUEST_SECONDS.labels("in", method if method in _METHODS else "other", str(status))


def _inbound_request(scope: Scope, headers: Mapping[str, str], body: bytes) -> InboundRequest:
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http"))
    query = scope["query_string"].decode("latin-1")
    url = f"{scheme}://{headers.get('host', '')}{scope['path']}{'?' + query if query else ''}"
    # A vendor signs with its own clock: how old a request is, is asked of this machine's and not of the database.
    return InboundRequest(scope["method"], url, headers, body, datetime.now(UTC))  # gate: clock compared to a vendor's


def _receipt(answers: list[Accepted]) -> bytes:
    duplicates = sum(answer.is_duplicate for answer in answers)
    _ACCEPTED.inc(len(answers) - duplicates)
    if duplicates:
        _DUPLICATE.inc(duplicates)
    return msgspec.json.encode(
        {
            "accepted": len(answers) - duplicates,
            "duplicates": duplicates,
            "ids": [answer.id for answer in answers],
        }
    )


def _see_other(target: str) -> tuple[int, Headers, bytes]:
    return 303, ((b"location", target.encode()), (b"cache-control", b"no-store")), b""


def _problem(error: SwitchboardError) -> tuple[int, Headers, bytes]:
    extra = tuple((name.lower().encode(), value.encode()) for name, value in error_headers(error).items())
    if isinstance(error, PostOnlyError):
        extra += ((b"allow", b"POST, OPTIONS"),)
    return error.status, (*_PROBLEM_HEADERS, *extra), msgspec.json.encode(problem_body(error))
