"""From a stored signal to a contact, a lead and an owner; what cannot be read holds nobody up."""

import asyncio

import psycopg

from switchboard.accounts.models import Caller, system_caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import service
from switchboard.intake.models import Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database
from switchboard.people.timeline import list_timeline
from tests.conftest import Urls, move_clock
from tests.intake.conftest import make_source, recognise_all, store

ANN = {"name": "Ann Lee", "email": "Ann@X.example", "phone": "030 1234567", "message": "A quote, please"}


async def test_a_signal_becomes_a_contact_with_an_open_lead(database: Database, source: Source) -> None:
    (signal_id,) = await store(database, source, ANN)
    assert await recognise_all(database) == 1
    async with database.transaction(source.workspace_id) as tx:
        contacts = await tx.fetch_tuples("SELECT name FROM app.contact")
        leads = await tx.fetch_tuples("SELECT title, source_id FROM app.lead")
        outcomes = await tx.fetch_tuples("SELECT signal_id, outcome, contact_id IS NOT NULL FROM app.signal_outcome")
        due = await tx.fetch_value("SELECT count(*) FROM app.signal_due")
    assert contacts == [("Ann Lee",)]
    assert leads == [("A quote, please", source.id)]
    assert (outcomes, due) == ([(signal_id, "opened", True)], 0)


async def test_the_timeline_names_the_source(database: Database, source: Source) -> None:
    await store(database, source, ANN)
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        contact_id = await tx.fetch_value("SELECT id FROM app.contact")
        items = await list_timeline(tx, contact_id)
    said = [(item.actor, item.text) for item in reversed(items)]
    assert (source.name, "added this contact") in said
    assert (source.name, "opened a lead") in said


async def test_one_person_many_times_at_two_processes_is_one_contact_with_one_lead(
    database: Database, source: Source, urls: Urls
) -> None:
    written = [
        {"email": f"{'ANN' if number % 2 else 'ann'}@x.example", "phone": phone, "n": number}
        for number in range(100)
        for phone in ("030 1234567", "+49 30 1234567")
    ]
    await store(database, source, *written)
    second = Database(urls.application, build_hub(), max_connections=4)
    await second.open()
    await asyncio.gather(recognise_all(database), recognise_all(second))
    await second.close()
    async with database.transaction(source.workspace_id) as tx:
        contacts = await tx.fetch_value("SELECT count(*) FROM app.contact")
        leads = await tx.fetch_tuples("SELECT signals FROM app.lead")
        outcomes = await tx.fetch_tuples("SELECT outcome, count(*) FROM app.signal_outcome GROUP BY 1 ORDER BY 1")
    assert contacts == 1
    assert leads == [(200,)]
    assert outcomes == [("joined", 199), ("opened", 1)]


async def test_a_row_that_names_nobody_fails_alone_with_its_reason(database: Database, source: Source) -> None:
    bad, good = await store(database, source, {"message": "hello"}, ANN)
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        rows = dict(await tx.fetch_tuples("SELECT signal_id, (outcome, problems) FROM app.signal_outcome"))
    assert rows[good][0] == "opened"
    assert rows[bad][0] == "failed"
    assert "No e-mail address or phone number" in rows[bad][1]


async def test_a_test_signal_makes_nobody(database: Database, source: Source) -> None:
    await store(database, source, {**ANN, "is_test": True})
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT outcome FROM app.signal_outcome") == [("test",)]
        assert await tx.fetch_value("SELECT count(*) FROM app.contact") == 0


async def test_workspaces_do_not_see_each_others_people(database: Database, source: Source, stranger: Caller) -> None:
    theirs = await make_source(database, stranger.workspace_id)
    await store(database, source, ANN)
    await store(database, theirs, ANN)
    assert await recognise_all(database) == 2
    for workspace_id in (source.workspace_id, stranger.workspace_id):
        async with database.transaction(workspace_id) as tx:
            assert await tx.fetch_value("SELECT count(*) FROM app.contact") == 1


async def test_a_signal_that_breaks_recognition_waits_while_the_others_go_on(
    database: Database, source: Source, urls: Urls
) -> None:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("ALTER TABLE app.lead ADD CONSTRAINT broken CHECK (title <> 'break') NOT VALID")
    try:
        bad, good = await store(database, source, {"email": "a@x.example", "message": "break"}, ANN)
        await RecognitionLoop(database).tick()
        async with database.transaction(source.workspace_id) as tx:
            outcomes = await tx.fetch_tuples("SELECT signal_id, outcome FROM app.signal_outcome")
            waiting = await tx.fetch_tuples("SELECT signal_id, attempts FROM app.signal_due WHERE due_at > app.now()")
        assert (outcomes, waiting) == ([(good, "opened")], [(bad, 1)])
    finally:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("ALTER TABLE app.lead DROP CONSTRAINT broken")
    await move_clock(urls, "10 minutes")
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_value("SELECT outcome FROM app.signal_outcome WHERE signal_id = %s", (bad,)) == "opened"


async def test_the_mapping_of_the_source_decides(database: Database, source: Source) -> None:
    async with database.transaction(source.workspace_id) as tx:
        mapping = {"email": "who.mail", "name": "who.called"}
        changed = await service.save_mapping(tx, system_caller(source.workspace_id), source.id, mapping)
    await store(database, changed, {"who": {"mail": "ann@x.example", "called": "Ann"}})
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT name FROM app.contact") == [("Ann",)]
