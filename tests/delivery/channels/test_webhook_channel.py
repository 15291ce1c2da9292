"""The sending API of one's own: what is posted and how it is signed, what an answer means, where a request may go."""

import asyncio
import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from switchboard.delivery.channels.base import Envelope, SendError
from switchboard.delivery.channels.registry import build_channels
from switchboard.delivery.channels.webhook.answers import read_wait
from switchboard.delivery.channels.webhook.settings import WebhookSettings, read_secret
from switchboard.delivery.channels.webhook.transport import WebhookChannel, sign
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.settings import load_settings
from tests.delivery.channels.conftest import SECRET, SendingApi, StartApi

RAW = (
    b"From: Acme <hello@acme.example>\r\nTo: ada@example.com\r\nSubject: Hi\r\nMessage-ID: <1@acme.example>\r\n"
    b"References: <a@x>\r\n <b@x>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
)
MAIL = Envelope("w.m", "bounce@acme.example", "ada@example.com", RAW, "Hi", "Hello\n", "<p>Hello</p>")


async def failure_of(api: SendingApi, **changes: object) -> SendError:
    channel = WebhookChannel(api.settings(**changes))
    with pytest.raises(SendError) as caught:
        await channel.send(MAIL)
    await channel.close()
    return caught.value


async def test_a_message_is_posted_as_json_with_its_key(start_api: StartApi) -> None:
    api = await start_api()
    channel = WebhookChannel(api.settings())
    sent = await channel.send(MAIL)
    await channel.close()
    assert (sent.provider_id, sent.response) == ("api-1", '200 {"id": "api-1"}')
    (request,) = api.requests
    assert request.headers["Idempotency-Key"] == "w.m"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == {
        "id": "w.m",
        "from": "bounce@acme.example",
        "to": "ada@example.com",
        "subject": "Hi",
        "text": "Hello\n",
        "html": "<p>Hello</p>",
        "headers": {
            "From": "Acme <hello@acme.example>",
            "To": "ada@example.com",
            "Subject": "Hi",
            "Message-ID": "<1@acme.example>",
            "References": "<a@x> <b@x>",
        },
    }


async def test_the_signature_is_that_of_the_bytes_posted(start_api: StartApi) -> None:
    api = await start_api()
    channel = WebhookChannel(api.settings())
    await channel.send(MAIL)
    await channel.close()
    (request,) = api.requests
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.raw
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-id"] == "w.m"
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    age = datetime.now(UTC).timestamp() - int(request.headers["webhook-timestamp"])
    assert 0 <= age < 60


async def test_one_connection_carries_message_after_message(start_api: StartApi) -> None:
    api = await start_api()
    channel = WebhookChannel(api.settings())
    for _ in range(5):
        await channel.send(MAIL)
    await channel.close()
    assert (len(api.requests), api.connections) == (5, 1)


@pytest.mark.parametrize(
    ("status", "kind", "at_fault"),
    [
        (400, "permanent", "message"),
        (409, "permanent", "message"),
        (422, "permanent", "message"),
        (401, "retryable", "connection"),
        (404, "retryable", "connection"),
        (302, "retryable", "connection"),
        (408, "retryable", "connection"),
        (429, "retryable", "connection"),
        (500, "retryable", "connection"),
        (503, "retryable", "connection"),
    ],
)
async def test_each_answer_means_one_thing(start_api: StartApi, status: int, kind: str, at_fault: str) -> None:
    api = await start_api()
    api.answers.append(web.Response(status=status, text="because", headers={"Location": "/elsewhere"}))
    error = await failure_of(api)
    assert (error.kind, error.code, error.at_fault) == (kind, str(status), at_fault)
    assert error.message == f"The sending API answered {status} because"
    assert len(api.requests) == 1


async def test_a_busy_api_says_how_long_to_wait(start_api: StartApi) -> None:
    api = await start_api()
    api.answers.append(web.Response(status=429, headers={"Retry-After": "120"}))
    assert (await failure_of(api)).retry_after == timedelta(minutes=2)


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, None),
        ("soon", None),
        ("-1", None),
        ("0", timedelta(0)),
        ("999999999999", timedelta(hours=4)),
        ("Fri, 20 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Fri, 20 Nov 2026 11:00:00 GMT", timedelta(0)),
    ],
)
def test_waits_are_read_as_seconds_or_as_a_date(text: str | None, wait: timedelta | None) -> None:
    assert read_wait(text, NOON) == wait


async def test_what_came_to_no_known_end_is_posted_again_with_the_same_key(start_api: StartApi) -> None:
    api = await start_api()
    api.answers += ["drop", "hang"]
    lost = await failure_of(api)
    late = await failure_of(api, send_timeout_seconds=0.2)
    channel = WebhookChannel(api.settings())
    await channel.send(MAIL)
    await channel.close()
    assert (lost.kind, lost.code) == ("retryable", "connection_lost")
    assert (late.kind, late.code) == ("retryable", "timeout")
    assert {request.headers["Idempotency-Key"] for request in api.requests} == {"w.m"}


async def test_nobody_listening_is_retryable(start_api: StartApi) -> None:
    api = await start_api()
    error = await failure_of(api, url="http://127.0.0.1:1/send")
    assert (error.kind, error.code, error.at_fault) == ("retryable", "connect_failed", "connection")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_a_private_address_gets_nothing_unless_it_is_allowed(start_api: StartApi, host: str) -> None:
    api = await start_api()
    port = api.url.rpartition(":")[2]
    # Whatever an address is written like: where it leads is known before anything is said there.
    error = await failure_of(api, url=f"https://{host}:{port}", may_be_private=False)
    assert (error.kind, error.at_fault) == ("retryable", "connection")
    assert "no public address" in error.message
    assert api.requests == []


async def test_messages_at_once_share_few_connections(start_api: StartApi) -> None:
    api = await start_api()
    channel = WebhookChannel(api.settings(connections=3))
    await asyncio.gather(*(channel.send(MAIL) for _ in range(30)))
    await channel.close()
    assert len(api.requests) == 30
    assert api.connections <= 3


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://example.org"},
        {"url": "https://"},
        {"url": "https://me:secret@example.org/send"},
        {"url": "http://example.org/send"},
        {"secret": SecretStr("short")},
        {"secret": SecretStr("whsec_!!!")},
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object]) -> None:
    values = {"url": "https://example.org/send", "secret": SecretStr(SECRET), "may_be_private": False}
    WebhookSettings.model_validate(values)
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(values | change)


def test_the_specifications_own_example_is_signed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    # The example that the specification's libraries test themselves with.
    at = datetime.fromtimestamp(1614265330, UTC)
    monkeypatch.setattr("switchboard.delivery.channels.webhook.transport.wall_time", lambda: at)
    headers = sign(read_secret(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_settings_choose_it_and_name_what_is_wrong(database: Database) -> None:
    chosen = {"EMAIL_PROVIDER": "webhook", "EMAIL_WEBHOOK_URL": "https://example.org/send"}
    channel = build_channels(load_settings({**chosen, "EMAIL_WEBHOOK_SECRET": SECRET}), database, connections=3)[
        "email"
    ]
    assert channel.name == "webhook"
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"EMAIL_PROVIDER": "webhook"})
    assert [problem.field for problem in caught.value.problems] == ["EMAIL_WEBHOOK_URL", "EMAIL_WEBHOOK_SECRET"]
    with pytest.raises(ConfigurationError) as caught:
        build_channels(load_settings({**chosen, "EMAIL_WEBHOOK_SECRET": "short"}), database, connections=3)
    assert [problem.field for problem in caught.value.problems] == ["EMAIL_WEBHOOK_SECRET"]
