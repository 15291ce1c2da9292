"""The least an ASGI application can do: read the body, answer 202. What the server in front of it allows."""

from starlette.types import Receive, Scope, Send

_HEADERS = ((b"content-type", b"application/json"), (b"content-length", b"2"))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        continue
    await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})
