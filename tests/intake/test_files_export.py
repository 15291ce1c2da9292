import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.files import open_table
from switchboard.intake.files_export import RejectedRow, write_errors_csv
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


def test_error_file_can_be_read_mended_and_imported_again(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    rejected = [
        RejectedRow(3, {"Name": "=cmd|x", "Email": "nope"}, ["No e-mail address.", "Too long."]),
        RejectedRow(7, {"Email": "+49 30 123456"}, ["Why."]),
    ]
    assert write_errors_csv(path, ["Name", "Email"], rejected) == 2
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["Row", "Problem", "Name", "Email"],
            ["3", "No e-mail address. Too long.", "'=cmd|x", "nope"],
            ["7", "Why.", "", "+49 30 123456"],
        ]
    with open_table(path) as table:
        assert table.encoding == "utf-8-sig"
        assert table.count_rows() == 2


def test_empty_error_file_has_its_header(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    assert write_errors_csv(path, ["=A"], []) == 0
    assert path.read_text(encoding="utf-8-sig").strip() == "Row,Problem,'=A"
