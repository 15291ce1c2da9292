"""A product with a mail server beside it, and a browser, for all journeys of one process."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.journeys.windows import CHROMIUM, CHROMIUM_FLAGS, PICTURES, Windows, open_window
from tests.processes import MailServer, Product, running


# The browser's driver keeps an event loop in this thread, so it must be gone before tests elsewhere start theirs.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[Product]:
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port), "SMTP_SECURITY": "none"}
    with running(tmp_path_factory.mktemp("home"), EMAIL_PROVIDER="smtp", **settings) as product:
        yield product
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "product.log").write_text("".join(product.log))


@pytest.fixture(scope="package")
def windows(product: Product, browser: Browser) -> Windows:
    """Windows with the owner signed in once, so that not every journey waits for a sign-in."""
    with open_window(browser, product.url) as shown:
        shown.sign_in(*product.sign_in())
        session = {cookie["name"]: cookie["value"] for cookie in shown.page.context.cookies()}
    return Windows(browser, product.url, session)


@dataclass(frozen=True, slots=True)
class Form:
    """A source that takes JSON."""

    product: Product
    url: str

    def send(self, *people: dict[str, Any]) -> None:
        """Post people as one request of this source."""
        answer = self.product.post(self.url, list(people))
        assert answer["accepted"] == len(people)


@pytest.fixture(scope="package")
def form(product: Product) -> Form:
    source = product.json_command("source", "create", "--name", "Landing page", "--format", "generic")
    return Form(product, source["url"])
