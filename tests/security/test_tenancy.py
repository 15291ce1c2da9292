"""Row security held against the database itself: what another workspace's transaction could do without our services."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from tests.conftest import Urls

# Tables that stand outside the workspaces, each with the reason.
SHARED = {
    "address_book": "asked before the workspace is known",
    "channel_break": "a channel's server is the same for all",
    "channel_pace": "a provider's rate is the same for all",
    "clock_shift": "the clock of the tests",
    "log_keeping": "months go for all workspaces at once",
    "schema_migration": "the state of the schema",
    "session": "asked before the workspace is known",
    "throttle": "limits of the whole instance",
    "user_account": "one person may be a member of several workspaces",
    "worker": "which processes run",
}
# Tables whose rows loops see in every workspace, so that they can claim what is due.
QUEUES = {"furniture", "job", "outbox", "run", "segment_dirty", "send_hold", "signal_due"}


@contextmanager
def connected(urls: Urls, caller: Caller | None = None, scope: str = "") -> Iterator[psycopg.Connection[Any]]:
    """The application's role in one transaction, for a workspace, or for a loop."""
    with psycopg.connect(urls.application) as connection:
        if caller is not None:
            connection.execute("SELECT set_config('app.workspace_id', %s, true)", (str(caller.workspace_id),))
        connection.execute("SELECT set_config('app.scope', %s, true)", (scope,))
        yield connection
        connection.rollback()


def tables(urls: Urls) -> list[tuple[str, bool, bool]]:
    """Every table and partition: its name, whether row security is forced, and whether it is a partition."""
    with psycopg.connect(urls.superuser) as connection:
        return connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity, relispartition FROM pg_class"
            " WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname"
        ).fetchall()


def filled(urls: Urls, owner: Caller) -> dict[str, int]:
    """How many rows the owner's workspace has in each table with row security, asked past it."""
    with psycopg.connect(urls.superuser) as connection:
        counts = {}
        for name, is_secured, is_partition in tables(urls):
            if is_secured and not is_partition:
                column = "id" if name == "workspace" else "workspace_id"
                query = f"SELECT count(*) FROM app.{name} WHERE {column} = %s"
                counts[name] = connection.execute(query.encode(), (owner.workspace_id,)).fetchall()[0][0]
        return counts


def test_every_table_is_secured_or_says_why_not(urls: Urls) -> None:
    assert {name for name, is_secured, _ in tables(urls) if not is_secured} == set(SHARED)


OWN_ROWS = "(workspace_id = app.workspace_id())"
OWN_OR_DUE = "((workspace_id = app.workspace_id()) OR app.is_queue_loop())"
# Policies that say something else, by table and name.
OTHER_POLICIES = {
    ("workspace", "tenant"): "(id = app.workspace_id())",
    ("member", "own"): "(user_id = app.user_id())",
    ("assignment", "waiting"): "((state = 'waiting'::text) AND app.is_queue_loop())",
    **{(name, "tenant"): OWN_OR_DUE for name in QUEUES},
}


def test_every_policy_keeps_to_the_workspace(urls: Urls) -> None:
    with psycopg.connect(urls.superuser) as connection:
        policies = connection.execute(
            "SELECT tablename, policyname, permissive, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'app'"
        ).fetchall()
    secured = {name for name, is_secured, is_partition in tables(urls) if is_secured and not is_partition}
    assert {policy[0] for policy in policies} == secured
    for table, name, permissive, command, condition, check in policies:
        if table == "contact_search":
            assert "workspace_id = app.workspace_id()" in f"{condition}{check}"
            assert " OR app.is_queue_loop()" not in f"{condition}{check}"
            continue
        assert (permissive, condition) == ("PERMISSIVE", OTHER_POLICIES.get((table, name), OWN_ROWS)), (table, name)
        # Without a condition of its own, what is written is held against the condition for what is seen.
        assert (command, check) == ("SELECT" if name in {"own", "waiting"} else "ALL", None), (table, name)


def test_the_applications_role_cannot_put_security_aside(urls: Urls) -> None:
    with connected(urls) as connection:
        role = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchall()
        assert role == [(False, False, False, False)]
        owned = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace"
            " AND pg_has_role(current_user, relowner, 'MEMBER')"
        ).fetchall()
        assert owned == [(0,)]
    for statement in (
        "ALTER TABLE app.contact DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON app.contact",
        "CREATE TABLE app.mine (id int)",
        "SET SESSION AUTHORIZATION switchboard_owner",
        "SET ROLE switchboard_owner",
        "TRUNCATE app.contact",
        "CREATE FUNCTION app.now2() RETURNS int LANGUAGE sql RETURN 1",
    ):
        with connected(urls) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_two_functions_run_as_the_owner_and_their_search_path_is_fixed(urls: Urls) -> None:
    with psycopg.connect(urls.superuser) as connection:
        found = connection.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'app'::regnamespace"
        ).fetchall()
    path = "search_path=app, pg_catalog, pg_temp"
    assert sorted(found) == [
        ("drop_oldest_month", [path, "lock_timeout=200ms"]),
        ("ensure_partition", [path]),
    ]


@pytest.mark.parametrize(
    "parent", ["contact", "user_account", "event; DROP TABLE app.contact", 'event" (id int)--', ""]
)
@pytest.mark.parametrize("asked", ["ensure_partition(%s, '2030-01-01')", "drop_oldest_month(%s, '2000-01-01')"])
def test_partitions_are_made_and_dropped_of_partitioned_tables_only(urls: Urls, parent: str, asked: str) -> None:
    with connected(urls) as connection, pytest.raises(psycopg.errors.RaiseException, match="not partitioned by time"):
        connection.execute(f"SELECT app.{asked}".encode(), (parent,))


def test_the_last_two_months_of_a_log_cannot_be_dropped(urls: Urls) -> None:
    with (
        connected(urls, scope="queue") as connection,
        pytest.raises(psycopg.errors.RaiseException, match="always kept"),
    ):
        connection.execute("SELECT app.drop_oldest_month('event', date_trunc('month', app.now())::date)")


async def test_a_month_is_dropped_by_those_only_who_see_all_work(urls: Urls, owner: Caller) -> None:
    with connected(urls, owner) as connection, pytest.raises(psycopg.errors.RaiseException, match="only a queue loop"):
        connection.execute("SELECT app.drop_oldest_month('event', '2000-01-01')")


async def test_nothing_of_another_workspace_is_read_changed_or_deleted(
    urls: Urls, ids: dict[str, str], owner: Caller, stranger: Caller
) -> None:
    rows = filled(urls, owner)
    assert sum(count > 0 for count in rows.values()) > 25
    for name in rows:
        with connected(urls, stranger) as connection:
            column = "id" if name == "workspace" else "workspace_id"
            there = f"FROM app.{name} WHERE {column} = %s"
            assert connection.execute(f"SELECT count(*) {there}".encode(), (owner.workspace_id,)).fetchall() == [(0,)]
            deleted = connection.execute(f"DELETE {there}".encode(), (owner.workspace_id,))
            assert (name, deleted.rowcount) == (name, 0)
            moved = connection.execute(f"UPDATE app.{name} SET {column} = {column}".encode())
            assert (name, moved.rowcount) == (name, filled(urls, stranger)[name] if name != "contact_search" else 0)
    assert filled(urls, owner) == rows


async def test_no_row_is_put_into_another_workspace(
    urls: Urls, ids: dict[str, str], owner: Caller, stranger: Caller
) -> None:
    for name, count in filled(urls, owner).items():
        if count == 0 or name == "workspace":
            continue
        with psycopg.connect(urls.superuser) as connection:
            query = f"SELECT to_jsonb(t) FROM app.{name} t WHERE workspace_id = %s LIMIT 1"
            row = connection.execute(query.encode(), (owner.workspace_id,)).fetchall()[0][0]
        query = f"INSERT INTO app.{name} SELECT * FROM jsonb_populate_record(NULL::app.{name}, %s)"
        with connected(urls, stranger) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(query.encode(), (Jsonb(row),))


async def test_a_partition_asked_by_its_own_name_shows_and_takes_nothing(
    urls: Urls, ids: dict[str, str], owner: Caller
) -> None:
    partitions = [name for name, _, is_partition in tables(urls) if is_partition]
    assert len(partitions) > 5
    for name in partitions:
        with connected(urls, owner) as connection:
            try:
                assert connection.execute(f"SELECT count(*) FROM app.{name}".encode()).fetchall() == [(0,)]
            except psycopg.errors.InsufficientPrivilege:
                continue


async def test_a_loop_sees_the_queues_of_all_and_nothing_else(urls: Urls, ids: dict[str, str], owner: Caller) -> None:
    seen = set()
    for name, count in filled(urls, owner).items():
        with connected(urls, scope="queue") as connection:
            if count and connection.execute(f"SELECT count(*) FROM app.{name}".encode()).fetchall() != [(0,)]:
                seen.add(name)
    assert seen <= QUEUES


async def test_a_transaction_without_a_workspace_sees_nothing(urls: Urls, ids: dict[str, str], owner: Caller) -> None:
    for name in filled(urls, owner):
        with connected(urls) as connection:
            assert connection.execute(f"SELECT count(*) FROM app.{name}".encode()).fetchall() == [(0,)], name


async def test_nothing_a_transaction_was_told_stays_on_its_connection(database: Database, owner: Caller) -> None:
    names = ("app.workspace_id", "app.user_id", "app.scope", "app.search_words", "app.search_ids")
    async with database.transaction(owner.workspace_id, user_id=owner.user_id):
        pass
    async with database.queue_loop():
        pass
    for _ in range(3):
        async with database.directory() as tx:
            found = [await tx.fetch_value("SELECT current_setting(%s, true)", (name,)) for name in names]
            assert [value for value in found if value] == []
