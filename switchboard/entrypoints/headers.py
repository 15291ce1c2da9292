"""Headers on every answer: a strict content policy, and nothing for other sites to guess from."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from switchboard.kernel.http import CONTENT_SECURITY_POLICY

STATIC_SECONDS = 31_536_000


class SecurityHeaders:
    """Pure ASGI; an answer that sets its own policy (a mail in its frame) keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_versioned = scope["path"].startswith("/static/") and scope["query_string"].startswith(b"v=")

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                if is_versioned:
                    headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}, immutable"
            await send(message)

        await self._app(scope, receive, complete)
