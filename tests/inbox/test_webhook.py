"""Mail by HTTP: only who has the secret, only what is fresh, and nothing twice."""

import base64
import json
from datetime import datetime

import httpx2
import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.inbox.webhook import sign, webhook_secret
from switchboard.kernel.body_budget import BodyBudget
from switchboard.kernel.secrets import load_app_secret
from tests.conftest import Urls, move_clock
from tests.inbox.conftest import SETTINGS, Team, make_mail
from tests.pages import BASE_URL


class Provider:
    """A mail provider that knows one workspace's secret."""

    def __init__(self, app: Starlette, team: Team) -> None:
        app.state.settings = SETTINGS
        self._app = app
        self._team = team
        self.secret = webhook_secret(load_app_secret(SETTINGS), team.workspace_id)

    async def post(
        self,
        body: bytes,
        *,
        recipient: str | None = None,
        media_type: str = "message/rfc822",
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        signed = await self.sign(body) if headers is None else headers
        transport = httpx2.ASGITransport(app=self._app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            params = {"recipient": self._team.address if recipient is None else recipient}
            return await client.post(
                "/inbound/mail", params=params, content=body, headers={"content-type": media_type, **signed}
            )

    async def sign(self, body: bytes, *, seconds_ago: int = 0) -> dict[str, str]:
        async with self._team.database.directory() as tx:
            now: datetime = await tx.now()
        timestamp = int(now.timestamp()) - seconds_ago
        signature = f"v1,{'A' * 43}= {sign(self.secret, 'msg_1', timestamp, body)}"
        return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@pytest.fixture
def provider(app: Starlette, team: Team) -> Provider:
    return Provider(app, team)


async def test_signed_mail_is_accepted_after_it_is_kept(provider: Provider, team: Team) -> None:
    answer = await provider.post(make_mail().as_bytes())
    assert answer.status_code == 202
    rows = await team.rows("SELECT id::text AS id, recipient FROM app.inbound_mail")
    assert rows == [{"id": answer.json()["id"], "recipient": team.address}]


async def test_mail_in_base64_is_the_same_mail(provider: Provider, team: Team) -> None:
    raw = make_mail().as_bytes()
    body = json.dumps({"raw": base64.b64encode(raw).decode(), "mail_from": "ann@x.example"}).encode()
    assert (await provider.post(body, media_type="application/json")).status_code == 202
    assert await team.rows("SELECT mail_from, raw FROM app.inbound_mail") == [
        {"mail_from": "ann@x.example", "raw": raw}
    ]


async def test_a_repeat_is_accepted_and_kept_once(provider: Provider, team: Team) -> None:
    body = make_mail().as_bytes()
    headers = await provider.sign(body)
    first = await provider.post(body, headers=headers)
    second = await provider.post(body, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert len(await team.outcomes()) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-signature": ""},
        {"webhook-id": ""},
    ],
)
async def test_a_wrong_signature_keeps_nothing(provider: Provider, team: Team, broken: dict[str, str]) -> None:
    body = make_mail().as_bytes()
    answer = await provider.post(body, headers={**await provider.sign(body), **broken})
    assert answer.status_code == 401
    assert answer.json()["code"] == "webhook_refused"
    assert await team.outcomes() == []


async def test_a_body_that_was_changed_on_the_way_is_refused(provider: Provider, team: Team) -> None:
    headers = await provider.sign(make_mail().as_bytes())
    assert (await provider.post(make_mail("Send money.").as_bytes(), headers=headers)).status_code == 401
    assert await team.outcomes() == []


async def test_an_old_request_cannot_be_played_again(provider: Provider, team: Team, urls: Urls) -> None:
    body = make_mail().as_bytes()
    headers = await provider.sign(body, seconds_ago=299)
    assert (await provider.post(body, headers=headers)).status_code == 202
    await move_clock(urls, "10 seconds")
    assert (await provider.post(body, headers=headers)).status_code == 401


async def test_who_has_no_secret_cannot_tell_which_addresses_there_are(
    provider: Provider, team: Team, stranger: Caller
) -> None:
    async with team.database.transaction(stranger.workspace_id) as tx:
        rivals = await tx.fetch_value("SELECT mail_from FROM app.workspace")
    body = make_mail().as_bytes()
    unknown = await provider.post(body, recipient="hello@nobody.example")
    others = await provider.post(body, recipient=rivals)
    assert unknown.status_code == others.status_code == 401
    assert unknown.json() == others.json()


async def test_what_is_wrong_is_said(provider: Provider) -> None:
    body = make_mail().as_bytes()
    assert (await provider.post(body, recipient="")).json()["errors"][0]["field"] == "recipient"
    assert (await provider.post(b"{}", media_type="application/json")).status_code == 400
    assert (await provider.post(b'{"raw": "no base64!"}', media_type="application/json")).status_code == 400
    assert (await provider.post(b"")).json()["errors"][0]["field"] == "raw"


async def test_mail_that_would_take_too_much_memory_is_asked_to_come_back(
    provider: Provider, team: Team, app: Starlette
) -> None:
    app.state.bodies = BodyBudget(most_bytes=10)
    answer = await provider.post(make_mail().as_bytes())
    assert (answer.status_code, answer.headers["retry-after"], app.state.bodies.held_bytes) == (503, "2", 0)
    assert await team.outcomes() == []


async def test_a_mail_over_the_limit_is_too_large(provider: Provider, team: Team) -> None:
    body = b"Subject: big\r\n\r\n" + b"x" * (26 * 1024 * 1024)
    answer = await provider.post(body)
    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == 25 * 1024 * 1024
    assert await team.outcomes() == []
