"""Every page, in light, dark and on a phone: nothing fails, nothing overflows, and everybody can use it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Form
from tests.journeys.places import find_places
from tests.journeys.windows import DESK, PHONE, Look, Window, Windows
from tests.processes import MailServer, Product, eventually

pytestmark = pytest.mark.journey

# axe-core 4.14.1 by Deque Systems, under the Mozilla Public License 2.0, unchanged.
AXE = Path(__file__).parent / "axe.min.js"
# Dark and narrow pages have the same elements as light and wide ones: only what can differ is asked again.
RULES: dict[str, list[str] | None] = {
    "light": None,
    "dark": ["color-contrast", "link-in-text-block"],
    "phone": ["target-size", "scrollable-region-focusable"],
}
GRAVE = {"serious", "critical"}
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff " * 2 + "der Jüngere"

FLOW = """\
flow: gallery
title: Gallery
subject: lead
starts:
  - on: lead.created
    where: lead.source == 'Landing page'
stops:
  - on: message.replied
steps:
  - send: request_received
    purpose: transactional
  - if: lead.value > 100000
    then:
      - notify: owner
        text: A large one.
    else:
      - wait: 1d
  - wait: 2d
"""


@pytest.fixture(scope="module")
def places(
    product: Product, mail: MailServer, form: Form, windows: Windows, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The addresses of all pages, after something happened that they can show."""
    flow = tmp_path_factory.mktemp("flows") / "gallery.yaml"
    flow.write_text(FLOW)
    product.command("flow", "apply", str(flow), "--activate")
    form.send(
        {"name": LONG_NAME, "email": "long@name.example", "company": "A company with a name that is long as well"},
        {
            "name": "山田 太郎",
            "email": "taro@yamada.example",
            "message": "見積もりをお願いします",
            "phone": "+81312345678",
        },
        {"name": "ليلى حداد", "email": "layla@haddad.example", "message": "أود معرفة الأسعار"},
        *({"name": f"Person {n}", "email": f"person{n}@many.example", "message": "Hello"} for n in range(60)),
    )
    mail.wait_for("person59@many.example")
    with windows.signed_in() as shown:
        contact = _path_of(product, "person59@many.example")
        shown.open(f"/inbox/of-contact/{contact}")
        shown.page.get_by_label("Subject").fill("Hello back")
        shown.page.get_by_role("textbox", name="Your answer").fill("Good to meet you.")
        shown.page.get_by_role("button", name="Send", exact=True).click()
        mail.wait_for("person59@many.example", after=1)
        found = find_places(shown)
    yield found
    product.command("flow", "pause", "gallery")


def _path_of(product: Product, email: str) -> str:
    def look() -> str | None:
        found = [contact["id"] for contact in product.json_command("contact", "list") if contact["email"] == email]
        return found[0] if found else None

    return eventually(look, what=f"the contact {email}")


@pytest.fixture(params=["light", "dark", "phone"])
def shown(request: pytest.FixtureRequest, windows: Windows) -> Iterator[tuple[str, Window]]:
    look: Look = "dark" if request.param == "dark" else "light"
    with windows.signed_in(look=look, size=PHONE if request.param == "phone" else DESK) as window:
        yield request.param, window


def find_grave_violations(window: Window, rules: list[str] | None) -> list[str]:
    """What axe finds that would keep somebody from using the page: rule, and where."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    window.page.evaluate(AXE.read_text())
    found: dict[str, Any] = window.page.evaluate("options => axe.run(options)", options)
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:120]} and {len(violation['nodes']) - 1} more"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
    ]


def test_every_page_works_for_everybody(places: dict[str, str], shown: tuple[str, Window]) -> None:
    look, window = shown
    wrong = {}
    for name, path in places.items():
        window.open(path)
        window.page.wait_for_load_state("load")
        window.keep_picture(f"page-{name}-{look}")
        found = find_grave_violations(window, RULES[look])
        if window.is_wider_than_its_screen():
            found.append("wider than the screen")
        if found:
            wrong[name] = found
    assert wrong == {}
