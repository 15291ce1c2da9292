"""A day at the desk: with keys alone, on a phone, and in a browser that runs no script."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Form
from tests.journeys.windows import PHONE, Window, Windows
from tests.processes import Product, eventually

pytestmark = pytest.mark.journey


def wait_for_leads(product: Product, *names: str) -> None:
    """Until everybody is on the list of leads."""

    def look() -> bool:
        return set(names) <= {lead["name"] for lead in product.json_command("lead", "list")}

    eventually(look, what=f"leads of {', '.join(names)}")


def find_and_go_anywhere(shown: Window) -> None:
    """The list of keys, search on the page, the palette with a slip of the finger, and creating somebody."""
    page, keys = shown.page, shown.page.keyboard
    # All keys are listed; Escape closes.
    keys.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    shown.keep_picture("keys-3-keys")
    keys.press("Escape")

    # Search while typing.
    keys.press("/")
    keys.type("Noether")
    expect(page.locator("#lead-list tbody tr")).to_have_count(1)
    expect(page.locator("#lead-list")).to_contain_text("Emmy Noether")
    keys.press("Escape")

    # Anywhere: to a person, with a slip of the finger.
    keys.press("Control+k")
    keys.type("somervile")
    expect(page.locator("#palette-list")).to_contain_text("Mary Somerville")
    shown.keep_picture("keys-4-palette")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Mary Somerville")).to_be_visible()

    # Create something.
    keys.press("g")
    keys.press("p")
    expect(page.get_by_role("heading", level=1, name="People")).to_be_visible()
    keys.press("c")
    page.wait_for_url(f"{shown.base}/contacts/new")


def test_everything_at_the_desk_works_with_keys_alone(product: Product, form: Form, windows: Windows) -> None:
    form.send(
        {"name": "Grace Hopper", "email": "grace@navy.example", "message": "Compilers, please"},
        {"name": "Mary Somerville", "email": "mary@stars.example", "message": "A telescope"},
        {"name": "Emmy Noether", "email": "emmy@rings.example", "message": "Symmetry"},
    )
    wait_for_leads(product, "Grace Hopper", "Mary Somerville", "Emmy Noether")
    email, password = product.sign_in()
    with windows.anonymous(look="dark") as shown:
        page, keys = shown.page, shown.page.keyboard

        shown.open("/sign-in")
        # A browser gives the focus with the first frame it paints, which may come after the page has loaded.
        expect(page.get_by_label("E-mail")).to_be_focused()
        keys.type(email)
        keys.press("Tab")
        expect(page.get_by_label("Password")).to_be_focused()
        keys.type(password)
        keys.press("Enter")
        page.wait_for_url(f"{product.url}/")

        # Go to the leads, move up and down, open one and accept it.
        keys.press("g")
        keys.press("l")
        expect(page.get_by_role("heading", level=1, name="Leads")).to_be_visible()
        current = page.locator("tr[aria-current=true]")
        keys.press("j")
        expect(current).to_be_visible()
        first = current.get_attribute("id") or ""
        keys.press("j")
        expect(current).not_to_have_id(first)
        keys.press("k")
        expect(current).to_have_id(first)
        shown.keep_picture("keys-1-list")
        name = current.locator("[data-open]").inner_text()
        keys.press("Enter")
        expect(page.locator("#lead-title")).to_have_text(name)
        keys.press("e")
        expect(page.locator("#toasts")).to_contain_text("Accepted. It is yours.")
        expect(page.locator("#open-lead").get_by_role("button", name="Accept")).to_have_count(0)
        shown.keep_picture("keys-2-accepted")

        # Give it to somebody from the menu.
        keys.press("a")
        choice = page.locator("#open-lead details[open]").get_by_role("button", name="Owner", exact=True)
        expect(choice).to_be_focused()
        keys.press("Escape")
        expect(choice).to_be_hidden()
        keys.press("a")
        keys.press("ArrowDown")
        keys.press("ArrowUp")
        expect(choice).to_be_focused()
        keys.press("Enter")
        expect(page.locator("#toasts")).to_contain_text("Assigned 1 lead.")

        find_and_go_anywhere(shown)


def test_a_phone_shows_one_thing_at_a_time(product: Product, form: Form, windows: Windows) -> None:
    form.send({"name": "Katherine Johnson", "email": "katherine@orbits.example", "message": "Trajectories"})
    wait_for_leads(product, "Katherine Johnson")
    with windows.anonymous(size=PHONE) as shown:
        page = shown.page
        shown.sign_in(*product.sign_in())
        assert not shown.is_wider_than_its_screen()
        shown.keep_picture("phone-1-home")
        bar = page.get_by_role("navigation", name="Main, narrow")
        expect(bar.get_by_role("listitem")).to_have_count(5)
        bar.get_by_role("link", name="Leads").click()
        row = page.get_by_role("link", name="Katherine Johnson", exact=True)
        expect(row).to_be_visible()
        assert not shown.is_wider_than_its_screen()
        shown.keep_picture("phone-2-leads")

        row.click()
        accept = page.locator("#open-lead").get_by_role("button", name="Accept")
        expect(accept).to_be_visible()
        expect(page.locator("#lead-list")).not_to_be_in_viewport()
        box = accept.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert not shown.is_wider_than_its_screen()
        shown.keep_picture("phone-3-lead")
        accept.click()
        expect(accept).to_have_count(0)
        page.go_back()
        page.get_by_role("link", name="Back to the list").or_(row).first.click()
        expect(page.locator("#lead-list")).to_be_in_viewport()


def test_without_script_lists_forms_and_sign_in_work(product: Product, form: Form, windows: Windows) -> None:
    form.send({"name": "Hedy Lamarr", "email": "hedy@hopping.example", "message": "Frequencies"})
    wait_for_leads(product, "Hedy Lamarr")
    with windows.anonymous(javascript=False) as shown:
        page = shown.page
        shown.sign_in(*product.sign_in())
        shown.turn_to("Leads")
        page.get_by_role("navigation", name="Views").get_by_role("link", name="Unaccepted").click()
        page.wait_for_url("**/leads?view=waiting")
        page.get_by_role("searchbox", name="Search leads").fill("lamarr")
        page.keyboard.press("Enter")
        expect(page.locator("#lead-list tbody tr")).to_have_count(1)
        page.get_by_role("link", name="Hedy Lamarr", exact=True).click()
        expect(page.locator("#lead-title")).to_have_text("Hedy Lamarr")
        shown.keep_picture("no-script-1-lead")
        page.locator("#open-lead").get_by_role("button", name="Accept").click()
        expect(page.locator("#flash")).to_contain_text("Accepted. It is yours.")
        shown.keep_picture("no-script-2-accepted")
        shown.turn_to("People")
        page.get_by_role("searchbox", name="Search people").fill("lamarr")
        page.keyboard.press("Enter")
        expect(page.locator("#contact-list tbody tr")).to_have_count(1)
