"""`/live`: what changed, told to open pages."""

from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from switchboard.accounts import service
from switchboard.accounts.errors import SessionMissingError
from switchboard.accounts.web import SESSION_COOKIE, Visit, page
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database
from switchboard.kernel.live import HEARTBEAT_SECONDS, LiveFeed

IsSignedIn = Callable[[], Awaitable[bool]]


async def stream_changes(visit: Visit) -> Response:
    """Server-sent events: one event for each topic that changed, named after it and without data.

    The stream ends when the person signs out or the session runs out.
    """
    feed: LiveFeed = visit.request.app.state.live
    token = visit.request.cookies.get(SESSION_COOKIE, "")
    feed.require_room(token)
    topics = feed.follow(visit.caller.workspace_id, token)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    events = as_events(topics, _session_check(visit.request, token), HEARTBEAT_SECONDS)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def as_events(
    topics: AsyncIterator[set[str]], is_signed_in: IsSignedIn, every_seconds: float
) -> AsyncIterator[str]:
    """The text of the stream; whether it may go on is asked once in `every_seconds`."""
    yield "retry: 2000\n\n"
    asked = monotonic_seconds()
    async for changed in topics:
        if monotonic_seconds() - asked >= every_seconds:
            if not await is_signed_in():
                return
            asked = monotonic_seconds()
        yield "".join(f"event: {topic}\ndata: \n\n" for topic in sorted(changed)) or ": still here\n\n"


def _session_check(request: Request, token: str) -> IsSignedIn:
    database: Database = request.app.state.database

    async def is_signed_in() -> bool:
        try:
            async with database.directory() as tx:
                await service.resume_session(tx, token)
        except SessionMissingError:
            return False
        return True

    return is_signed_in


routes = [Route("/live", page(stream_changes))]
