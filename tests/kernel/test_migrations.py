import re
import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from switchboard.kernel import migrations
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.migration_files import DIRECTORY, discover
from switchboard.kernel.migration_ledger import read_ledger
from switchboard.kernel.migrations import Step, connect, migrate_down, migrate_up, require_current, status
from switchboard.kernel.schema_text import dump_schema
from tests.kernel.scratch_postgres import ScratchPostgres
from tests.kernel.test_migration_files import write

SOON = timedelta(milliseconds=300)


@pytest.fixture
def url(postgres: ScratchPostgres) -> str:
    return postgres.new_database()


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two migrations: a table each."""
    write(tmp_path, "0001_one", "CREATE TABLE one (id int PRIMARY KEY);", "DROP TABLE one;")
    write(tmp_path, "0002_two", "CREATE TABLE two (id int PRIMARY KEY);", "DROP TABLE two;")
    return tmp_path


def done(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.migration.label, step.outcome) for step in steps]


def schema(url: str) -> str:
    with connect(url) as conn:
        return dump_schema(conn)


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def applied(url: str) -> list[str]:
    with connect(url) as conn:
        return [row.label for row in read_ledger(conn) if row.skipped_for is None]


def test_up_applies_what_is_pending_and_then_nothing(url: str, two: Path) -> None:
    assert done(migrate_up(url, 1, directory=two)) == [("0001_one", "applied")]
    assert done(migrate_up(url, directory=two)) == [("0002_two", "applied")]
    assert done(migrate_up(url, directory=two)) == []
    assert applied(url) == ["0001_one", "0002_two"]


def test_down_undoes_newest_first_and_takes_the_ledger_with_it(url: str, two: Path) -> None:
    migrate_up(url, directory=two)
    assert done(migrate_down(url, 0, directory=two)) == [("0002_two", "undone"), ("0001_one", "undone")]
    assert ask(url, "SELECT count(*) FROM pg_class WHERE relname IN ('one', 'two', 'schema_migration')") == 0


def test_a_target_that_does_not_exist_is_refused(url: str, two: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no migration 0009: this version knows 0001 to 0002\."):
        migrate_up(url, 9, directory=two)
    assert applied(url) == []


def test_the_shipped_migrations_go_up_down_and_up_to_the_same_schema(url: str) -> None:
    migrate_up(url)
    first = schema(url)
    assert len(migrate_down(url, 0)) == len(discover())
    assert "CREATE TABLE" not in schema(url)
    assert "CREATE OR REPLACE FUNCTION" not in schema(url)
    migrate_up(url)
    assert schema(url) == first


def test_each_shipped_migration_undoes_exactly_itself(embedded_18: ScratchPostgres) -> None:
    url = embedded_18.new_database()
    before = []
    for migration in discover():
        before.append(schema(url))
        migrate_up(url, migration.version)
    for migration in reversed(discover()):
        migrate_down(url, migration.version - 1)
        expected = before.pop()
        # The schema the tables stand in outlives the first migration.
        assert schema(url).replace("\nCREATE SCHEMA app;\n", "") == expected.replace("\nCREATE SCHEMA app;\n", "")


def test_the_committed_schema_is_what_the_migrations_build(embedded_18: ScratchPostgres) -> None:
    url = embedded_18.new_database().replace("user=owner", "user=root")
    migrate_up(url)
    assert schema(url) == (DIRECTORY / "schema.sql").read_text(), "run `python -m tools.schema`"


def test_both_versions_build_the_same(embedded_18: ScratchPostgres, debian_15: ScratchPostgres) -> None:
    texts = []
    for server in (embedded_18, debian_15):
        url = server.new_database()
        migrate_up(url, extensions=frozenset())
        texts.append(schema(url))
    assert texts[0] == texts[1]


def test_a_changed_file_is_refused_by_name(url: str, two: Path) -> None:
    migrate_up(url, 1, directory=two)
    write(two, "0001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;")
    sentence = (
        "Changed after it was applied to this database: 0001_one.up.sql. "
        "Put the file back as it was, and make the change in a new migration."
    )
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        migrate_up(url, directory=two)
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        migrate_down(url, 0, directory=two)
    with connect(url) as conn, pytest.raises(ConfigurationError, match=re.escape(sentence)):
        require_current(conn, two)
    assert applied(url) == ["0001_one"]


def test_two_runners_at_once_do_the_work_once(url: str, tmp_path: Path) -> None:
    write(tmp_path, "0001_slow", "SELECT pg_sleep(0.3); CREATE TABLE one ();", "DROP TABLE one;")
    write(tmp_path, "0002_two", "CREATE TABLE two ();", "DROP TABLE two;")
    steps: list[Step] = []
    runners = [threading.Thread(target=lambda: steps.extend(migrate_up(url, directory=tmp_path))) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(timeout=30)
    assert done(steps) == [("0001_slow", "applied"), ("0002_two", "applied")]


def test_a_runner_that_waited_long_enough_says_who_is_in_the_way(url: str, two: Path) -> None:
    with connect(url) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (migrations.LOCK_KEY,))
        sentence = (
            "Another migration has been running here for 0.3 s or longer "
            f"(server process {holder.info.backend_pid}). Wait until it ends, then try again."
        )
        with pytest.raises(ConfigurationError, match=re.escape(sentence)):
            migrate_up(url, directory=two, lock_wait=SOON)
    assert applied(url) == []


def test_a_failing_file_leaves_nothing_half_done(url: str, two: Path) -> None:
    write(two, "0002_two", "CREATE TABLE two ();\nCREATE TABLE one ();\n", "DROP TABLE two;")
    sentence = (
        '0002_two.up.sql failed: relation "one" already exists. '
        "Nothing of it was kept; mend the cause and run `switchboard migrate up` again."
    )
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        migrate_up(url, directory=two)
    assert applied(url) == ["0001_one"]
    assert ask(url, "SELECT to_regclass('two')::text") is None


def test_a_failing_way_back_leaves_nothing_half_done(url: str, two: Path) -> None:
    write(two, "0002_two", "CREATE TABLE two ();", "DROP TABLE two;\nDROP TABLE three;\n")
    migrate_up(url, directory=two)
    with pytest.raises(ConfigurationError, match=r'0002_two\.down\.sql failed: table "three" does not exist'):
        migrate_down(url, 0, directory=two)
    assert applied(url) == ["0001_one", "0002_two"]
    assert ask(url, "SELECT to_regclass('two')::text") == "two"


def test_an_error_names_the_line(url: str, tmp_path: Path) -> None:
    write(tmp_path, "0001_one", "SELECT 1;\n\nSELECT nothing\nFROM nowhere;\n")
    with pytest.raises(
        ConfigurationError, match=r'0001_one\.up\.sql, line 4 failed: relation "nowhere" does not exist'
    ):
        migrate_up(url, directory=tmp_path)


def test_a_file_without_a_transaction_commits_each_statement(url: str, two: Path) -> None:
    write(
        two,
        "0003_index",
        "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS one_id;\nCREATE INDEX CONCURRENTLY one_id ON one (id);\n"
        "SELECT 1 / 0;\n",
        "-- no-transaction\nDROP INDEX CONCURRENTLY one_id;\n",
    )
    with pytest.raises(
        ConfigurationError,
        match=r"0003_index\.up\.sql failed: division by zero\. Statements before the failing one were kept",
    ):
        migrate_up(url, directory=two)
    assert applied(url) == ["0001_one", "0002_two"]
    assert ask(url, "SELECT to_regclass('one_id')::text") == "one_id"
    write(two, "0003_index", (two / "0003_index.up.sql").read_text().replace("SELECT 1 / 0;\n", ""))
    assert done(migrate_up(url, directory=two)) == [("0003_index", "applied")]


def test_a_file_runs_under_its_timeouts(url: str, tmp_path: Path) -> None:
    capture = "CREATE TABLE {} AS SELECT current_setting('lock_timeout') || current_setting('statement_timeout');"
    write(tmp_path, "0001_plain", capture.format("plain"), "DROP TABLE plain;")
    write(tmp_path, "0002_own", f"-- lock-timeout: 7s\n-- statement-timeout: 0\n{capture.format('own')}")
    migrate_up(url, directory=tmp_path)
    assert ask(url, "SELECT * FROM plain") == "5s1min"
    assert ask(url, "SELECT * FROM own") == "7s0"


def test_a_table_somebody_holds_is_not_waited_for(url: str, two: Path) -> None:
    write(two, "0003_wait", "-- lock-timeout: 50ms\nALTER TABLE one ADD COLUMN x int;", "SELECT 1;")
    migrate_up(url, 2, directory=two)
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE one IN ACCESS SHARE MODE")
        with pytest.raises(
            ConfigurationError, match=r"0003_wait\.up\.sql failed: canceling statement due to lock timeout"
        ):
            migrate_up(url, directory=two)
    assert applied(url) == ["0001_one", "0002_two"]


def test_an_optional_migration_waits_for_its_extension(url: str, two: Path) -> None:
    write(
        two,
        "0003_typo",
        "-- requires-extension: pg_trgm\nCREATE TABLE typo AS SELECT similarity('a', 'a');",
        "DROP TABLE typo;",
    )
    write(two, "0004_last", "CREATE TABLE last ();", "DROP TABLE last;")
    steps = migrate_up(url, directory=two, extensions=frozenset())
    assert done(steps)[2:] == [("0003_typo", "skipped"), ("0004_last", "applied")]
    assert migrate_up(url, directory=two, extensions=frozenset()) == []
    with connect(url) as conn:
        found = require_current(conn, two)
        assert [migration.label for migration in found.skipped] == ["0003_typo"]
        assert [row.skipped_for for row in read_ledger(conn)] == [None, None, "pg_trgm", None]
    assert done(migrate_up(url, directory=two)) == [("0003_typo", "applied")]
    assert ask(url, "SELECT * FROM typo") == 1.0
    assert len(migrate_down(url, 0, directory=two)) == 4


def test_going_down_does_not_run_what_was_skipped(url: str, two: Path) -> None:
    write(two, "0003_typo", "-- requires-extension: no_such\nCREATE TABLE typo ();", "DROP TABLE typo;")
    migrate_up(url, directory=two)
    assert done(migrate_down(url, 2, directory=two)) == [("0003_typo", "undone")]
    assert applied(url) == ["0001_one", "0002_two"]


def test_extensions_only_a_superuser_can_make_count_once_they_are_made(embedded_18: ScratchPostgres) -> None:
    url = embedded_18.new_database()
    with connect(url) as conn:
        assert {"pg_trgm", "vector"} & migrations.available_extensions(conn) == {"pg_trgm"}
        with connect(url.replace("user=owner", "user=root")) as administrator:
            administrator.execute("CREATE EXTENSION vector")
        assert {"pg_trgm", "vector"} <= migrations.available_extensions(conn)


def test_old_code_serves_a_newer_schema_but_cannot_undo_it(url: str, two: Path, tmp_path: Path) -> None:
    migrate_up(url, directory=two)
    (two / "0002_two.up.sql").unlink()
    (two / "0002_two.down.sql").unlink()
    with connect(url) as conn:
        assert [row.label for row in require_current(conn, tmp_path).unknown] == ["0002_two"]
    assert migrate_up(url, directory=two) == []
    with pytest.raises(ConfigurationError, match=r"A newer version of Switchboard applied 0002_two"):
        migrate_down(url, 0, directory=two)
    assert ask(url, "SELECT to_regclass('two')::text") == "two"


def test_serving_refuses_pending_migrations(url: str, two: Path) -> None:
    migrate_up(url, 1, directory=two)
    with connect(url) as conn:
        assert [migration.label for migration in status(conn, two).pending] == ["0002_two"]
        with pytest.raises(
            ConfigurationError,
            match=r"1 pending \(0002_two\)\. Run `switchboard migrate up`, then start again\.",
        ):
            require_current(conn, two)


def test_an_old_server_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"The database runs PostgreSQL 14\.9, and Switchboard needs 15 or newer\."
    ):
        migrations.check_version(140009)
    migrations.check_version(150000)


def test_an_unreachable_server_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"The database at 127\.0\.0\.1:1/x cannot be reached") as caught:
        connect("postgresql://u:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in caught.value.message


def test_an_unreadable_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL cannot be read: write it like postgresql://"):
        connect("mysql://here")
