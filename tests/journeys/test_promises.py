"""What people outside and colleagues are promised: nobody is forgotten, no means no, and a restart loses nothing."""

import urllib.request
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Form
from tests.journeys.windows import Windows
from tests.processes import MailServer, Product, eventually

pytestmark = pytest.mark.journey

HAND_ON = """\
flow: hurry
title: Hurry
subject: lead
starts:
  - on: lead.created
    where: lead.title == 'Hurry up'
stops:
  - on: lead.accepted
steps:
  - assign:
      rota: night
      accept_within: 2s
  - notify: supervisor
    text: Nobody accepted this lead in time.
"""

LETTERS = """\
flow: letters
title: Letters
subject: lead
starts:
  - on: lead.created
    where: lead.title == 'Newsletter'
steps:
  - send: welcome
  - wait: 2s
  - send: welcome_question
"""


def apply_flow(product: Product, folder: Path, text: str) -> None:
    file = folder / "flow.yaml"
    file.write_text(text)
    product.command("flow", "apply", str(file), "--activate")


def lead_path(product: Product, name: str) -> str:
    """Where the page of the lead of `name` is, as soon as there is one."""

    def look() -> str | None:
        found = [lead["id"] for lead in product.json_command("lead", "list") if lead["name"] == name]
        return f"/leads/{found[0]}" if found else None

    return eventually(look, what=f"the lead of {name}")


def texts_to(mail: MailServer, recipient: str) -> str:
    """The texts of all mails to one recipient, one after the other."""
    bodies = [sent.message.get_body(("plain",)) for sent in list(mail.mails) if recipient in sent.recipients]
    return "".join(body.get_content() for body in bodies if body is not None)


def test_a_lead_nobody_accepts_goes_round_and_then_to_the_supervisor(
    product: Product, mail: MailServer, form: Form, windows: Windows, tmp_path: Path
) -> None:
    product.command("user", "create", "--email", "ana@desk.example", "--name", "Ana", "--password", "a long enough one")
    product.command("user", "create", "--email", "ben@desk.example", "--name", "Ben", "--password", "a long enough one")
    product.command("rota", "create", "--name", "night", "--supervisor", "owner@switchboard.localhost")
    product.command("rota", "add-member", "--rota", "night", "--email", "ana@desk.example")
    product.command("rota", "add-member", "--rota", "night", "--email", "ben@desk.example")
    apply_flow(product, tmp_path, HAND_ON)
    form.send({"name": "Chien-Shiung Wu", "email": "wu@parity.example", "message": "Hurry up"})
    path = lead_path(product, "Chien-Shiung Wu")
    with windows.signed_in() as shown:
        shown.open(path)
        timeline = shown.page.locator("#lead-tab-timeline")
        expect(timeline).to_contain_text("assigned the lead to Ana")
        expect(timeline).to_contain_text("handed the lead on, for it was not accepted in time")
        expect(timeline).to_contain_text("assigned the lead to Ben")
        expect(timeline.get_by_text("assigned the lead to Owner")).to_have_count(2)
        expect(shown.page.locator("#open-lead .item-facts")).to_contain_text("Owner")
        shown.keep_picture("speed-1-timeline")
        shown.page.get_by_role("link", name="Why").click()
        decisions = shown.page.locator("[id^=decision-] h3")
        expect(decisions).to_have_text(["Owner", "Ben", "Ana", "Owner"])
        shown.keep_picture("speed-2-why")
    eventually(
        lambda: "Nobody accepted this lead in time." in texts_to(mail, "owner@switchboard.localhost"),
        what="the supervisor being told",
    )
    assert "Accept it within" in texts_to(mail, "ana@desk.example")
    assert "Accept it within" in texts_to(mail, "ben@desk.example")


def test_one_click_in_a_mail_program_ends_all_letters(
    product: Product, mail: MailServer, form: Form, windows: Windows, tmp_path: Path
) -> None:
    apply_flow(product, tmp_path, LETTERS)
    with windows.signed_in() as shown:
        # Night or day, letters go out in this workspace.
        shown.open("/settings")
        shown.page.get_by_label("Quiet hours begin").fill("03:00")
        shown.page.get_by_label("Quiet hours end").fill("03:00")
        shown.page.get_by_role("button", name="Save settings").click()
        expect(shown.page.locator("#toasts")).to_contain_text("Settings saved.")
    person = {"name": "Dorothy Hodgkin", "email": "dorothy@crystals.example", "message": "Newsletter", "consent": "yes"}
    form.send(person)
    letter = mail.wait_for("dorothy@crystals.example")
    assert letter.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = letter.message["List-Unsubscribe"].strip("<>")
    request = urllib.request.Request(address, b"List-Unsubscribe=One-Click", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200

    path = lead_path(product, "Dorothy Hodgkin")
    with windows.signed_in() as shown:
        shown.open(path)
        timeline = shown.page.locator("#lead-tab-timeline")
        expect(timeline).to_contain_text("ended all marketing to this contact")
        expect(timeline).to_contain_text("dropped the letter welcome_question: unsubscribed")
        shown.keep_picture("unsubscribe-1-lead")
    assert [sent.message["Subject"] for sent in mail.mails if "dorothy@crystals.example" in sent.recipients] == [
        letter.message["Subject"]
    ]


def test_an_open_page_catches_up_after_the_server_was_killed(product: Product, form: Form, windows: Windows) -> None:
    with windows.signed_in() as shown:
        page = shown.page
        shown.open("/leads")
        with page.expect_response("**/live"):
            page.reload()
        page.evaluate("window.isTheSamePage = true")
        serve = next(
            child
            for child in psutil.Process(product.process.pid).children(recursive=True)
            if child.cmdline()[-1] == "serve"
        )
        serve.kill()
        eventually(lambda: not serve.is_running() or serve.status() == psutil.STATUS_ZOMBIE, what="the kill")
        eventually(product.is_ready, what="the server being back")
        form.send({"name": "Lise Meitner", "email": "lise@fission.example", "message": "After the storm"})
        expect(page.get_by_role("link", name="Lise Meitner", exact=True)).to_be_visible()
        assert page.evaluate("window.isTheSamePage")
        shown.keep_picture("restart-1-caught-up")
        # The stream broke with the server, as it had to.
        shown.troubles[:] = [trouble for trouble in shown.troubles if "/live" not in trouble]
