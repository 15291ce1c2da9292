"""Rubbish and forgery at the door of the pages: never a 500, never another site, never a character Postgres refuses."""

from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from switchboard.accounts import web
from switchboard.accounts.models import Caller
from switchboard.accounts.web import SESSION_COOKIE, TOAST_COOKIE
from switchboard.entrypoints import session_pages
from switchboard.kernel.characters import is_storable
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.http import own_path
from tests.conftest import PASSWORD
from tests.pages import anonymous, signed_in


async def speak(app: Starlette, method: str, path: str, query: bytes = b"") -> int:
    """The status of a request that no client library would send."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    await app(scope, receive, send)
    status: int = answers[0]["status"]
    return status


@pytest.mark.parametrize("path", ["*", "//", "/\0", "/\ufffd\ufffd"])
async def test_a_path_that_is_none_is_not_found(app: Starlette, path: str) -> None:
    assert await speak(app, "OPTIONS", path) == 404


async def test_a_name_in_the_path_that_cannot_be_stored_is_not_found(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post("/settings/stages/%00/move", {"step": "1"})).status_code == 404


async def test_a_method_that_a_page_does_not_have_is_refused_with_those_it_has(app: Starlette) -> None:
    async with anonymous(app) as browser:
        answer = await browser.client.request("DELETE", "/settings")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"email=%00&password=x", "application/x-www-form-urlencoded"),
        (b"em%00ail=a&password=x", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\\ud800\r\n--x--\r\n',
            "multipart/form-data; boundary=x; charset=unicode_escape",
        ),
    ],
)
async def test_characters_that_cannot_be_stored_are_refused_by_name(
    app: Starlette, body: bytes, content_type: str
) -> None:
    async with anonymous(app) as browser:
        answer = await browser.client.post("/sign-in", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 422
    assert "cannot be stored" in answer.text


async def test_a_query_that_cannot_be_stored_is_no_query(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        assert (await browser.get("/palette?q=%00ab")).json() == {"results": []}
        for path in ("/contacts?q=%00", "/leads?q=%00&stage=%00", "/inbox?view=%00", "/rules/check?condition=%00"):
            assert (await browser.get(path)).status_code < 500, path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/leads?stage=new#x", "/leads?stage=new#x"),
        ("", "/"),
        ("leads", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\t\\evil.example", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_only_a_path_of_this_site_is_followed(path: str, expected: str) -> None:
    assert own_path(path) == expected


def test_what_can_be_stored_is_text_without_nul_and_halves_of_pairs() -> None:
    assert [is_storable(text) for text in ("", "Zoë 👩‍🚀", "\0", "\ud83d", "\udc69")] == [
        True,
        True,
        False,
        False,
        False,
    ]


async def test_a_cookie_put_in_by_another_site_offers_no_way_there(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        browser.client.cookies.set(TOAST_COOKIE, "/%5Cevil.example|<b>hello</b>")
        answer = await browser.get("/settings")
    assert "evil.example" not in answer.text
    assert "&lt;b&gt;hello&lt;/b&gt;" in answer.text


async def test_the_way_back_from_a_refused_form_leads_to_a_page_of_ours(app: Starlette) -> None:
    async with anonymous(app) as browser:
        own = await browser.post("/sign-out", Referer="http://testserver/leads?stage=new")
        strange = await browser.post("/sign-out", Referer="https://evil.example/leads")
    assert 'href="/leads?stage=new"' in own.text
    assert "evil.example" not in strange.text


async def test_a_large_form_of_a_stranger_is_refused_unread(app: Starlette, owner: Caller) -> None:
    large = b"a=" + b"x" * web.LARGEST_UNKNOWN_FORM_BYTES
    read = 0

    async def body() -> object:
        nonlocal read
        for start in range(0, len(large), 1024):
            read += 1
            yield large[start : start + 1024]

    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(large))}
    async with anonymous(app) as browser:
        answer = await browser.client.post("/sign-out", content=body(), headers=headers)  # type: ignore[arg-type]
        too_large = {**headers, "Content-Length": str(session_pages.LONGEST_SIGN_IN_BYTES + 1)}
        signing_in = await browser.client.post("/sign-in", content=b"a=b", headers=too_large)
    assert answer.status_code == 401
    assert signing_in.status_code == 413
    assert "at most 64 KB" in signing_in.text


async def test_a_new_password_ends_every_other_session(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as stolen, signed_in(app, database, owner) as browser:
        changed = await browser.post("/settings/profile", {"present": PASSWORD, "password": "an entirely new one"})
        assert changed.status_code == 303
        assert (await browser.get("/settings")).status_code == 200
        assert (await stolen.get("/settings")).headers["location"] == "/sign-in?next=/settings"


async def test_signing_in_takes_over_no_session_that_was_there_before(app: Starlette, owner: Caller) -> None:
    async with anonymous(app) as browser:
        browser.client.cookies.set(SESSION_COOKIE, "planted")
        answer = await browser.post("/sign-in", {"email": "olga@acme.example", "password": PASSWORD})
    assert "planted" not in answer.headers["set-cookie"]


async def test_tries_are_counted_for_one_user_however_the_address_is_written(app: Starlette, owner: Caller) -> None:
    statuses = []
    async with anonymous(app) as browser:
        for number in range(12):
            email = ("olga@acme.example", " OLGA@acme.example", "olga@ACME.example ")[number % 3]
            statuses.append((await browser.post("/sign-in", {"email": email, "password": "wrong"})).status_code)
    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_no_content_type_carries_a_form_past_the_token(
    app: Starlette, database: Database, owner: Caller, kind: str
) -> None:
    async with signed_in(app, database, owner) as browser:
        body = f'{{"csrf_token": "{browser.csrf_token}"}}'.encode()
        answer = await browser.client.post("/sign-out", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 403
        assert (await browser.get("/settings")).status_code == 200


async def test_a_savepoint_that_fails_leaves_the_transaction_in_its_workspace(
    database: Database, owner: Caller, stranger: Caller
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(RuntimeError, match="undone"):
            await _fail_elsewhere(tx, stranger.workspace_id)
        assert tx.workspace_id == owner.workspace_id
        await tx.enter_workspace(stranger.workspace_id)
        assert await tx.fetch_value("SELECT name FROM app.workspace") == "Rival"


async def _fail_elsewhere(tx: Tx, workspace_id: UUID) -> None:
    async with tx.savepoint():
        await tx.enter_workspace(workspace_id)
        raise RuntimeError("undone")


def test_the_client_library_of_these_tests_follows_no_redirect() -> None:
    assert httpx2.AsyncClient().follow_redirects is False
