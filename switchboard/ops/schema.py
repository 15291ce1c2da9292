"""Bringing a database to what this version needs, before anything is served from it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg

from switchboard.intake import door_book
from switchboard.kernel.errors import ConfigurationError, DatabaseAwayError
from switchboard.kernel.migrations import connect, grant_application, migrate_up, require_current
from switchboard.kernel.partitions import PARTITIONED
from switchboard.kernel.settings import Settings


def prepare_database(owner_url: str, application_url: str) -> None:
    """Migrate, make the months' partitions, and let the application's role in; safe to repeat.

    Raises ConfigurationError with one sentence when the server is unreachable or too old, or when the application's
    role could bypass row-level security; nothing is changed then.
    """
    with connect(application_url) as connection:
        _refuse_bypassing_role(connection)
    migrate_up(owner_url)
    with connect(owner_url) as connection:
        ensure_partitions(connection)
        grant_application(connection, _role_of(application_url))
    check_application_role(application_url)


def ensure_partitions(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Make the partitions of last month, this month and the next two."""
    for table in PARTITIONED:
        for day in _months_around(_today(connection)):
            # Makes one month's partition, unless it is there.
            connection.execute("SELECT app.ensure_partition(%s, %s)", (table, day))


def check_application_role(application_url: str) -> None:
    """Refuse a role that row-level security does not hold, and a schema that is behind this version."""
    with connect(application_url) as connection:
        require_current(connection)
        _refuse_bypassing_role(connection)


def is_database_away(settings: Settings, application_url: str) -> bool:
    """Check the role and the schema; True when Postgres cannot be reached and intake can go on without it.

    It can where it knows sources from an earlier run. Raises ConfigurationError otherwise, as for everything else.
    """
    return not _done_unless_away(settings, lambda: check_application_role(application_url))


def prepare_unless_away(settings: Settings, owner_url: str, application_url: str) -> bool:
    """Prepare the database; False when it cannot be reached and intake can go on without it, else as above."""
    return _done_unless_away(settings, lambda: prepare_database(owner_url, application_url))


def _done_unless_away(settings: Settings, work: Callable[[], None]) -> bool:
    try:
        work()
    except DatabaseAwayError:
        if not door_book.is_written(settings):
            raise
        return False
    return True


def _refuse_bypassing_role(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    # One row of the catalog.
    bypasses = connection.execute(
        "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ).fetchone()
    if bypasses is not None and bypasses[0]:
        raise ConfigurationError(
            "The role in DATABASE_URL can bypass row-level security, which keeps workspaces apart. "
            "Use a role without SUPERUSER and BYPASSRLS; DATABASE_OWNER_URL may name another for migrations."
        )


def _role_of(url: str) -> str:
    with connect(url) as connection:
        # One value.
        row = connection.execute("SELECT current_user::text").fetchone()
    return str(row[0]) if row else ""


def _today(connection: "psycopg.Connection[tuple[object, ...]]") -> date:
    # The one clock's day.
    row = connection.execute("SELECT app.now()").fetchone()
    now = row[0] if row else None
    return now.astimezone(UTC).date() if isinstance(now, datetime) else date.min


def _months_around(today: date) -> list[date]:
    first = today.replace(day=1)
    months = [(first - timedelta(days=1)).replace(day=1), first]
    for _ in range(2):
        months.append((months[-1] + timedelta(days=32)).replace(day=1))
    return months
