"""From a stored signal to a contact, a lead and an owner; what cannot be read holds nobody up."""

import asyncio
from dataclasses import replace
from uuid import UUID

import psycopg

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.entrypoints.assembly import build_hub, subject_kinds
from switchboard.flows import service as flows
from switchboard.flows.models import WHOLE
from switchboard.intake import recognition, service
from switchboard.intake.models import Source
from switchboard.intake.recognition import FEWEST_AHEAD, RecognitionLoop
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import Tick
from switchboard.people.timeline import list_timeline
from switchboard.routing import rotas
from switchboard.routing.models import Rota
from tests.conftest import Urls, move_clock
from tests.intake.conftest import make_source, recognise_all, store
from tests.timeouts import timing_out

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
        bad, good, again = await store(
            database, source, {"email": "a@x.example", "message": "break"}, ANN, {**ANN, "message": "Once more"}
        )
        await RecognitionLoop(database).tick()
        async with database.transaction(source.workspace_id) as tx:
            outcomes = await tx.fetch_tuples("SELECT signal_id, outcome FROM app.signal_outcome")
            waiting = await tx.fetch_tuples("SELECT signal_id, attempts FROM app.signal_due WHERE due_at > received_at")
            owned = await tx.fetch_value("SELECT count(*) FROM app.assignment a JOIN app.lead l ON l.id = a.subject_id")
            assignments = await tx.fetch_value("SELECT count(*) FROM app.assignment")
        assert (sorted(outcomes), waiting) == (sorted([(good, "opened"), (again, "joined")]), [(bad, 1)])
        assert (owned, assignments) == (1, 1)
    finally:
        with psycopg.connect(urls.superuser, autocommit=True) as connection:
            connection.execute("ALTER TABLE app.lead DROP CONSTRAINT broken")
    await move_clock(urls, "10 minutes")
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_value("SELECT outcome FROM app.signal_outcome WHERE signal_id = %s", (bad,)) == "opened"


async def test_a_signal_that_always_takes_too_long_costs_itself_an_attempt_and_holds_nobody_up(
    database: Database, source: Source, urls: Urls
) -> None:
    bad, good = await store(database, source, {"email": "a@x.example", "message": "too long"}, ANN)
    with timing_out(urls, "app.lead", "NEW.title = 'too long'"):
        await RecognitionLoop(database).tick()
    async with database.transaction(source.workspace_id) as tx:
        outcomes = await tx.fetch_tuples("SELECT signal_id, outcome FROM app.signal_outcome")
        waiting = await tx.fetch_tuples("SELECT signal_id, attempts FROM app.signal_due WHERE due_at > received_at")
    assert (outcomes, waiting) == ([(good, "opened")], [(bad, 1)])


async def test_one_of_many_that_breaks_what_was_sent_ahead_holds_nobody_up(
    database: Database, source: Source, urls: Urls
) -> None:
    many = [{"email": f"p{number}@x.example"} for number in range(FEWEST_AHEAD)]
    bad, *good = await store(database, source, {"email": "a@x.example", "message": "too long"}, *many)
    with timing_out(urls, "app.lead", "NEW.title = 'too long'"):
        await RecognitionLoop(database).tick()
    async with database.transaction(source.workspace_id) as tx:
        outcomes = await tx.fetch_tuples("SELECT signal_id, outcome FROM app.signal_outcome")
        waiting = await tx.fetch_tuples("SELECT signal_id, attempts FROM app.signal_due WHERE due_at > received_at")
        leads = await tx.fetch_value("SELECT count(*) FROM app.lead")
    assert sorted(outcomes) == sorted((signal_id, "opened") for signal_id in good)
    assert (waiting, leads) == ([(bad, 1)], len(good))


async def test_the_mapping_of_the_source_decides(database: Database, source: Source) -> None:
    async with database.transaction(source.workspace_id) as tx:
        mapping = {"email": "who.mail", "name": "who.called"}
        changed = await service.save_mapping(tx, system_caller(source.workspace_id), source.id, mapping)
    await store(database, changed, {"who": {"mail": "ann@x.example", "called": "Ann"}})
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT name FROM app.contact") == [("Ann",)]


async def test_a_backlog_is_worked_in_batches_side_by_side_and_each_person_is_one_contact(
    database: Database, source: Source
) -> None:
    written = [{"email": f"p{number % 37}@x.example", "name": f"P {number % 37}", "n": number} for number in range(500)]
    await store(database, source, *written)
    first = await RecognitionLoop(database, most_signals=20).tick()
    # One batch alone, then as many in a row as a tick may take, side by side.
    assert (first.handled, first.has_more) == (20 + 20 * recognition.SIDE_BY_SIDE * recognition.BATCHES_IN_A_ROW, True)
    assert await recognise_all(database) == len(written) - first.handled
    async with database.transaction(source.workspace_id) as tx:
        contacts = await tx.fetch_tuples("SELECT name FROM app.contact ORDER BY name")
        signals = await tx.fetch_value("SELECT sum(signals) FROM app.lead")
        leads = await tx.fetch_value("SELECT count(*) FROM app.lead")
    assert contacts == sorted((f"P {number}",) for number in range(37))
    assert (leads, signals) == (37, 500)


async def test_no_batch_is_alone_as_long_as_a_backlog_goes_on(database: Database, source: Source) -> None:
    in_a_tick = 2 * recognition.SIDE_BY_SIDE * recognition.BATCHES_IN_A_ROW
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(2 + 2 * in_a_tick)))
    loop = RecognitionLoop(database, most_signals=2)
    assert [(await loop.tick()).handled for _ in range(3)] == [2 + in_a_tick, in_a_tick, 0]
    # What comes afterwards is a backlog only where its first batch is full again.
    await store(database, source, ANN)
    assert await loop.tick() == Tick(1, has_more=False)


async def test_what_a_flow_stops_on_stops_the_run_of_somebody_who_has_only_just_come(
    database: Database, source: Source, workspace_id: UUID, owner: Caller
) -> None:
    text = "flow: {0}\ntitle: T\nsubject: lead\nstarts: [lead.created]\nstops: [{1}]\nsteps:\n  - wait: 1h\n"
    async with database.transaction(workspace_id) as tx:
        supervised = replace(await accounts.get_workspace(tx), supervisor_id=owner.user_id)
        await accounts.update_workspace(tx, owner, supervised)
        for name, event in (("brief", "lead.assigned"), ("long", "lead.accepted")):
            flow = await flows.save_flow(tx, owner, text.format(name, event), subject_kinds())
            await flows.activate(tx, owner, flow.id, subject_kinds())
    await store(database, source, ANN)
    await recognise_all(database)
    going = "SELECT f.name FROM app.run r JOIN app.flow f ON f.id = r.flow_id"
    ended = "SELECT f.name, r.reason FROM app.run_ended r JOIN app.flow f ON f.id = r.flow_id"
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples(going) == [("long",)]
        assert await tx.fetch_tuples(ended) == [("brief", "lead.assigned")]


async def test_a_newcomer_begins_a_flow_once_however_many_of_their_events_begin_it(
    database: Database, source: Source, workspace_id: UUID, owner: Caller
) -> None:
    begins = {
        "made_and_assigned": ("lead", "lead.created, lead.assigned"),
        "made_twice": ("lead", "lead.created, {on: lead.created, where: lead.title != ''}"),
        "person_and_lead": ("contact", "contact.created, lead.created"),
        "lead_of_a_person": ("contact", "lead.created, lead.assigned"),
    }
    async with database.transaction(workspace_id) as tx:
        supervised = replace(await accounts.get_workspace(tx), supervisor_id=owner.user_id)
        await accounts.update_workspace(tx, owner, supervised)
        for name, (subject, starts) in begins.items():
            text = f"flow: {name}\ntitle: T\nsubject: {subject}\nstarts: [{starts}]\nsteps:\n  - wait: 1h\n"
            flow = await flows.save_flow(tx, owner, text, subject_kinds())
            await flows.activate(tx, owner, flow.id, subject_kinds())
    await store(database, source, ANN)
    await recognise_all(database)
    await store(database, source, {**ANN, "message": "Once more"})
    await recognise_all(database)
    going = "SELECT f.name FROM app.run r JOIN app.flow f ON f.id = r.flow_id ORDER BY 1"
    counted = (
        "SELECT f.name, sum(runs)::int FROM app.flow_tally JOIN app.flow f ON f.id = flow_id WHERE step = %s GROUP BY 1"
    )
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples(going) == sorted((name,) for name in begins)
        assert dict(await tx.fetch_tuples(counted, (WHOLE,))) == dict.fromkeys(begins, 1)
        assert await tx.fetch_value("SELECT count(*) FROM app.flow_entry") == len(begins)


async def test_a_lone_new_lead_asks_a_bounded_number_of_questions(database: Database, source: Source) -> None:
    await store(database, source, ANN)
    with recorded_queries() as first:
        await RecognitionLoop(database).tick()
    await store(database, source, {**ANN, "email": "bea@x.example", "phone": ""})
    with recorded_queries() as one:
        await RecognitionLoop(database).tick()
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(50)))
    with recorded_queries() as fifty:
        await RecognitionLoop(database).tick()
    # What the workspace is set up with is read the first time only.
    assert len(first) - len(one) >= 5
    assert len(one) <= 11
    assert len(fifty) <= len(one)


async def test_a_batch_checks_what_it_has_written_before_it_holds_a_rota_and_a_lone_lead_at_its_commit(
    database: Database, source: Source, owner: Caller
) -> None:
    async with database.transaction(source.workspace_id) as tx:
        rota_id = await rotas.create_rota(tx, owner, Rota(new_id(), "Desk", "UTC", "round_robin", None, None, 1))
        await rotas.set_member(tx, owner, rota_id, owner.user_id or new_id())
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(FEWEST_AHEAD)))
    with recorded_queries() as many:
        await RecognitionLoop(database).tick()
    await store(database, source, ANN)
    with recorded_queries() as lone:
        await RecognitionLoop(database).tick()
    written, checked, held = (
        _place(many, part) for part in ("app.contact_search", "SET CONSTRAINTS", "ORDER BY user_id")
    )
    assert -1 < written < checked < held
    assert (_place(lone, "SET CONSTRAINTS"), _place(lone, "ORDER BY user_id") > -1) == (-1, True)


def _place(statements: list[str], part: str) -> int:
    """Which of the statements is the first with this part; -1 where none is."""
    return next((place for place, sql in enumerate(statements) if part in sql), -1)


async def test_the_events_of_a_batch_are_written_in_the_order_in_which_they_happened(
    database: Database, source: Source, owner: Caller
) -> None:
    async with database.transaction(source.workspace_id) as tx:
        supervised = replace(await accounts.get_workspace(tx), supervisor_id=owner.user_id)
        await accounts.update_workspace(tx, owner, supervised)
    await store(database, source, ANN)
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        kinds = await tx.fetch_tuples("SELECT kind FROM app.event WHERE contact_id IS NOT NULL ORDER BY id")
    assert kinds == [("contact.created",), ("lead.created",), ("lead.assigned",)]
