"""Signed-in browsers without a browser: the real application in this process, over its ASGI interface."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
from starlette.applications import Starlette

from switchboard.accounts import service
from switchboard.accounts.models import Caller
from switchboard.accounts.web import SESSION_COOKIE
from switchboard.kernel.db import Database
from tests.conftest import PASSWORD

BASE_URL = "http://testserver"


class Browser:
    """One member's browser: cookies, and forms that send the session's token."""

    def __init__(self, client: httpx2.AsyncClient, csrf_token: str) -> None:
        self.client = client
        self.csrf_token = csrf_token

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, data: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        return await self.client.post(path, data={"csrf_token": self.csrf_token, **(data or {})}, headers=headers)


@asynccontextmanager
async def anonymous(app: Starlette) -> AsyncIterator[Browser]:
    """A browser that nobody signed in with."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield Browser(client, "")


@asynccontextmanager
async def signed_in(app: Starlette, database: Database, caller: Caller) -> AsyncIterator[Browser]:
    """A browser in which `caller` has signed in."""
    async with database.transaction(caller.workspace_id) as tx:
        email = next(member.email for member in await service.list_members(tx) if member.user_id == caller.user_id)
    token = await service.sign_in(database, email, PASSWORD, origin="test", length=timedelta(hours=1))
    async with database.directory() as tx:
        session, _ = await service.resume_session(tx, token)
    async with anonymous(app) as browser:
        browser.client.cookies.set(SESSION_COOKIE, token)
        browser.csrf_token = session.csrf_token
        yield browser
