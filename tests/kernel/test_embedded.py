import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from switchboard.kernel.disk import require_free_space
from switchboard.kernel.embedded import EmbeddedPostgres, Endpoint, find_running, open_test_server
from switchboard.kernel.embedded_account import Account, find_server_account
from switchboard.kernel.embedded_configuration import render_configuration
from switchboard.kernel.embedded_layout import Layout, find_layout
from switchboard.kernel.errors import ConfigurationError

LIMIT_SECONDS = 20.0

STARTER = """
import signal, sys
from pathlib import Path
from switchboard.kernel.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("ready", flush=True)
signal.pause()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends Postgres an account")
as_plain_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder that is short enough for a socket and that an account lent by root can be let into."""
    folder = Path(tempfile.mkdtemp(prefix="switchboard-test-"))
    yield folder
    shutil.rmtree(folder)


def answer(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def command(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def setting(endpoint: Endpoint, name: str) -> object:
    return answer(endpoint.superuser_url, f"SHOW {name}")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def test_first_start_makes_the_database_and_its_roles(home: Path) -> None:
    with EmbeddedPostgres(home) as endpoint:
        assert answer(endpoint.owner_url, "SELECT current_user::text") == "switchboard_owner"
        assert answer(endpoint.application_url, "SELECT current_user::text") == "switchboard_app"
        assert answer(endpoint.application_url, "SELECT current_database()::text") == "switchboard"
        with psycopg.connect(endpoint.superuser_url) as connection:
            roles = connection.execute(
                "SELECT rolname::text, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole"
                " FROM pg_roles WHERE rolname LIKE 'switchboard%' ORDER BY 1",
            ).fetchall()
            extensions = connection.execute("SELECT extname::text FROM pg_extension ORDER BY 1").fetchall()
    assert roles == [
        ("switchboard_app", True, False, False, False, False),
        ("switchboard_owner", True, False, False, False, False),
    ]
    assert extensions == [("pg_trgm",), ("plpgsql",), ("vector",)]


def test_the_owner_makes_tables_and_the_application_does_not(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False) as endpoint:
        command(endpoint.owner_url, "CREATE TABLE mine (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            command(endpoint.application_url, "CREATE TABLE mine_too (id int)")


def test_a_real_server_keeps_its_promises_and_a_test_server_does_not(home: Path) -> None:
    promises = ("fsync", "synchronous_commit", "full_page_writes")
    with EmbeddedPostgres(home) as endpoint:
        assert [setting(endpoint, name) for name in promises] == ["on", "on", "on"]
        assert setting(endpoint, "listen_addresses") == ""
        assert setting(endpoint, "max_connections") == "60"
    with open_test_server() as endpoint:
        assert [setting(endpoint, name) for name in promises] == ["off", "off", "off"]
        folder = Path(str(setting(endpoint, "data_directory")))
    assert not folder.exists()


def test_only_its_account_reaches_the_socket(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        assert find_layout(home).sockets.stat().st_mode & 0o777 == 0o700
        assert find_layout(home).data.stat().st_mode & 0o777 == 0o700


def test_data_and_altered_settings_survive_a_stop(home: Path) -> None:
    with EmbeddedPostgres(home) as endpoint:
        command(endpoint.owner_url, "CREATE TABLE kept AS SELECT 7 AS value")
        command(endpoint.superuser_url, "ALTER SYSTEM SET work_mem = '9MB'")
    with EmbeddedPostgres(home) as endpoint:
        assert answer(endpoint.owner_url, "SELECT value FROM kept") == 7
        assert setting(endpoint, "work_mem") == "9MB"


def test_a_running_server_is_found_by_its_folder(home: Path) -> None:
    assert find_running(home) is None
    with EmbeddedPostgres(home, durable=False) as endpoint:
        assert find_running(home) == endpoint
    assert find_running(home) is None


def test_a_second_start_is_refused_in_one_sentence(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False) as endpoint:
        with pytest.raises(ConfigurationError) as refusal:
            EmbeddedPostgres(home).start()
        assert answer(endpoint.application_url, "SELECT 1") == 1
    assert refusal.value.message == (
        f"Switchboard is already running on {home} (process {os.getpid()}): stop it first, or set "
        "SWITCHBOARD_HOME to another folder."
    )


def test_starts_after_the_server_was_killed_with_a_backend_at_work(home: Path) -> None:
    server = EmbeddedPostgres(home)
    with contextlib.closing(psycopg.connect(server.start().owner_url)) as busy:
        busy.execute("CREATE TABLE kept AS SELECT 7 AS value")
        busy.commit()
        os.kill(server.process.pid, signal.SIGKILL)
        server.stop()
        with EmbeddedPostgres(home) as endpoint:
            assert answer(endpoint.owner_url, "SELECT value FROM kept") == 7


def test_starts_although_another_program_has_the_old_process_id(home: Path) -> None:
    with EmbeddedPostgres(home):
        account = find_server_account(find_layout(home).data)
        pid_file = find_layout(home).data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    with stranger(account) as pid:
        pid_file.write_text("\n".join([str(pid), *lines[1:]]) + "\n")
        lock = find_layout(home).sockets / ".s.PGSQL.5432.lock"
        lock.write_text("\n".join([str(pid), *lines[1:5]]) + "\n")
        assert find_running(home) is None
        with EmbeddedPostgres(home) as endpoint:
            assert answer(endpoint.application_url, "SELECT 1") == 1


@contextlib.contextmanager
def stranger(account: Account | None) -> Iterator[int]:
    """A process of the same account that has nothing to do with Postgres."""
    user, group = (account.uid, account.gid) if account else (None, None)
    process = subprocess.Popen(["sleep", "60"], cwd="/", user=user, group=group)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_starts_after_a_crash_left_an_empty_pid_file(home: Path) -> None:
    with EmbeddedPostgres(home):
        pid_file = find_layout(home).data / "postmaster.pid"
    pid_file.touch()
    with EmbeddedPostgres(home) as endpoint:
        assert answer(endpoint.application_url, "SELECT 1") == 1


def test_a_server_left_by_a_killed_starter_is_replaced(home: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(home)], stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        starter.kill()
    with EmbeddedPostgres(home) as endpoint:
        assert answer(endpoint.application_url, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_the_server_shuts_down_cleanly_when_its_starter_is_killed(home: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(home)], stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        starter.kill()
    pid_file = find_layout(home).data / "postmaster.pid"
    until(lambda: not pid_file.exists(), "the server's own clean end")


def test_an_interrupted_first_start_leaves_nothing_behind(home: Path) -> None:
    draft = home / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(home, durable=False) as endpoint:
        assert answer(endpoint.application_url, "SELECT 1") == 1
    assert not draft.exists()


def test_data_of_another_major_version_is_refused(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        version = find_layout(home).data / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(ConfigurationError, match=r"was written by PostgreSQL 15 and this Switchboard brings 18"):
        EmbeddedPostgres(home).start()
    version.write_text("18\n")
    with EmbeddedPostgres(home, durable=False):
        assert find_running(home) is not None


def test_a_broken_server_names_its_reason_and_log(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        data = find_layout(home).data
    (data / "global" / "pg_control").unlink()
    with pytest.raises(ConfigurationError, match=r"Postgres did not start \(.+\): see the log in .+/logs/postgres"):
        EmbeddedPostgres(home).start()


def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    deep = home / ("a folder, with 'quotes' and commas" * 3)
    home.chmod(0o755)
    with EmbeddedPostgres(deep, durable=False) as endpoint:
        sockets = find_layout(deep).sockets
        assert sockets.parent == Path(tempfile.gettempdir())
        assert answer(endpoint.application_url, "SELECT 1") == 1
        assert find_running(deep) == endpoint
    sockets.rmdir()


def test_a_home_that_is_a_file_is_refused(home: Path) -> None:
    blocked = home / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match=r"The data folder .+/file cannot be used \(File exists"):
        EmbeddedPostgres(blocked).start()


@as_plain_user
def test_a_home_without_permission_is_refused(home: Path) -> None:
    home.chmod(0o500)
    with pytest.raises(ConfigurationError, match=r"cannot be used \(Permission denied: .+give this user the right"):
        EmbeddedPostgres(home).start()


@as_root
def test_a_home_out_of_reach_links_to_a_folder_within_reach(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    inner = closed / "data"
    with EmbeddedPostgres(inner, durable=False) as endpoint:
        assert answer(endpoint.application_url, "SELECT 1") == 1
        assert find_running(inner) == endpoint
        elsewhere = (inner / "postgres").readlink().parent
    try:
        assert closed.stat().st_mode & 0o777 == 0o700
        with EmbeddedPostgres(inner, durable=False):
            assert (inner / "postgres").readlink().parent == elsewhere
    finally:
        shutil.rmtree(elsewhere)


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes the capability away")
def test_a_root_that_may_not_change_accounts_is_told_so(home: Path) -> None:
    without = ["setpriv", "--bounding-set", "-setuid,-setgid", sys.executable, "-c", STARTER, str(home)]
    finished = subprocess.run(without, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert re.search(r"root may not become [\w-]+ here: start Switchboard as another user", finished.stderr)
    assert not (home / "postgres").is_symlink()


def test_a_full_disk_is_named_before_it_hurts(home: Path) -> None:
    require_free_space(home / "not" / "yet")
    with pytest.raises(ConfigurationError, match=r"MB left and Switchboard needs 1073741824 MB: free some space"):
        require_free_space(home, minimum_bytes=2**50)


def test_paths_are_quoted_in_the_configuration() -> None:
    text = render_configuration(Layout(Path('/it\'s, "here"')), durable=True)
    assert 'unix_socket_directories = \'"/it\'\'s, ""here""/run"\'\n' in text
    assert "log_directory = '/it''s, \"here\"/logs/postgres'\n" in text
