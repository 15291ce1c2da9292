"""A campaign from the segment to the last letter: sized, tried, tested, started, paused, resumed, and accounted for."""

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Form
from tests.journeys.test_pages import RULES, find_grave_violations
from tests.journeys.test_promises import apply_flow
from tests.journeys.windows import DESK, PHONE, Window, Windows
from tests.processes import MailServer, Product, eventually

pytestmark = pytest.mark.journey

PEOPLE = 12
NEWS = """\
flow: gazette
title: The gazette
subject: contact
stops: [message.replied, contact.opted_out]
reentry: {after: 1d}
steps:
  - send: welcome
"""


@pytest.fixture(scope="module")
def audience(product: Product, form: Form, windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The addresses of people of one company, whom nothing but a campaign writes to."""
    apply_flow(product, tmp_path_factory.mktemp("flows"), NEWS)
    with windows.signed_in() as shown:
        # Night or day, letters go out in this workspace.
        shown.open("/settings")
        shown.page.get_by_label("Quiet hours begin").fill("03:00")
        shown.page.get_by_label("Quiet hours end").fill("03:00")
        shown.page.get_by_role("button", name="Save settings").click()
        expect(shown.page.locator("#toasts")).to_contain_text("Settings saved.")
    emails = [f"reader{number}@gazette.example" for number in range(PEOPLE)]
    form.send(
        *({"name": f"Reader {number}", "email": email, "company": "Gazette"} for number, email in enumerate(emails))
    )
    return emails


def answer(page: Page, *, yes: bool = True) -> None:
    """Answer the question that stands before an action."""
    dialog = page.locator("#confirm")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Yes, do it" if yes else "Cancel").click()


def make_segment(shown: Window) -> None:
    """A segment whose size is seen before it is saved, and again when it is filled."""
    page = shown.page
    shown.turn_to("Segments")
    page.get_by_role("link", name="New segment").first.click()
    page.get_by_label("Title").fill("Readers of the gazette")
    page.get_by_label("Who is in it").fill('contact.company == "Gazette"')
    expect(page.locator("#condition-check")).to_contain_text(f"{PEOPLE} people meet this.")
    page.get_by_role("button", name="Add segment").click()
    expect(page.get_by_role("heading", name=f"{PEOPLE} people")).to_be_visible()


def make_campaign(shown: Window) -> None:
    """A draft that sends one letter every two seconds; the form says what is wrong, and whom a choice means."""
    page = shown.page
    shown.turn_to("Campaigns")
    page.get_by_role("link", name="New campaign").first.click()
    page.get_by_label("Title").fill("Gazette of May")
    page.get_by_label("Audience").select_option(f"Readers of the gazette: {PEOPLE} people")
    page.get_by_label("Flow", exact=True).select_option("The gazette")
    page.get_by_label("At an hour by each person’s own clock").check()
    page.get_by_label("The day").fill("2037-05-04")
    expect(page.locator("#examples")).to_contain_text("Ann in Sydney gets it on Mon 04 May, 09:00")
    shown.keep_picture("campaign-1-form")
    page.get_by_label("When I start it").check()
    expect(page.locator("#examples li")).to_have_count(0)
    page.get_by_label("Most a minute").fill("fast")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.locator("#throttle_per_minute-error")).to_be_visible()
    shown.troubles.clear()
    page.get_by_label("Most a minute").fill("30")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("heading", level=1, name="Gazette of May")).to_be_visible()


def try_it(shown: Window, mail: MailServer, owner: str) -> None:
    """The dry run with one letter open, and a test that arrives at the owner's."""
    page = shown.page
    page.get_by_role("link", name="Dry run").click()
    expect(page.locator("#dry-list")).to_contain_text(f"{PEOPLE} people would go through the gate.")
    page.get_by_role("link", name="Reader 3", exact=True).click()
    expect(page.frame_locator(".mail-frame").locator("body")).to_contain_text("Reader")
    shown.keep_picture("campaign-2-dry-run")
    page.get_by_role("link", name="Back to the campaign").click()
    page.get_by_label("As this person would get it").fill("reader3@gazette.example")
    page.get_by_role("button", name="Send the test").click()
    expect(page.locator("#toasts")).to_contain_text("The test is on its way to")
    assert mail.wait_for(owner).message["Subject"].startswith("Test: ")


def reached(mail: MailServer) -> set[str]:
    return {to for sent in list(mail.mails) for to in sent.recipients if to.endswith("@gazette.example")}


def test_a_campaign_from_the_segment_to_the_ledger(
    product: Product, mail: MailServer, audience: list[str], windows: Windows
) -> None:
    with windows.signed_in() as shown:
        page = shown.page
        shown.open("/")
        make_segment(shown)
        make_campaign(shown)
        try_it(shown, mail, product.sign_in()[0])
        assert reached(mail) == set()

        page.get_by_role("button", name="Start now").click()
        expect(page.locator("#confirm-text")).to_contain_text(f"It goes to {PEOPLE} people.")
        answer(page)
        expect(page.locator("#toasts")).to_contain_text("It has begun.")
        eventually(lambda: len(reached(mail)) >= 2, what="the first letters")
        # The page follows by itself.
        expect(page.locator("#next")).to_contain_text("people wait for their turn")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.locator("#campaign-state")).to_contain_text("Paused")
        expect(page.locator("#next")).to_contain_text("Nothing goes out until somebody resumes it.")
        shown.keep_picture("campaign-3-paused")
        assert len(reached(mail)) < PEOPLE
        shown.turn_to("Campaigns")
        expect(page.locator("#campaign-list")).to_contain_text("Paused")
        shown.keep_picture("campaign-4-list")
        page.get_by_role("link", name="Gazette of May").click()

        page.get_by_role("button", name="Resume").click()
        answer(page)
        expect(page.locator("#campaign-state")).to_contain_text("Running")
        page.get_by_label("Most a minute").fill("")
        page.get_by_role("button", name="Change the pace").click()
        eventually(lambda: reached(mail) == set(audience), what="every letter")
        expect(page.locator("#campaign")).to_contain_text(f"{PEOPLE} of {PEOPLE} people done")
        shown.keep_picture("campaign-5-sent")

        page.get_by_role("link", name="Who got it, who not, and why").click()
        expect(page.locator("#people tbody tr")).to_have_count(PEOPLE)
        expect(page.locator("#people tbody tr").get_by_text("Sent", exact=True)).to_have_count(PEOPLE)
        shown.keep_picture("campaign-6-people")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.path().read_text("utf-8-sig").count("@gazette.example") == PEOPLE
    letters = [sent for sent in mail.mails if sent.recipients[0] in audience]
    assert len(letters) == PEOPLE


def test_its_pages_work_for_everybody(product: Product, audience: list[str], windows: Windows) -> None:
    product.command("campaign", "create", "Looked at", "--flow", "gazette", "--everybody")
    campaign = product.json_command("campaign", "show", "looked_at")["campaign"]["id"]
    paths = [
        "/campaigns",
        "/campaigns/new",
        *(f"/campaigns/{campaign}{part}" for part in ("", "/edit", "/dry-run", "/people")),
    ]
    wrong = {}
    for look in RULES:
        with windows.signed_in(
            look="dark" if look == "dark" else "light", size=PHONE if look == "phone" else DESK
        ) as shown:
            for number, path in enumerate(paths):
                shown.open(path)
                shown.keep_picture(f"campaign-page-{number}-{look}")
                if found := find_grave_violations(shown, RULES[look]):
                    wrong[path, look] = found
                if shown.is_wider_than_its_screen():
                    wrong[path, f"{look}: wide"] = []
    assert wrong == {}


def test_without_script_a_campaign_is_made_and_started(
    product: Product, mail: MailServer, audience: list[str], windows: Windows
) -> None:
    # Whoever was in the flow a while ago would be left out of it.
    product.command("segment", "create", "Nobody yet")
    with windows.signed_in(javascript=False) as shown:
        page = shown.page
        shown.open("/campaigns/new")
        page.get_by_label("Title").fill("Without script")
        page.get_by_label("Audience").select_option("Nobody yet: 0 people")
        page.get_by_label("Flow", exact=True).select_option("The gazette")
        page.get_by_role("button", name="Save as a draft").click()
        expect(page.locator("#flash")).to_contain_text("Saved as a draft.")
        page.get_by_role("button", name="Start now").click()
        expect(page.locator("#flash")).to_contain_text("It has begun.")
        expect(page.get_by_role("heading", level=1, name="Without script")).to_be_visible()

        def is_over() -> bool:
            state: str = product.json_command("campaign", "show", "without_script")["state"]
            return state in ("running", "finished")

        eventually(is_over, what="taking nobody in")
