"""Measures every request by area (the first part of its path), pure ASGI."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.telemetry import REQUEST_SECONDS

# Streams stay open for hours; their length says nothing about speed.
UNMEASURED = frozenset({"live"})


class RequestMetrics:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how long it took and how it ended."""
        # `OPTIONS *` names no path at all.
        area = scope["path"].lstrip("/").partition("/")[0] if scope["type"] == "http" else ""
        if scope["type"] != "http" or area in UNMEASURED:
            await self._app(scope, receive, send)
            return
        started = monotonic_seconds()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            # An address nobody serves must not make a new series each.
            label = area or "home" if status != 404 else "missing"
            elapsed = monotonic_seconds() - started
            REQUEST_SECONDS.labels(label, scope["method"], str(status)).observe(elapsed)
