"""What a start on a Postgres of one's own refuses, in one sentence each, and the way up and down of its schema."""

import os
import subprocess
from pathlib import Path

import pytest

from switchboard.kernel.migration_files import DIRECTORY
from tests.external.own_postgres import APPLICATION, OWNER, OwnPostgres, count_rows
from tests.processes import PROGRAM, free_port, free_ports

pytestmark = pytest.mark.journey

OURS = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('app')"


def run(home: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """A command with these settings and no others; one that waits for something has not been refused."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMTP_", "DATABASE_"))}
    environment = {**kept, "SWITCHBOARD_HOME": str(home), **free_ports(), **settings}
    return subprocess.run([*PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=30, check=False)


def refusal(home: Path, *words: str, **settings: str) -> str:
    """The one sentence on standard error of a command that ends with 2."""
    done = run(home, *words, **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_the_schema_goes_up_and_down_and_up_by_the_role_that_owns_it(
    contrib_postgres: OwnPostgres, tmp_path: Path
) -> None:
    url = contrib_postgres.url(contrib_postgres.new_database(), OWNER)
    sentence = "Run `switchboard migrate up`, then start again."
    pending = sorted(path.name.removesuffix(".up.sql") for path in DIRECTORY.glob("*.up.sql"))[8:]
    assert refusal(tmp_path, "serve", DATABASE_URL=url).endswith(sentence)
    assert run(tmp_path, "migrate", "up", DATABASE_URL=url).stdout == "The database is up to date.\n"
    assert run(tmp_path, "migrate", "down", "--to", "8", DATABASE_URL=url).returncode == 0
    behind = f"{len(pending)} pending ({', '.join(pending)})"
    for words in (["serve"], ["work"], ["lead", "list"]):
        assert refusal(tmp_path, *words, DATABASE_URL=url) == (
            f"The database is behind this version of Switchboard: {behind}. {sentence}"
        )
    assert run(tmp_path, "migrate", "down", "--to", "0", DATABASE_URL=url).returncode == 0
    assert count_rows(url, OURS) == 0
    assert run(tmp_path, "migrate", "up", DATABASE_URL=url).returncode == 0
    status = run(tmp_path, "migrate", "status", DATABASE_URL=url).stdout
    assert [line.split(":")[1].split()[0] for line in status.splitlines()] == ["applied"] * (8 + len(pending))


def test_a_superuser_is_refused_before_anything_is_made(contrib_postgres: OwnPostgres, tmp_path: Path) -> None:
    url = contrib_postgres.url(contrib_postgres.new_database(), "postgres")
    for words in (["up"], ["migrate", "up"]):
        assert "can bypass row-level security" in refusal(tmp_path, *words, DATABASE_URL=url)
    assert count_rows(url, OURS) == 0


def test_a_role_that_may_make_no_schema_is_told_which_setting_names_another(
    contrib_postgres: OwnPostgres, tmp_path: Path
) -> None:
    url = contrib_postgres.url(contrib_postgres.new_database(), APPLICATION)
    said = refusal(tmp_path, "up", DATABASE_URL=url)
    assert "permission denied for database" in said
    assert "DATABASE_OWNER_URL" in said


def test_an_application_role_that_was_never_let_in_is_told_how(contrib_postgres: OwnPostgres, tmp_path: Path) -> None:
    name = contrib_postgres.new_database()
    assert run(tmp_path, "migrate", "up", DATABASE_URL=contrib_postgres.url(name, OWNER)).returncode == 0
    application = contrib_postgres.url(name, APPLICATION)
    assert "with the owner's role in DATABASE_OWNER_URL" in refusal(tmp_path, "serve", DATABASE_URL=application)
    both = {"DATABASE_URL": application, "DATABASE_OWNER_URL": contrib_postgres.url(name, OWNER)}
    assert run(tmp_path, "migrate", "up", **both).returncode == 0
    assert (
        "There is no workspace yet. Make one with `switchboard workspace create"
        in run(tmp_path, "lead", "list", **both).stderr
    )


def test_a_wrong_password_is_said_without_any_password(contrib_postgres: OwnPostgres, tmp_path: Path) -> None:
    url = contrib_postgres.url(contrib_postgres.new_database(), OWNER).replace("secret", "guess")
    said = refusal(tmp_path, "work", DATABASE_URL=url)
    assert "password authentication failed" in said
    assert "guess" not in said


def test_queues_that_do_not_exist_are_named_with_those_that_do(contrib_postgres: OwnPostgres, tmp_path: Path) -> None:
    url = contrib_postgres.url(contrib_postgres.new_database(), OWNER)
    assert run(tmp_path, "migrate", "up", DATABASE_URL=url).returncode == 0
    expected = (
        "expected some of campaign-steps, jobs, outbox, outbox-reaper, outbox-urgent, segments, signals, smtp-in, "
        "steps, waiting"
    )
    assert refusal(tmp_path, "work", "--queues", "signals,stepz,mail", DATABASE_URL=url).splitlines() == [
        "There is no such queue.",
        f"  stepz: {expected}",
        f"  mail: {expected}",
    ]


def test_a_home_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(tmp_path / "file", "up")
    assert said == f"The folder {tmp_path}/file cannot be made: File exists. Set SWITCHBOARD_HOME to another folder."


def test_a_certificate_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    files = {"SMTP_IN_CERTIFICATE": str(tmp_path / "chain.pem"), "SMTP_IN_KEY": str(tmp_path / "key.pem")}
    said = refusal(tmp_path, "up", SMTP_IN_PORT=str(free_port()), **files)
    assert "SMTP_IN_CERTIFICATE: the certificate and its key cannot be used: No such file or directory" in said
