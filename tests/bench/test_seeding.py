"""What the filling makes: as many rows as it was asked for, and every index back in its place."""

from uuid import UUID

import psycopg

from bench.seeding import add_people
from switchboard.accounts.models import Caller
from switchboard.intake import service as intake
from switchboard.kernel.db import Database
from tests.conftest import Urls

COUNTS = {"contact": 100, "contact_search": 100, "identity": 200, "lead": 100, "assignment": 100, "conversation": 25}
INDEXES = r"""
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'app' AND tablename !~ '_y\d+m\d+$' ORDER BY indexname
"""


async def test_people_come_with_their_lead_conversation_messages_and_history(
    urls: Urls, database: Database, workspace_id: UUID, owner: Caller
) -> None:
    async with database.transaction(workspace_id) as tx:
        source = await intake.create_source(tx, owner, name="Bench", format_name="generic")
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        before = connection.execute(INDEXES).fetchall()
        # Where other rows lay before there is room among the first pages, which is filled in any order.
        connection.execute("VACUUM FULL app.contact")
        for first, last, days in ((1, 60, (40.0, 10.0)), (61, 100, (10.0, 0.0))):
            add_people(urls.superuser, workspace_id, source.id, first=first, last=last, messages=3, days=days)
        assert connection.execute(INDEXES).fetchall() == before
        counts = {**COUNTS, "message": 300, "event": 200}
        # The source and the member have made events of their own.
        chosen = {"event": " WHERE lead_id IS NOT NULL"}
        for table, count in counts.items():
            found = connection.execute(f"SELECT count(*) FROM app.{table}{chosen.get(table, '')}".encode()).fetchone()
            assert found == (count,), table
        open_leads = connection.execute("SELECT count(*) FROM app.lead WHERE closed_at IS NULL").fetchone()
        orphans = connection.execute(
            "SELECT count(*) FROM app.lead l WHERE NOT EXISTS (SELECT FROM app.contact c WHERE c.id = l.contact_id)"
        ).fetchone()
        backwards = connection.execute(
            "SELECT count(*) FROM (SELECT id < lag(id) OVER (ORDER BY ctid) AS is_back FROM app.contact) WHERE is_back"
        ).fetchone()
        months = connection.execute("SELECT count(*) FROM app.event_default").fetchone()
    assert (open_leads, orphans, backwards, months) == ((40,), (0,), (0,), (0,))
