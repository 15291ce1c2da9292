import re
from pathlib import Path

import pytest

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.migration_files import discover


def write(directory: Path, name: str, up: str = "SELECT 1;", down: str | None = "SELECT 1;") -> None:
    (directory / f"{name}.up.sql").write_text(up)
    if down is not None:
        (directory / f"{name}.down.sql").write_text(down)


def test_pairs_are_found_oldest_first(tmp_path: Path) -> None:
    write(tmp_path, "0002_people")
    write(tmp_path, "0001_kernel")
    (tmp_path / "schema.sql").write_text("")
    assert [migration.label for migration in discover(tmp_path)] == ["0001_kernel", "0002_people"]


def test_the_checksum_is_of_the_up_half(tmp_path: Path) -> None:
    write(tmp_path, "0001_kernel", up="", down="SELECT 2;")
    assert discover(tmp_path)[0].checksum == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_plain_file_gets_a_transaction_and_short_timeouts(tmp_path: Path) -> None:
    write(tmp_path, "0001_kernel", up="-- What it is for.\nSELECT 1;\nSELECT 2;\n")
    up = discover(tmp_path)[0].up
    assert (up.in_transaction, up.lock_timeout, up.statement_timeout, up.extension) == (True, "5s", "1min", None)
    assert up.statements == ["-- What it is for.\nSELECT 1;\nSELECT 2;\n"]


def test_headers_override(tmp_path: Path) -> None:
    text = (
        "-- no-transaction\n-- lock-timeout: 0\n-- Why: large.\n-- statement-timeout: 30min\n"
        "-- requires-extension: pg_trgm\nSELECT 1;\n\nSELECT\n  2;\n-- The end.\n"
    )
    write(tmp_path, "0001_kernel", up=text)
    up = discover(tmp_path)[0].up
    assert (up.in_transaction, up.lock_timeout, up.statement_timeout) == (False, "0", "30min")
    assert up.extension == "pg_trgm"
    assert [statement.splitlines()[-1] for statement in up.statements] == ["SELECT 1;", "  2;"]


@pytest.mark.parametrize(
    ("name", "up", "down", "sentence"),
    [
        ("0003_gap", "", "", "Number 0002 is missing: numbers run from 0001 without a gap."),
        ("0001_twin", "", "", "Number 0001 is used by kernel and twin: give one the next number."),
        ("0002_a", "", None, "0002_a.down.sql is missing: every migration has an up and a down half."),
        ("2_short", "", "", "2_short.up.sql is not named like 0001_name.up.sql or 0001_name.down.sql."),
        ("0002_Upper", "", "", "0002_Upper.up.sql is not named like 0001_name.up.sql or 0001_name.down.sql."),
        (
            "0002_a",
            "-- lock-timeout: soon\n",
            "",
            "0002_a.up.sql has the header `lock-timeout: soon`, which is not a value for it.",
        ),
        (
            "0002_a",
            "SELECT 1;\ncommit;\n",
            "",
            "0002_a.up.sql opens or ends a transaction: the runner wraps the file in one.",
        ),
        (
            "0002_a",
            "-- no-transaction\nDO $$ x $$;\n",
            "",
            "0002_a.up.sql quotes with $$, which a no-transaction file may not: it is cut at semicolons.",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_sentence(
    tmp_path: Path, name: str, up: str, down: str | None, sentence: str
) -> None:
    write(tmp_path, "0001_kernel")
    write(tmp_path, name, up, down)
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        discover(tmp_path)


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "0002_a", down=None)
    write(tmp_path, "nonsense")
    with pytest.raises(ConfigurationError) as caught:
        discover(tmp_path)
    assert sorted(problem.field for problem in caught.value.problems) == [
        "",
        "0002_a.down.sql",
        "nonsense.down.sql",
        "nonsense.up.sql",
    ]


def test_a_plpgsql_body_is_no_transaction_of_its_own(tmp_path: Path) -> None:
    text = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  PERFORM 1;\nEND\n$$;\n"
    write(tmp_path, "0001_kernel", up=text)
    assert discover(tmp_path)[0].up.text == text
