from pathlib import Path

import pytest

from switchboard.intake.files import Row, open_table
from switchboard.intake.files_preview import guess_columns, parse_row, preview
from switchboard.intake.mapping import FieldMapping
from switchboard.kernel.errors import InvalidError, Problem

LEADS = (
    "Full Name,E-Mail Address,Mobile,Firm.Name,Budget\n"
    "Ada Lovelace,ada@example.com,+44 20 7946 0958,Engines,1.200\n"
    "Nobody,,,,\n"
    "Grace,grace at example,,,\n"
    "Wide,a@example.com,,,,extra\n"
)


def _write(folder: Path, text: str) -> Path:
    path = folder / "leads.csv"
    path.write_text(text)
    return path


def test_preview_shows_leads_and_problems_by_row(tmp_path: Path) -> None:
    with open_table(_write(tmp_path, LEADS)) as table:
        shown = preview(table)
    assert shown.mapping == {
        "name": "Full Name",
        "email": "E-Mail Address",
        "phone": "Mobile",
        "value": "Budget",
        "options": {"guess": False, "ignore": []},
    }
    ada, nobody, grace, wide = shown.rows
    assert ada.parsed is not None
    assert (ada.number, ada.parsed.email, ada.parsed.value_minor) == (2, "ada@example.com", 120_000)
    assert ada.parsed.fields == {"Firm.Name": "Engines"}
    assert (nobody.number, nobody.parsed) == (3, None)
    assert [problem.field for problem in nobody.problems] == ["rows.3.email"]
    assert grace.problems == (
        Problem("rows.4.email", "`grace at example` is not an e-mail address; send one like name@example.com."),
    )
    assert [problem.field for problem in wide.problems] == ["rows.5"]


def test_preview_with_a_corrected_mapping_and_a_limit(tmp_path: Path) -> None:
    mapping = {"email": "E-Mail Address", "company": "Firm.Name", "options": {"guess": False, "ignore": ["Budget"]}}
    with open_table(_write(tmp_path, LEADS)) as table:
        shown = preview(table, mapping, limit=1)
        [row] = shown.rows
        with pytest.raises(InvalidError):
            preview(table, {"e_mail": "x"})
    assert row.parsed is not None
    assert row.parsed.company == "Engines"
    assert row.parsed.fields == {"Full Name": "Ada Lovelace", "Mobile": "+44 20 7946 0958"}


def test_columns_are_guessed_by_what_they_hold() -> None:
    rows = [
        {"Column 1": "Ada", "Column 2": "ada@example.com", "Column 3": "+44 20 7946 0958"},
        {"Column 1": "Grace", "Column 2": "grace@example.com", "Column 3": "0171 1234567"},
    ]
    guessed = guess_columns(["Column 1", "Column 2", "Column 3"], rows)
    assert (guessed["email"], guessed["phone"]) == ("Column 2", "Column 3")


def test_a_column_named_email_that_holds_none_is_not_taken() -> None:
    rows = [{"Email": "yes", "Contact": "ada@example.com"}, {"Email": "no", "Contact": "g@example.com"}]
    assert guess_columns(["Email", "Contact"], rows)["email"] == "Contact"


def test_our_own_error_file_can_be_imported_again() -> None:
    guessed = guess_columns(["Row", "Problem", "Email"], [{"Row": "3", "Email": "a@example.com"}])
    assert guessed == {"email": "Email", "options": {"guess": False, "ignore": ["Row", "Problem"]}}


def test_a_number_from_a_sheet_is_a_phone_number() -> None:
    mapping = FieldMapping.from_json({"phone": "Phone"})
    assert parse_row(Row(2, {"Phone": 491701234567}), mapping).phone == "491701234567"
