"""Nothing that leaves as a cell is executed by a spreadsheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.spreadsheets import guard_formula


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        '=HYPERLINK("http://evil.example";"x")',
        "+SUM(A1)",
        "+1-555-0100",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1+1",
        "＝1+1",
        "-",
        "+",
        "+49 30 A1",
    ],
)
def test_what_could_be_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert guard_formula(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["+49 30 123456", "+4930123456", "-12.50", "-7", "+1,5", "a=b", "ada@example.com", "'x", "", "7"]
)
def test_numbers_telephone_numbers_and_words_stay_as_they_are(cell: str) -> None:
    assert guard_formula(cell) == cell


def test_other_values() -> None:
    assert [guard_formula(cell) for cell in (None, -3, -3.5, True)] == ["", "-3", "-3.5", "True"]


@given(st.text())
def test_nothing_guarded_starts_like_a_formula_unless_it_is_a_number(text: str) -> None:
    guarded = guard_formula(text)
    assert guarded.removeprefix("'") == text.removeprefix("'") or guarded == f"'{text}"
    if guarded.lstrip(" \u00a0").startswith(("=", "@", "\t", "\r", "\n")):
        raise AssertionError(guarded)
    if guarded.startswith(("+", "-")):
        assert set(guarded[1:]) <= set("0123456789 .,")
