import csv
import io
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.files import Row, open_table
from switchboard.intake.files_csv import find_delimiter, find_encoding
from switchboard.intake.files_limits import Cell, FileLimits
from switchboard.kernel.errors import (
    Problem,
    SwitchboardError,
    TooLargeError,
    UnreadableError,
    UnsupportedMediaError,
)

HEADER = "Name,E-Mail,Phone\n"


def _write(folder: Path, content: bytes | str, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _workbook(folder: Path, rows: dict[str, object]) -> Path:
    book = openpyxl.Workbook()
    for place, value in rows.items():
        book.active[place] = value
    path = folder / "leads.xlsx"
    book.save(path)
    return path


def _rows(path: Path, limits: FileLimits | None = None) -> list[Row]:
    with open_table(path, limits=limits or FileLimits()) as table:
        return list(table.rows())


def test_csv_rows_have_the_numbers_of_the_sheet(tmp_path: Path) -> None:
    path = _write(tmp_path, HEADER + 'Ada,ada@example.com,\n\n"Grace\nHopper",grace@example.com,+1 555\n,,\nEnd,,\n')
    with open_table(path) as table:
        assert (table.headers, table.header_row) == (("Name", "E-Mail", "Phone"), 1)
        assert (table.encoding, table.delimiter) == ("utf-8", ",")
        assert list(table.rows()) == [
            Row(2, {"Name": "Ada", "E-Mail": "ada@example.com"}),
            Row(4, {"Name": "Grace\nHopper", "E-Mail": "grace@example.com", "Phone": "+1 555"}),
            Row(6, {"Name": "End"}),
        ]
        assert table.count_rows() == 3


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Zoë;Łódź;Осло;東京"),
        ("utf-8-sig", "Zoë;Łódź;Осло;東京"),
        ("utf-16", "Zoë;Łódź;Осло;東京"),
        ("utf-16-le", "Name;Zoë;Paris;Berlin"),
        ("utf-16-be", "Name;Zoë;Paris;Berlin"),
        ("cp1252", "François;Müller;Peña;“São Paulo” – €5"),
        ("cp1250", "Jiří Dvořák;Łukasz;Łódź;Żółć"),
        ("cp1251", "Иван Петров;Санкт-Петербург;Москва;Анна Каренина"),
        ("shift_jis", "山田太郎;株式会社テスト;佐藤花子;東京商事"),
        ("gb18030", "张伟先生;北京科技有限公司;王芳女士;上海贸易公司"),
    ],
)
def test_encodings_are_found(tmp_path: Path, encoding: str, text: str) -> None:
    path = _write(tmp_path, f"A;B;C;D\n{text}\n{text}\n".encode(encoding))
    assert [list(row.cells.values()) for row in _rows(path)] == [text.split(";")] * 2


def test_a_letter_late_in_the_file_counts(tmp_path: Path) -> None:
    path = _write(tmp_path, HEADER.encode() + b"Ada,ada@example.com,1\n" * 20_000 + "Zoë,,\n".encode("cp1252"))
    assert find_encoding(path) == "cp1252"
    assert _rows(path)[-1].cells == {"Name": "Zoë"}


def test_encoding_and_delimiter_can_be_told(tmp_path: Path) -> None:
    path = _write(tmp_path, "A,x;B\n1,2;3\n".encode("cp1251"))
    with open_table(path, encoding="cp1251", delimiter=";") as table:
        assert table.headers == ("A,x", "B")
    with pytest.raises(UnreadableError, match="klingon"), open_table(path, encoding="klingon"):
        pass
    for wrong in ("::", '"', "\n"):
        with pytest.raises(UnreadableError, match="one character"), open_table(path, delimiter=wrong):
            pass


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n3,5;4\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('a,b\n"x;y;z",2\n"p;q;r",3\n', ","),
        ("email\nada@example.com\n", ","),
        ("", ","),
    ],
)
def test_delimiters_are_found(text: str, delimiter: str) -> None:
    assert find_delimiter(text) == delimiter


def test_excels_separator_line_is_no_row(tmp_path: Path) -> None:
    with open_table(_write(tmp_path, "sep=;\r\nA;B\r\n1;2\r\n")) as table:
        assert (table.headers, table.header_row, list(table.rows())) == (("A", "B"), 1, [Row(2, {"A": "1", "B": "2"})])


def test_titles_above_the_header_are_passed_over(tmp_path: Path) -> None:
    path = _write(tmp_path, "Leads of March\n\nName,Email,City\nAda,ada@example.com,London\n")
    with open_table(path) as table:
        assert (table.headers, table.header_row) == (("Name", "Email", "City"), 3)
        assert [row.number for row in table.rows()] == [4]


def test_headers_are_told_apart(tmp_path: Path) -> None:
    with open_table(_write(tmp_path, " Email ,,Email,Tag,Column 2,\n1,2,3,4,5,\n")) as table:
        assert table.headers == ("Email", "Column 2", "Email 2", "Tag", "Column 2 2")


def test_a_file_without_a_header(tmp_path: Path) -> None:
    with open_table(_write(tmp_path, "Ada,ada@example.com\nGrace,grace@example.com\n")) as table:
        assert (table.headers, table.header_row) == (("Column 1", "Column 2"), None)
        assert [row.number for row in table.rows()] == [1, 2]


def test_a_row_that_does_not_fit_says_so(tmp_path: Path) -> None:
    path = _write(tmp_path, "A,B\n1,2,3\n1,2,\n" + "x" * 50 + ",2\n")
    wide, fitting, long = _rows(path, FileLimits(cell_characters=40))
    assert wide.problems == (Problem("rows.2", "Has 3 cells under 2 headers; look for a missing quote or delimiter."),)
    assert fitting.problems == ()
    assert long.problems == (Problem("rows.4.A", "Has 50 characters; the limit is 40."),)
    assert long.cells["A"] == "x" * 40


@pytest.mark.parametrize("content", [b"", b"\n\n,,\n", b"\0\0\0\1" * 50, bytes(range(256)) * 40])
def test_what_is_no_table_is_unreadable(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableError):
        _rows(_write(tmp_path, content))


def test_an_open_quote_is_named_by_its_row(tmp_path: Path) -> None:
    path = _write(tmp_path, "A,B\n1,2\n" + '"x,' + "y\n" * 200_000)
    with pytest.raises(UnreadableError, match="Row 3") as caught:
        _rows(path)
    assert caught.value.problems[0].field == "rows.3"


def test_limits(tmp_path: Path) -> None:
    path = _write(tmp_path, "A,B,C\n1,2,3\n1,2,3\n1,2,3\n")
    with pytest.raises(TooLargeError) as rows:
        _rows(path, FileLimits(rows=2))
    assert rows.value.data == {"limit_rows": 2}
    with pytest.raises(TooLargeError) as columns:
        _rows(path, FileLimits(columns=2))
    assert columns.value.data == {"limit_columns": 2}
    with pytest.raises(TooLargeError) as size:
        _rows(path, FileLimits(file_bytes=5))
    assert size.value.data == {"limit_bytes": 5}


def test_workbook(tmp_path: Path) -> None:
    cells: dict[str, object] = {
        "B3": "Name",
        "C3": "Phone",
        "D3": "Since",
        "E3": "VIP",
        "B5": " Ada ",
        "C5": 491701234567,
        "D5": date(2026, 1, 2),
        "E5": True,
        "B6": "Grace",
        "C6": 1.5,
        "D6": datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001 - a sheet's times have no zone.
    }
    with open_table(_workbook(tmp_path, cells)) as table:
        assert (table.headers, table.header_row) == (("Name", "Phone", "Since", "VIP"), 3)
        assert (table.encoding, table.delimiter) == (None, None)
        expected: list[dict[str, Cell]] = [
            {"Name": "Ada", "Phone": 491701234567, "Since": "2026-01-02", "VIP": True},
            {"Name": "Grace", "Phone": 1.5, "Since": "2026-01-02T03:04:00"},
        ]
        assert list(table.rows()) == [Row(5, expected[0]), Row(6, expected[1])]
        assert table.count_rows() == 2


def test_the_first_visible_sheet_with_rows_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.sheet_state = "hidden"
    book.active["A1"] = "Secret"
    book.create_sheet("Empty")
    book.create_sheet("Leads")["A1"] = "Email"
    book.save(tmp_path / "leads.xlsx")
    with open_table(tmp_path / "leads.xlsx") as table:
        assert table.headers == ("Email",)


def test_one_cell_in_the_far_corner_does_not_reserve_a_sheet(tmp_path: Path) -> None:
    path = _workbook(tmp_path, {"A1": "Email", "XFD1048576": "x"})
    with pytest.raises(TooLargeError) as caught:
        _rows(path)
    assert caught.value.data == {"limit_cells": 20_000_000}


def test_a_bomb_is_measured_and_its_own_word_is_not_taken(tmp_path: Path) -> None:
    path = _workbook(tmp_path, {"A1": "Email"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/bomb.xml", b"\0" * (5 << 20))
    with pytest.raises(TooLargeError) as caught:
        _rows(path, FileLimits(unpacked_bytes=1 << 20))
    assert caught.value.data == {"limit_bytes": 1 << 20}
    lying = path.read_bytes().replace((5 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(TooLargeError):
        _rows(_write(tmp_path, lying, "lying.xlsx"), FileLimits(unpacked_bytes=1 << 20))


def test_a_shared_text_counts_as_often_as_it_is_used(tmp_path: Path) -> None:
    cells: dict[str, object] = {f"A{row}": "x" * 30_000 for row in range(2, 102)}
    path = _workbook(tmp_path, {"A1": "Email"} | cells)
    assert path.stat().st_size < 50_000
    assert len(_rows(path, FileLimits(unpacked_bytes=4_000_000))) == 100
    with pytest.raises(TooLargeError) as caught:
        _rows(path, FileLimits(unpacked_bytes=2_900_000))
    assert caught.value.data == {"limit_bytes": 2_900_000}


def test_other_office_files_are_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaError, match=r"save it as \.xlsx"):
        _rows(_write(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old.xls"))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("content.xml", "<x/>")
    with pytest.raises(UnsupportedMediaError, match=r"no \.xlsx"):
        _rows(_write(tmp_path, other.getvalue(), "sheet.ods"))


def test_damaged_workbooks_are_unreadable(tmp_path: Path) -> None:
    whole = _workbook(tmp_path, {"A1": "Email", "A2": "ada@example.com"}).read_bytes()
    for cut in (10, 200, len(whole) // 2, len(whole) - 10):
        with pytest.raises(UnreadableError):
            _rows(_write(tmp_path, whole[:cut], "cut.xlsx"))
    for place in range(0, len(whole), 97):
        broken = whole[:place] + b"\xff\x00\xff" + whole[place + 3 :]
        try:
            _rows(_write(tmp_path, broken, "broken.xlsx"))
        except SwitchboardError as error:
            message = error.message
            assert message


# Many control characters make a file that is refused as no text; see the tests above.
CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t", exclude_characters="\ufeff\ufffd"),
    max_size=12,
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "leads.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["First", "Second", "Third"], *rows])
    with open_table(path, delimiter=",") as table:
        read = [[row.cells.get(header, "") for header in table.headers] for row in table.rows()]
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert read == [row for row in stripped if any(row)]
