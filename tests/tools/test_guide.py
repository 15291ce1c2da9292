"""The pages of the guide that are made from the code are as the code has them today."""

import pytest

from tools import guide
from tools.guide_commands import helps
from tools.guide_routes import TOKEN, addresses
from tools.guide_text import first_sentence, table


@pytest.mark.parametrize("name", sorted(guide.PAGES))
def test_page_is_what_the_code_says(name: str) -> None:
    committed = (guide.GUIDE / name).read_text(encoding="utf-8")
    assert committed == guide.PAGES[name](), f"{name} is out of date: run `python -m tools.guide` and commit it"


def test_first_sentence_ends_at_its_full_stop() -> None:
    def documented() -> None:
        """Takes one thing
        and gives another. Raises nothing.

        More.
        """

    assert first_sentence(documented) == "Takes one thing and gives another."


def test_cells_cannot_end_early() -> None:
    assert table(["A"], [["x | y"]]) == "| A |\n| --- |\n| x \\| y |"


def test_commands_below_groups_are_found() -> None:
    found = helps()
    assert found["switchboard lead list"].startswith("Usage: switchboard lead list [OPTIONS]")


def test_addresses_say_who_may_call() -> None:
    who = {(address.path, address.methods): address.who for address in addresses()}
    assert who["/leads", "GET"] == "viewer"
    assert who["/in/{token}", "POST"] == TOKEN
    assert who["/health", "GET"] == "anyone"


def test_every_address_says_what_it_does() -> None:
    assert [address.path for address in addresses() if not address.meaning] == []
