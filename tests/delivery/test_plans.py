"""The hot statements of delivery walk their indexes, with many messages in the tables."""

import asyncio
from datetime import timedelta
from uuid import UUID

import psycopg

from switchboard.delivery import repository, repository_outbox, repository_settling
from switchboard.delivery.models import TROUBLED
from switchboard.delivery.repository_settling import Settlement
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.ids import HIGHEST_ID, new_id
from tests.conftest import Urls
from tests.delivery.sending import Outbox
from tests.plans import explain


async def fill(database: Database, workspace_id: UUID, urls: Urls) -> None:
    """20,000 messages, half of them put off until tomorrow, ten due now, and one in a hundred in trouble."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute(
            """
            INSERT INTO app.message (id, workspace_id, direction, channel, purpose, state, contact_id, address,
                                     header_id, sent_at)
            SELECT app.uuid7(), %s, 'out', 'email', 'marketing',
                   CASE WHEN n %% 100 = 0 THEN 'failed' WHEN n %% 2 = 0 THEN 'queued' ELSE 'sent' END,
                   gen_random_uuid(), 'x@x.example', '<' || n || '@x>', CASE WHEN n %% 2 = 1 THEN app.now() END
            FROM generate_series(1, 20000) AS n
            """,
            (workspace_id,),
        )
        await tx.execute(
            """
            INSERT INTO app.outbox (message_id, workspace_id, channel, lane, due_at)
            SELECT id, workspace_id, 'email', CASE WHEN n % 2 = 0 THEN 5 ELSE 9 END,
                   app.now() + CASE WHEN n <= 10 THEN interval '-1 minute' ELSE interval '1 day' END
            FROM (SELECT id, workspace_id, row_number() OVER () AS n FROM app.message WHERE state = 'queued') AS queued
            """
        )

    def analyse() -> None:
        # Only the owner may: without it the plans would depend on what ran before.
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("ANALYZE app.message, app.outbox")

    await asyncio.to_thread(analyse)


async def test_claiming_walks_one_range_of_the_due_index_a_lane(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await fill(database, workspace_id, urls)
    async with database.queue_loop() as tx:
        with recorded_queries() as statements:
            claimed, _ = await repository_outbox.claim(tx, ["email"], slots=200, slots_for_flows=200)
        since = {f"since_{lane}": moment for lane, moment in repository_outbox.FROM_THE_BEGINNING.items()}
        params = {"channels": ["email"], "of_resting": False, "slots": 200, "flows": 200, **since}
        explained = await explain(tx, statements[0], params)
    assert len(claimed) == 10
    assert explained.count("Index Scan using outbox_due on outbox") == 6
    assert "Seq Scan on outbox" not in explained


async def test_settling_finds_rows_and_messages_by_their_keys(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await fill(database, workspace_id, urls)
    async with database.transaction(workspace_id) as tx:
        due = await tx.fetch_tuples("SELECT message_id, token FROM app.outbox WHERE due_at < app.now()")
        settlements = [
            Settlement(message_id, token, 0.1, "sent", "OK", "sent", None, None, True, "", "")
            for message_id, token in due
        ]
        with recorded_queries() as statements:
            assert len(await repository_settling.settle(tx, settlements)) == 10
        columns = [list(column) for column in zip(*settlements, strict=True)]
        explained = await explain(tx, statements[0], [*columns, *[workspace_id] * 5])
    assert explained.count("outbox_pkey on outbox") == 2
    assert explained.count("message_pkey on message") == 2
    assert "Seq Scan on outbox" not in explained
    assert "Seq Scan on message" not in explained


async def test_the_reaper_looks_only_at_what_is_taken(database: Database, workspace_id: UUID, urls: Urls) -> None:
    await fill(database, workspace_id, urls)
    async with database.queue_loop() as tx:
        with recorded_queries() as statements:
            assert await repository_outbox.claim_expired(tx, 500) == []
        explained = await explain(tx, statements[0], (500,))
    assert "outbox_leased" in explained
    assert "Seq Scan" not in explained


async def test_the_cap_and_the_list_of_troubles_find_their_rows(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await fill(database, workspace_id, urls)
    contacts = [new_id() for _ in range(50)]
    window = timedelta(days=7)
    async with database.transaction(workspace_id) as tx:
        with recorded_queries() as statements:
            assert await repository.find_cap_times(tx, contacts, window) == []
            assert len(await repository.list_troubles(tx, TROUBLED, limit=50)) == 50
        cap = await explain(tx, statements[0], {"workspace": workspace_id, "contacts": contacts, "window": window})
        wanted = {
            "workspace": workspace_id,
            "states": list(TROUBLED),
            "before": HIGHEST_ID,
            "reason": "",
            "unseen": False,
            "limit": 50,
        }
        troubles = await explain(tx, statements[1], wanted)
    # Both indexes hold a contact's messages in order of time; which one is cheaper the statistics decide.
    assert "message_sent_to" in cap or "message_by_contact" in cap
    assert "message_to_go" in cap
    assert "message_under_way" in cap
    assert "Seq Scan on message" not in cap
    assert "Index Scan using outbox_pkey" in cap
    assert "message_troubled" in troubles
    assert "Seq Scan on message" not in troubles


async def test_what_stands_in_the_outbox_though_it_was_sent_is_not_sent_again(
    database: Database, workspace_id: UUID, urls: Urls
) -> None:
    await fill(database, workspace_id, urls)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("DELETE FROM app.outbox")
        await tx.execute(
            """
            INSERT INTO app.outbox (message_id, workspace_id, channel, lane)
            SELECT id, workspace_id, 'email', 5 FROM app.message WHERE state = 'sent' LIMIT 3
            """
        )
    outbox = Outbox(database)
    await outbox.run()
    assert outbox.channel.envelopes == []
    async with database.queue_loop() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0
