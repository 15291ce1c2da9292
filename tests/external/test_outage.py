"""A Postgres that goes away for a while: everybody is told so, nothing acknowledged is lost, and nobody restarts us."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.external.own_postgres import OWNER, OwnPostgres
from tests.external.test_own_postgres import signed_in
from tests.processes import Product, eventually, running

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

# Long enough for retries that wait twice as long each time to have become lazy.
OUTAGE_SECONDS = 20.0
RECOVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the status."""

    status: int
    retry_after: str | None
    text: str


def ask(browser: urllib.request.OpenerDirector, url: str, body: bytes | None = None) -> Answer:
    """GET, or POST where there is a body."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with browser.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers["Retry-After"], answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["Retry-After"], error.read().decode())


def children(product: Product) -> set[int]:
    return {child.pid for child in psutil.Process(product.process.pid).children()}


def expect_to_be_told(browser: urllib.request.OpenerDirector, product: Product, intake: str) -> None:
    """Health, intake and pages while the database is away."""
    assert ask(browser, f"{product.url}/health").status == 200
    ready = ask(browser, f"{product.url}/health/ready")
    assert (ready.status, json.loads(ready.text)["database"]) == (503, "unreachable")
    refused = ask(browser, intake, b'{"email": "during@byron.example"}')
    assert (refused.status, refused.retry_after) == (503, "2")
    assert "Nothing was changed; try again shortly." in json.loads(refused.text)["detail"]
    page = ask(browser, f"{product.url}/leads")
    assert (page.status, page.retry_after) == (503, "2")
    assert "The database cannot be reached at the moment." in page.text


def test_an_outage_of_the_database_is_told_and_outlived(bare_postgres: OwnPostgres, tmp_path: Path) -> None:
    url = bare_postgres.url(bare_postgres.new_database(), OWNER)
    with running(tmp_path / "home", DATABASE_URL=url) as product, signed_in(product) as browser:
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        assert ask(browser, intake, b'{"email": "before@byron.example"}').status == 202
        before = children(product)

        bare_postgres.stop()
        gone_at = time.monotonic()
        try:
            expect_to_be_told(browser, product, intake)
            eventually(lambda: time.monotonic() - gone_at >= OUTAGE_SECONDS, seconds=60, what="the outage's end")
        finally:
            bare_postgres.start()

        back_at = time.monotonic()
        eventually(lambda: ask(browser, intake, b'{"email": "after@byron.example"}').status == 202, what="202")
        eventually(lambda: ask(browser, f"{product.url}/leads").text.count("@byron.example") >= 2, what="both leads")
        assert time.monotonic() - back_at <= RECOVERY_SECONDS
        eventually(
            lambda: json.loads(ask(browser, f"{product.url}/health/ready").text)["troubles"] == [],
            what="health without troubles",
        )
        assert children(product) == before
