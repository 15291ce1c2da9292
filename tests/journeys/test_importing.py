"""A file of people becomes leads: uploaded, corrected, seen, imported, and what was wrong handed back."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.windows import Windows
from tests.processes import Product

pytestmark = pytest.mark.journey

FILE = """\
Vorname;Nachname;E-Mail;Betrieb;Farbe
Zoë;Müller;zoe@mueller.example;Müller & Söhne;rot
Igor;Ilves;not an address;Ilves;blau
Fay;Formula;fay@formula.example;"=HYPERLINK(""http://evil.example"")";gelb
Zoë;Müller;ZOE@mueller.example;Müller & Söhne;rot
"""


def test_a_file_is_corrected_seen_and_imported(product: Product, windows: Windows, tmp_path: Path) -> None:
    file = tmp_path / "messe.csv"
    file.write_bytes(FILE.encode("cp1252"))
    with windows.signed_in() as shown:
        page = shown.page
        shown.open("/imports")
        page.get_by_label("CSV or XLSX").set_input_files(file)
        page.get_by_role("button", name="Upload and look").click()

        # Encoding, delimiter and columns were found; one guess is corrected, and the preview follows.
        preview = page.locator("#import table")
        expect(preview).to_contain_text("Zoë Müller")
        expect(preview.locator("tbody tr")).to_have_count(4)
        expect(page.locator("#import")).to_contain_text("separated by semicolons")
        expect(page.locator("#row-3")).to_contain_text("`not an address` is not an e-mail address")
        shown.keep_picture("import-1-columns")
        page.get_by_label("Betrieb").select_option("company")
        expect(page.locator("#row-2")).to_contain_text("Müller & Söhne")
        shown.keep_picture("import-2-preview")

        page.get_by_role("button", name="Import 4 rows").click()
        expect(page.get_by_role("heading", name="Done")).to_be_visible()
        shown.keep_picture("import-3-report")
        with page.expect_download() as download:
            page.get_by_role("link", name="All with reasons, as CSV").click()
        errors = download.value.path().read_text(encoding="utf-8-sig").splitlines()
        assert len(errors) == 2
        assert errors[1].startswith("3")

        # A cell that a spreadsheet would run leaves as text.
        shown.open("/contacts")
        with page.expect_download() as download:
            page.get_by_role("link", name=re.compile("Export .* as CSV")).click()
        exported = download.value.path().read_text(encoding="utf-8-sig")
        assert "'=HYPERLINK(" in exported
        assert "zoe@mueller.example" in exported
    names = [lead["name"] for lead in product.json_command("lead", "list")]
    assert sorted(name for name in names if name in {"Zoë Müller", "Fay Formula"}) == ["Fay Formula", "Zoë Müller"]
