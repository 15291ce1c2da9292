"""The stream of an open page ends with the session that opened it."""

from collections.abc import AsyncIterator

from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.accounts.web import SESSION_COOKIE
from switchboard.entrypoints.live_stream import as_events
from switchboard.kernel.db import Database
from switchboard.kernel.live import MOST_OF_ONE_SESSION
from tests.pages import signed_in


async def changes() -> AsyncIterator[set[str]]:
    yield {"lead", "contact"}
    yield set()


async def test_changes_are_named_and_a_heartbeat_is_a_comment() -> None:
    async def is_signed_in() -> bool:
        return True

    said = [text async for text in as_events(changes(), is_signed_in, 0)]
    assert said == ["retry: 2000\n\n", "event: contact\ndata: \n\nevent: lead\ndata: \n\n", ": still here\n\n"]


async def test_who_signed_out_is_told_nothing_more() -> None:
    answers = iter([True, False])

    async def is_signed_in() -> bool:
        return next(answers)

    said = [text async for text in as_events(changes(), is_signed_in, 0)]
    assert said == ["retry: 2000\n\n", "event: contact\ndata: \n\nevent: lead\ndata: \n\n"]


async def test_a_session_with_many_open_pages_is_asked_to_close_some(
    app: Starlette, database: Database, agent: Caller
) -> None:
    async with signed_in(app, database, agent) as browser:
        token = browser.client.cookies[SESSION_COOKIE]
        app.state.live._open_by_session[token] = MOST_OF_ONE_SESSION
        answer = await browser.get("/live", Accept="application/json")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
