"""Signing in through the form, as a browser does it."""

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.accounts.web import SESSION_COOKIE
from switchboard.kernel.db import Database
from tests.conftest import PASSWORD
from tests.pages import anonymous, signed_in

SIGN_IN = {"email": "olga@acme.example", "password": PASSWORD}


async def test_the_form_signs_in_and_goes_where_the_person_wanted(app: Starlette, owner: Caller) -> None:
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {**SIGN_IN, "next": "/leads?stage=new"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/leads?stage=new"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_nobody_is_handed_to_another_site_after_signing_in(app: Starlette, owner: Caller, target: str) -> None:
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {**SIGN_IN, "next": target})
    assert answer.headers["location"] == "/"


async def test_a_wrong_password_shows_the_form_again_with_the_address(app: Starlette, owner: Caller) -> None:
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {"email": "olga@acme.example", "password": "wrong"})
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert 'value="olga@acme.example"' in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_form_from_another_site_is_refused(app: Starlette, owner: Caller) -> None:
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", SIGN_IN, **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_signing_out_ends_the_session_for_good(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        token = browser.client.cookies[SESSION_COOKIE]
        answer = await browser.post("/sign-out")
        assert answer.headers["location"] == "/sign-in"
        browser.client.cookies.set(SESSION_COOKIE, token)
        assert (await browser.post("/sign-out", Accept="application/json")).status_code == 401


async def test_a_form_without_the_sessions_token_changes_nothing(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        browser.csrf_token = "made-up"
        assert (await browser.post("/sign-out")).status_code == 403
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.session") == 1


async def test_a_missing_page_is_said_in_the_shape_that_was_asked_for(app: Starlette) -> None:
    async with anonymous(app) as browser:
        shown = await browser.get("/nowhere")
        spoken = await browser.get("/nowhere", Accept="application/json")
    assert shown.status_code == spoken.status_code == 404
    assert "There is no such page" in shown.text
    assert spoken.json()["code"] == "not_found"
    assert spoken.headers["content-type"] == "application/problem+json"


async def test_every_answer_carries_the_strict_policy(app: Starlette) -> None:
    async with anonymous(app) as browser:
        answer = await browser.get("/sign-in")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
