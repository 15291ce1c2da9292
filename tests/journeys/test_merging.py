"""Two contacts turn out to be one person, and then not."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Form
from tests.journeys.windows import Window, Windows
from tests.processes import MailServer, Product, eventually

pytestmark = pytest.mark.journey


def find_contact(product: Product, email: str) -> str:
    def look() -> str | None:
        found = [each["id"] for each in product.json_command("contact", "list") if each["email"] == email]
        return found[0] if found else None

    return eventually(look, what=f"the contact {email}")


def write_to(shown: Window, contact_id: str, text: str) -> None:
    """Write a first mail to somebody, from their page."""
    shown.open(f"/inbox/of-contact/{contact_id}")
    subject = shown.page.get_by_label("Subject")
    subject.fill("A question")
    shown.page.get_by_role("textbox", name="Your answer").fill(text)
    shown.page.get_by_role("button", name="Send", exact=True).click()
    expect(shown.page.locator("#main")).to_contain_text(text)


def test_a_merge_is_seen_before_it_is_done_and_can_be_undone(
    product: Product, mail: MailServer, form: Form, windows: Windows
) -> None:
    form.send({"name": "Rosalind Franklin", "email": "rosalind@kings.example", "message": "Photographs"})
    form.send({"name": "R. Franklin", "email": "rf@birkbeck.example", "message": "Viruses"})
    kept = find_contact(product, "rosalind@kings.example")
    lost = find_contact(product, "rf@birkbeck.example")
    with windows.signed_in() as shown:
        page = shown.page
        write_to(shown, lost, "Which lens do you use?")
        mail.wait_for("rf@birkbeck.example")
        shown.open(f"/contacts/{lost}")
        page.get_by_role("textbox", name="Note").fill("Met at the congress")
        page.get_by_role("button", name="Add note").click()
        expect(page.locator("#timeline")).to_contain_text("Met at the congress")
        before = page.locator("#timeline > li").count()

        # Choose the other one, see what will remain, merge.
        shown.open(f"/contacts/{kept}")
        page.get_by_role("link", name="Merge", exact=True).click()
        page.get_by_role("searchbox", name="Search the other contact").fill("birkbeck")
        page.get_by_role("link", name="R. Franklin").click()
        expect(page.locator("#side-result")).to_contain_text("rf@birkbeck.example")
        expect(page.locator("#side-result")).to_contain_text("rosalind@kings.example")
        shown.keep_picture("merge-1-preview")
        page.get_by_role("button", name="Merge", exact=True).click()
        page.wait_for_url(f"**/contacts/{kept}")
        expect(page.locator("#timeline")).to_contain_text("Met at the congress")
        expect(page.locator("#main")).to_contain_text("rf@birkbeck.example")
        shown.keep_picture("merge-2-merged")
        shown.open(f"/inbox/of-contact/{kept}")
        expect(page.locator("#main")).to_contain_text("Which lens do you use?")
        shown.open(f"/contacts/{lost}")
        expect(page).to_have_url(f"{product.url}/contacts/{kept}")

        # Undone, everything is back where it was.
        shown.open(f"/contacts/{kept}")
        page.locator("[id^=merge-]").get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Yes, do it").click()
        expect(page.locator("[id^=merge-]")).to_have_count(0)
        expect(page.locator("#timeline")).not_to_contain_text("Met at the congress")
        shown.open(f"/contacts/{lost}")
        expect(page).to_have_url(f"{product.url}/contacts/{lost}")
        expect(page.locator("#timeline")).to_contain_text("Met at the congress")
        assert page.locator("#timeline > li").count() >= before
        shown.open(f"/inbox/of-contact/{lost}")
        expect(page.locator("#main")).to_contain_text("Which lens do you use?")
        shown.open(f"/inbox/of-contact/{kept}")
        expect(page.locator("#main")).not_to_contain_text("Which lens do you use?")
