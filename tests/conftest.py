"""Fixtures for every ring: a throw-away Postgres, a fresh migrated database a test, and people in their roles."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, Role, system_caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.entrypoints.web import create_app
from switchboard.kernel.db import Database
from switchboard.kernel.embedded import Endpoint, open_test_server
from switchboard.kernel.settings import load_settings
from switchboard.ops.schema import prepare_database
from tests.plans import without_statistics

# The same examples each time, however long the machine takes over them: what is judged here is what comes out.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

DATABASE = "switchboard_test"
# Deletes where there is something to delete; foreign keys are not checked meanwhile.
EMPTY_ALL_TABLES = """
DO $$
DECLARE
    name text;
    is_filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname NOT IN ('schema_migration', 'clock_shift')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('DELETE FROM %s', name);
        END IF;
    END LOOP;
    UPDATE app.clock_shift SET shift = '0', frozen_at = NULL;
END
$$
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seed", default="20261120", help="Which events of chaos happen, and when.")
    parser.addoption("--chaos-minutes", default="0", help="How long chaos lasts; 0 leaves all but a slice out.")
    parser.addoption("--soak-minutes", default="0", help="How long soaking lasts; 0 leaves all but a slice out.")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Endpoint]:
    """One throw-away Postgres a test process."""
    with open_test_server() as endpoint:
        yield endpoint


@dataclass(frozen=True, slots=True)
class Urls:
    """libpq URLs of one test's database."""

    owner: str
    application: str
    superuser: str


def _in_database(url: str, name: str) -> str:
    info = psycopg.conninfo.conninfo_to_dict(url)
    return psycopg.conninfo.make_conninfo("", **{**info, "dbname": name})


@pytest.fixture(scope="session")
def database_name(server: Endpoint) -> str:
    """The name of this process's database with the whole schema."""
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER switchboard_owner")
    superuser = _in_database(server.superuser_url, DATABASE)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    application = _in_database(server.application_url, DATABASE)
    prepare_database(_in_database(server.owner_url, DATABASE), application)
    with psycopg.connect(superuser, autocommit=True) as connection:
        # The one clock, movable: see `move_clock` and `freeze_clock`.
        connection.execute("CREATE TABLE app.clock_shift (shift interval NOT NULL, frozen_at timestamptz)")
        connection.execute("INSERT INTO app.clock_shift VALUES ('0')")
        connection.execute("GRANT SELECT ON app.clock_shift TO switchboard_app, switchboard_owner")
        connection.execute(
            "CREATE OR REPLACE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql STABLE"
            " AS 'SELECT coalesce(frozen_at, pg_catalog.now() + shift) FROM app.clock_shift'"
        )
    return DATABASE


@pytest.fixture
def urls(server: Endpoint, database_name: str) -> Iterator[Urls]:
    """This process's migrated database, emptied after the test: quicker than a copy of it for each."""
    urls = Urls(
        _in_database(server.owner_url, database_name),
        _in_database(server.application_url, database_name),
        _in_database(server.superuser_url, database_name),
    )
    yield urls
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(EMPTY_ALL_TABLES)


@pytest.fixture
def never_analysed(urls: Urls) -> Iterator[None]:
    """For tests of plans: Postgres chooses as on tables of which it knows nothing yet."""
    with without_statistics(urls.superuser):
        yield


@pytest.fixture
async def database(urls: Urls) -> AsyncIterator[Database]:
    """The application's own edge on this test's database, wired as in production."""
    database = Database(urls.application, build_hub(), max_connections=8)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def workspace_id(database: Database) -> UUID:
    """A workspace in Berlin."""
    async with database.directory() as tx:
        return await accounts.create_workspace(
            tx, name="Acme", time_zone="Europe/Berlin", default_region="DE", mail_domain="switchboard.localhost"
        )


@pytest.fixture
async def strangers_workspace_id(database: Database) -> UUID:
    """A second workspace, whose members must see nothing of the first."""
    async with database.directory() as tx:
        return await accounts.create_workspace(
            tx, name="Rival", time_zone="UTC", default_region="US", mail_domain="switchboard.localhost"
        )


PASSWORD = "correct horse battery"


async def make_member(database: Database, workspace_id: UUID, email: str, name: str, role: Role) -> Caller:
    """Add a member with `PASSWORD` and return them as a caller."""
    async with database.transaction(workspace_id) as tx:
        user_id = await accounts.create_member(
            tx, system_caller(workspace_id), email=email, name=name, password=PASSWORD, role=role
        )
    return Caller(workspace_id, role, user_id, name)


@pytest.fixture
async def owner(database: Database, workspace_id: UUID) -> Caller:
    return await make_member(database, workspace_id, "olga@acme.example", "Olga Owner", "owner")


@pytest.fixture
async def agent(database: Database, workspace_id: UUID) -> Caller:
    return await make_member(database, workspace_id, "amir@acme.example", "Amir Agent", "agent")


@pytest.fixture
async def viewer(database: Database, workspace_id: UUID) -> Caller:
    return await make_member(database, workspace_id, "vera@acme.example", "Vera Viewer", "viewer")


@pytest.fixture
async def stranger(database: Database, strangers_workspace_id: UUID) -> Caller:
    return await make_member(database, strangers_workspace_id, "rita@rival.example", "Rita Rival", "owner")


async def move_clock(urls: Urls, shift: str) -> None:
    """Set the one clock to the present plus `shift`, a Postgres interval such as `2 days`."""

    def move() -> None:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("UPDATE app.clock_shift SET shift = %s::interval", (shift,))

    await asyncio.to_thread(move)


def freeze_clock(urls: Urls, instant: datetime) -> None:
    """Let the one clock stand still at an instant, so that moments can be compared exactly."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("UPDATE app.clock_shift SET frozen_at = %s", (instant,))


@pytest.fixture
async def app(database: Database, urls: Urls, tmp_path: Path) -> Starlette:
    """The real application on this test's database; its lifespan is not run, the database is open already."""
    app = create_app(
        load_settings({"SWITCHBOARD_HOME": str(tmp_path), "APP_SECRET": "kept for tests only, 32 letters long"}),
        urls.application,
    )
    app.state.database = database
    await app.state.standby.spool.open()
    return app
