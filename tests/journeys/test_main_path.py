"""A lead comes in, is recognised, owned, followed up and answered: as both sides see it."""

import smtplib
import urllib.parse
import urllib.request
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.windows import Window, Windows
from tests.processes import Delivered, MailServer, Product, eventually

pytestmark = pytest.mark.journey

FLOW = """\
flow: first_answer
title: First answer
subject: lead

starts:
  - on: lead.created
    where: lead.source == 'Contact page'

stops:
  - on: message.replied
  - on: lead.closed

steps:
  - name: Say thank you
    send: request_received
    purpose: transactional
  - wait: 1d
  - name: Ask once more
    send: welcome_question
    purpose: transactional
"""


def post_form(url: str, fields: dict[str, str]) -> int:
    """Send a form as a browser does; returns the status of the page it ends at."""
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), {"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def answer_by_mail(product: Product, mail: Delivered, text: str) -> str:
    """The recipient's mail program answers `mail`; returns the Message-ID of the answer."""
    answer = EmailMessage()
    answer["From"] = f"Ada Byron <{mail.recipients[0]}>"
    answer["To"] = mail.message["Reply-To"] or mail.message["From"]
    answer["Subject"] = f"Re: {mail.message['Subject']}"
    answer["Message-ID"] = "<answer-1@byron.example>"
    answer["In-Reply-To"] = mail.message["Message-ID"]
    answer["References"] = mail.message["Message-ID"]
    answer.set_content(f"{text}\n\nOn Friday somebody wrote:\n> We have your request\n")
    with smtplib.SMTP("127.0.0.1", product.mail_port, timeout=10) as smtp:
        smtp.send_message(answer)
    return str(answer["Message-ID"])


def has_marker(page: Page) -> bool:
    return bool(page.evaluate("window.isTheSamePage === true"))


def see_why(shown: Window) -> None:
    """Routing has chosen somebody and says why, on the lead's page."""
    page = shown.page
    expect(page.get_by_role("heading", name="Ada Byron")).to_be_visible()
    page.get_by_role("link", name="Why").click()
    decision = page.locator("[id^=decision-]").first
    expect(decision.get_by_role("heading", name="Owner")).to_be_visible()
    expect(decision.get_by_role("link", name="sales")).to_be_visible()
    expect(decision.get_by_role("row", name="Owner")).to_contain_text("turn")


def see_how_it_ended(shown: Window) -> None:
    """The lead's clock stands still, and the flow says why its run ended."""
    page = shown.page
    page.get_by_role("link", name="Lead", exact=True).click()
    page.get_by_role("link", name="Data").click()
    expect(page.locator("#lead-tab-data")).to_contain_text("Answered")
    shown.turn_to("Flows")
    page.get_by_role("link", name="First answer").click()
    page.get_by_role("link", name="Wait 1d").click()
    expect(page.locator("#people")).to_contain_text("because they answered")


def check_thread(reply: Delivered, earlier: list[str]) -> None:
    """The answer continues the thread of the mails with those Message-IDs."""
    assert reply.message["In-Reply-To"] == earlier[-1]
    assert reply.message["References"].split() == earlier
    assert reply.message["Subject"] == "Re: We have your request"
    body = reply.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("Twelve seats it is. When may I call you?")


def test_from_a_posted_form_to_an_answer_from_the_browser(
    product: Product, mail: MailServer, windows: Windows, tmp_path: Path
) -> None:
    source = product.json_command("source", "create", "--name", "Contact page", "--format", "webform")
    flow_file = tmp_path / "first_answer.yaml"
    flow_file.write_text(FLOW)
    product.command("flow", "apply", str(flow_file), "--activate")

    with windows.signed_in() as shown:
        page = shown.page
        shown.open("/leads")
        page.evaluate("window.isTheSamePage = true")

        # A visitor fills in the form: the lead slides into the open list.
        status = post_form(
            source["url"],
            {"name": "Ada Byron", "email": "ada@byron.example", "message": "Do you take twelve seats?", "website": ""},
        )
        assert status == 200
        name = page.get_by_role("link", name="Ada Byron", exact=True)
        expect(name).to_be_visible()
        shown.keep_picture("main-path-1-arrives")

        name.click()
        see_why(shown)
        shown.keep_picture("main-path-2-why")

        # The flow's letter reaches a real mail server.
        first = mail.wait_for("ada@byron.example")
        assert first.message["Subject"] == "We have your request"
        runs = product.json_command("flow", "runs", "--flow", "first_answer")
        assert len(runs) == 1
        page.get_by_role("link", name="Timeline").click()
        expect(page.locator("#lead-tab-timeline")).to_contain_text("sent “We have your request”")

        # The answer stops the run, and shows in the inbox.
        answer_id = answer_by_mail(product, first, "Yes please, twelve seats.")
        eventually(
            lambda: product.json_command("flow", "runs", "--flow", "first_answer") == [], what="the run being stopped"
        )
        shown.turn_to("Inbox")
        page.get_by_role("link", name="Ada Byron", exact=True).click()
        talk = page.locator("#talk-list")
        expect(talk).to_contain_text("Yes please, twelve seats.")
        shown.keep_picture("main-path-3-inbox")

        # What is written here leaves in the same thread.
        page.keyboard.press("r")
        expect(page.get_by_role("textbox", name="Your answer")).to_be_focused()
        page.keyboard.type("Twelve seats it is. When may I call you?")
        page.keyboard.press("Control+Enter")
        expect(talk).to_contain_text("Twelve seats it is.")
        check_thread(mail.wait_for("ada@byron.example", after=1), [first.message["Message-ID"], answer_id])
        expect(talk.locator("article").last).to_be_in_viewport(ratio=1)
        shown.keep_picture("main-path-4-answered")

        assert has_marker(page)
        see_how_it_ended(shown)
        shown.keep_picture("main-path-5-flow")
    assert [sent.message["Subject"] for sent in mail.mails if "ada@byron.example" in sent.recipients] == [
        "We have your request",
        "Re: We have your request",
    ]
