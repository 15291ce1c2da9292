"""One browser window at a running product: what a person sees in it, its pictures, and what went wrong in it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, ViewportSize, expect

Look = Literal["light", "dark"]

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PICTURES = Path(__file__).parents[2] / "artefacts" / "journeys"
DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=375, height=740)
PATIENCE_MS = 20_000.0

expect.set_options(timeout=PATIENCE_MS)


# Without slots, for the browser's driver marks the methods it is given.
@dataclass
class Window:
    """A page of the product; `troubles` gathers console errors, failed requests and refusals."""

    page: Page
    base: str
    troubles: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Begin to gather troubles."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error in script: {error}"))
        self.page.on("requestfailed", self._note_failure)
        self.page.on("response", self._note_refusal)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.troubles.append(f"console: {message.text} ({message.location['url']})")

    def _note_failure(self, request: Request) -> None:
        # Leaving a page aborts what it was fetching, and a download is no page: nothing is wrong with either.
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"{request.method} {request.url}: {request.failure}")

    def _note_refusal(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.request.method} {response.url}: {response.status}")

    def open(self, path: str) -> None:
        """Go to an address of the product as by typing it."""
        self.page.goto(f"{self.base}{path}")

    def turn_to(self, place: str) -> None:
        """Go to one of the places of the rail, and wait until its page is there."""
        self.page.locator(".rail").get_by_role("link", name=place).click()
        expect(self.page.get_by_role("heading", level=1, name=place)).to_be_visible()

    def sign_in(self, email: str, password: str) -> None:
        """Sign in by the form, which leads to the home page."""
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.base}/")

    def keep_picture(self, name: str) -> None:
        """A screenshot among the artefacts, as a person would see it now."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    def is_wider_than_its_screen(self) -> bool:
        """Whether the page can be scrolled sideways, which no page should."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def open_window(
    browser: Browser,
    base: str,
    *,
    look: Look = "light",
    size: ViewportSize = DESK,
    javascript: bool = True,
    cookies: Mapping[str, str] | None = None,
) -> Iterator[Window]:
    """A fresh window with its own cookies; at its end nothing may have gone wrong in it."""
    is_phone = size["width"] < 700
    context = browser.new_context(
        viewport=size, color_scheme=look, java_script_enabled=javascript, has_touch=is_phone, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    if cookies:
        context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])
    shown = Window(context.new_page(), base)
    shown.listen()
    try:
        yield shown
        assert shown.troubles == []
    except BaseException:
        # Whatever the reason, what the window showed is the first thing to look at.
        shown.keep_picture("failed")
        raise
    finally:
        context.close()


@dataclass(frozen=True, slots=True)
class Windows:
    """Opens windows at one product; `session` holds the cookies of its owner's sign-in."""

    browser: Browser
    base: str
    session: Mapping[str, str]

    def signed_in(
        self, *, look: Look = "light", size: ViewportSize = DESK, javascript: bool = True
    ) -> AbstractContextManager[Window]:
        """A window in which the owner is signed in already."""
        return open_window(self.browser, self.base, look=look, size=size, javascript=javascript, cookies=self.session)

    def anonymous(
        self, *, look: Look = "light", size: ViewportSize = DESK, javascript: bool = True
    ) -> AbstractContextManager[Window]:
        """A window in which nobody has signed in."""
        return open_window(self.browser, self.base, look=look, size=size, javascript=javascript)
