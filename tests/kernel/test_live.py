"""Streams of open pages: told what changed, and ended when something may have been missed."""

import asyncio
from contextlib import aclosing, suppress
from uuid import UUID

import psycopg
import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.errors import ThrottledError
from switchboard.kernel.events import LIVE_CHANNEL
from switchboard.kernel.live import LiveFeed
from tests.conftest import Urls

END_LISTENING = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


async def follow(feed: LiveFeed, workspace_id: UUID, heard: set[str]) -> None:
    """Note what one page is told until its stream ends."""
    async for topics in feed.follow(workspace_id):
        heard |= topics


async def test_a_lost_connection_ends_the_streams_so_that_pages_look_again(urls: Urls, owner: Caller) -> None:
    feed = LiveFeed(urls.application)
    before = asyncio.create_task(follow(feed, owner.workspace_id, set()))
    await asyncio.sleep(0)
    listening = asyncio.create_task(feed.run())
    async with await psycopg.AsyncConnection.connect(urls.superuser, autocommit=True) as connection:
        async with asyncio.timeout(20):
            # The first connection also ends what was opened before it.
            await before
            heard: set[str] = set()
            page = asyncio.create_task(follow(feed, owner.workspace_id, heard))
            await asyncio.sleep(0)
            await connection.execute("SELECT pg_notify(%s, %s)", (LIVE_CHANNEL, f"{owner.workspace_id} lead,note"))
            while heard != {"lead", "note"}:
                await asyncio.wait([page], timeout=0.01)
            # Whoever opens a stream now may have got a page from before.
            async with aclosing(feed.follow(owner.workspace_id)) as late:
                assert await anext(late) == {"lead", "note"}
            await connection.execute(END_LISTENING)
            await page
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_a_session_and_a_process_keep_only_so_many_streams(
    urls: Urls, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchboard.kernel.live.MOST_OF_ONE_SESSION", 2)
    monkeypatch.setattr("switchboard.kernel.live.MOST_STREAMS", 3)
    feed = LiveFeed(urls.application)
    streams = [feed.follow(owner.workspace_id, session) for session in ("one", "one", "two")]
    # A stream begins when it is first asked; each of these waits for a change.
    pages = [asyncio.create_task(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    with pytest.raises(ThrottledError, match="pages are open"):
        feed.require_room("one")
    with pytest.raises(ThrottledError, match="This server"):
        feed.require_room("two")
    for page, stream in zip(pages, streams, strict=True):
        page.cancel()
        with suppress(asyncio.CancelledError):
            await page
        await stream.aclose()
    feed.require_room("one")
