"""What came from outside, on its way out again: mail in frames, files, exports, cookies, and the log."""

import asyncio
import csv
import io
import re

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.entrypoints.web import create_app
from switchboard.inbox.pages_mail import _as_file
from switchboard.kernel.db import Database
from switchboard.kernel.settings import load_settings
from tests.conftest import PASSWORD, Urls
from tests.pages import anonymous, signed_in
from tests.security.world import MARK, furnish

# A number or a phone number is what it looks like, and stays as it is.
NUMBER = re.compile(r"[+-][\d .()-]+")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def test_a_mails_html_runs_and_fetches_nothing(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        received = await browser.get(f"/inbox/messages/{ids['message']}/body")
        kept = await browser.get(f"/mailbox/{ids['mail']}/body")
    for answer in (received, kept):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.findall(r"sandbox[^;]*", policy) == ["sandbox allow-popups allow-popups-to-escape-sandbox"]
        assert "script-src" not in policy
    shown = received.text.split("</head>")[-1].lower()
    for part in (
        "<script",
        "onclick",
        "onerror",
        "onload",
        "javascript:",
        "<form",
        "<iframe",
        "<meta",
        "<base",
        "<link",
    ):
        assert part not in shown, part
    assert "evil.example" not in shown


async def test_a_file_of_a_mail_is_saved_and_never_shown(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        answer = await browser.get(f"/inbox/attachments/{ids['attachment']}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "name", ['a"\r\nX-Evil: 1', "ü\u202e\u2028.html", 'a";filename="b', "\\", "../../etc/passwd", ""]
)
def test_no_name_of_a_file_gets_out_of_its_header(name: str) -> None:
    header = _as_file(b"", name).headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename=\"[ !#-\[\]-~]*\"; filename\*=UTF-8''[\w.~%-]*", header), header


async def test_no_export_holds_a_formula(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    typed = {
        "name": "=1+1",
        "company": "@SUM(A1)",
        "email": "formula@client.example",
        "first_name": "+1",
        "last_name": "-1",
    }
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post("/contacts", typed)).status_code == 303
        exports = [
            await browser.get(path)
            for path in ("/contacts.csv", "/leads/export", f"/imports/{ids['import']}/errors.csv")
        ]
    for answer in exports:
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"].startswith("attachment; ")
        rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert [cell for row in rows for cell in row if cell.startswith(FORMULA) and not NUMBER.fullmatch(cell)] == []
    assert "1+1" in exports[0].text


async def test_behind_https_the_session_goes_over_https_only(database: Database, urls: Urls, owner: Caller) -> None:
    home = {"SWITCHBOARD_HOME": "/nonexistent", "APP_SECRET": "kept for tests only, 32 letters long"}
    app = create_app(load_settings({**home, "APP_URL": "https://switchboard.example"}), urls.application)
    app.state.database = database
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {"email": "olga@acme.example", "password": PASSWORD})
    parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts


async def test_the_log_names_nobody(
    app: Starlette,
    database: Database,
    owner: Caller,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await furnish(app, database, owner)
    written = "".join(capfd.readouterr()) + caplog.text
    assert "inbox.mail_read" in written
    for personal in ("client.example", "901820", "Ada", MARK, "Olga"):
        assert personal not in written, personal


async def test_tests_sent_all_at_once_leave_connections_for_the_others(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        answers = await asyncio.gather(*[browser.post(f"/sources/{ids['source']}/test") for _ in range(20)])
    assert {answer.status_code for answer in answers} <= {303, 429}
    assert 303 in {answer.status_code for answer in answers}
