import csv
from pathlib import Path

from switchboard.intake.files import open_table
from switchboard.intake.files_export import RejectedRow, write_errors_csv


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
