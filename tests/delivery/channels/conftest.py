"""A sending API of one's own on loopback, which answers as arranged."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from switchboard.delivery.channels.webhook.settings import WebhookSettings

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    headers: Mapping[str, str]
    raw: bytes
    body: dict[str, Any]
    connection: object


@dataclass
class SendingApi:
    """Takes every message; each of `answers` is given once, first to last: a response, `drop` or `hang`."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[web.Response | str] = field(default_factory=list)

    def settings(self, **changes: object) -> WebhookSettings:
        values = {"url": self.url, "secret": SecretStr(SECRET), "may_be_private": True}
        return WebhookSettings.model_validate(values | changes)

    @property
    def connections(self) -> int:
        return len({one.connection for one in self.requests})

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.requests.append(Request(request.headers, raw, json.loads(raw), request.transport))
        answer = self.answers.pop(0) if self.answers else web.json_response({"id": f"api-{len(self.requests)}"})
        if answer == "drop":
            assert request.transport is not None
            request.transport.close()
        if isinstance(answer, str):
            await asyncio.Event().wait()
        assert isinstance(answer, web.Response)
        return answer


StartApi = Callable[[], Awaitable[SendingApi]]


@pytest.fixture
async def start_api() -> AsyncIterator[StartApi]:
    """Start a sending API: `api = await start_api()`."""
    async with AsyncExitStack() as stack:

        async def start() -> SendingApi:
            api = SendingApi()
            app = web.Application()
            app.router.add_post("/send", api.take)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            api.url = f"http://127.0.0.1:{runner.addresses[0][1]}/send"
            return api

        yield start
