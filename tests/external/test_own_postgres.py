"""The main path on a Postgres of one's own: version 15, no superuser, one role or two, with and without pg_trgm."""

import json
import smtplib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest

from tests.external.own_postgres import APPLICATION, OWNER, OwnPostgres, count_rows
from tests.processes import Product, eventually, running

pytestmark = pytest.mark.journey

FLOW = """\
flow: thanks
title: Thanks
subject: lead
starts: [lead.created]
stops: [message.replied]
steps:
  - send: request_received
    purpose: transactional
  - wait: 1d
"""


@contextmanager
def signed_in(product: Product) -> Iterator[urllib.request.OpenerDirector]:
    """A browser's worth of cookies after the owner's first sign-in."""
    email, password = product.sign_in()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    body = urllib.parse.urlencode({"email": email, "password": password}).encode()
    with opener.open(urllib.request.Request(f"{product.url}/sign-in", body), timeout=10) as answer:
        assert answer.url == f"{product.url}/"
    yield opener


def search(browser: urllib.request.OpenerDirector, product: Product, words: str) -> str:
    """The page of the contacts that match."""
    query = urllib.parse.urlencode({"q": words})
    with browser.open(f"{product.url}/contacts?{query}", timeout=10) as answer:
        return str(answer.read().decode())


def answer_by_mail(product: Product, mail_id: str) -> None:
    """The recipient's mail program answers a letter of the mailbox."""
    letter = message_from_string(product.command("mailbox", "show", mail_id))
    answer = EmailMessage()
    answer["From"], answer["To"] = "ada@byron.example", letter["Reply-To"] or letter["From"]
    answer["Subject"], answer["In-Reply-To"] = f"Re: {letter['Subject']}", letter["Message-ID"]
    answer.set_content("Twelve seats, please.")
    with smtplib.SMTP("127.0.0.1", product.mail_port, timeout=10) as smtp:
        smtp.send_message(answer)


def go_the_main_path(product: Product, folder: Path) -> None:
    """From a posted lead over recognition, routing and flow into the mailbox, and back by SMTP."""
    flow = folder / "thanks.yaml"
    flow.write_text(FLOW)
    product.command("flow", "apply", str(flow), "--activate")
    url = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
    lead = {"email": "Ada@Byron.example", "name": "Ada Byron", "phone": "+44 20 7946 0018"}
    assert product.post(url, lead)["accepted"] == 1
    assert product.post(url, lead)["duplicates"] == 1
    mails = eventually(lambda: product.json_command("mailbox", "list"), what="the letter")
    assert [mail["subject"] for mail in mails] == ["We have your request"]
    assert [contact["name"] for contact in product.json_command("contact", "list")] == ["Ada Byron"]
    assert len(product.json_command("lead", "list")) == 1
    assert len(product.json_command("flow", "runs", "--flow", "thanks")) == 1
    answer_by_mail(product, mails[0]["id"])
    eventually(lambda: product.json_command("flow", "runs", "--flow", "thanks") == [], what="the run being stopped")


def health(product: Product) -> dict[str, object]:
    with urllib.request.urlopen(f"{product.url}/health/ready", timeout=5) as answer:
        decoded: dict[str, object] = json.load(answer)
        return decoded


@pytest.fixture(scope="module")
def one_role(bare_postgres: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One role that owns its database and nothing else, and no extension."""
    url = bare_postgres.url(bare_postgres.new_database(), OWNER)
    with running(tmp_path_factory.mktemp("home"), DATABASE_URL=url) as product:
        go_the_main_path(product, product.home)
        yield product


def test_one_role_and_no_extension_go_the_main_path(one_role: Product) -> None:
    eventually(lambda: health(one_role)["troubles"] == [], what="health without troubles")
    status = one_role.command("migrate", "status")
    assert "0010 typo_search: skipped, its extension is missing" in status
    assert "pending" not in status


def test_names_are_found_without_pg_trgm_if_they_are_spelt_right(one_role: Product) -> None:
    with signed_in(one_role) as browser:
        assert "Ada Byron" in search(browser, one_role, "byr")
        assert "Ada Byron" in search(browser, one_role, "ada@byron.example")
        assert "Ada Byron" not in search(browser, one_role, "byronn")


def test_doctor_says_which_search_is_missing(one_role: Product) -> None:
    findings = {finding["subject"]: finding for finding in one_role.json_command("doctor")}
    assert findings["database"]["detail"].startswith("Postgres 15.")
    assert findings["pg_trgm"]["verdict"] == "warning"


def test_row_security_holds_the_role_that_owns_the_tables(one_role: Product) -> None:
    url = one_role.environment["DATABASE_URL"]
    assert count_rows(url, "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND rolsuper") == 0
    assert count_rows(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'app' AND tableowner = current_user") > 40
    for table in ("contact", "identity", "lead", "signal", "message", "event", "run", "conversation"):
        assert count_rows(url, f"SELECT count(*) FROM app.{table}") == 0


def test_two_roles_and_an_administrators_pg_trgm(contrib_postgres: OwnPostgres, tmp_path: Path) -> None:
    name = contrib_postgres.new_database("pg_trgm")
    urls = {
        "DATABASE_URL": contrib_postgres.url(name, APPLICATION),
        "DATABASE_OWNER_URL": contrib_postgres.url(name, OWNER),
    }
    with running(tmp_path / "home", **urls) as product:
        go_the_main_path(product, tmp_path)
        assert "0010 typo_search: applied" in product.command("migrate", "status")
        with signed_in(product) as browser:
            assert "Ada Byron" in search(browser, product, "byronn")
        with psycopg.connect(urls["DATABASE_URL"]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE app.mine ()")
        assert count_rows(urls["DATABASE_URL"], "SELECT count(*) FROM app.contact") == 0
