"""A newcomer's letter stands in the outbox with the very commit that recognises them, where all may go alike."""

from switchboard.flows import first_steps
from switchboard.intake.models import Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.queues import WAKE_CHANNEL
from tests.conftest import Urls
from tests.flows.world import add_contact, add_letters, endings, running, save_active, sent_letters, settle
from tests.intake.conftest import recognise_all, store
from tests.timeouts import timing_out

LETTER = """
flow: greeting
title: Greeting
subject: lead
starts:
  - on: lead.created
stops:
  - on: message.replied
steps:
  - send: welcome
"""
CONDITION = LETTER.replace("  - send: welcome\n", "  - if: contact.name != ''\n    then:\n      - send: welcome\n")
NEWCOMER = {"name": "Ann", "email": "ann@x.example"}


async def set_up(database: Database, source: Source, flow: str) -> None:
    async with database.transaction(source.workspace_id) as tx:
        await add_letters(tx)
        await save_active(tx, flow)


def hear_wakes(database: Database) -> set[str]:
    """The queues that the process's own transactions wake from here on."""
    woken: set[str] = set()
    database.on_commit(lambda told: woken.update(payload for channel, payload in told if channel == WAKE_CHANNEL))
    return woken


async def test_one_commit_recognises_a_newcomer_and_queues_their_letter(database: Database, source: Source) -> None:
    await set_up(database, source, LETTER)
    await store(database, source, NEWCOMER)
    woken = hear_wakes(database)
    await RecognitionLoop(database).tick()
    async with database.transaction(source.workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]
        assert await endings(tx) == [("finished", "all steps done")]
        kinds = await tx.fetch_tuples("SELECT kind FROM app.event WHERE contact_id IS NOT NULL ORDER BY id")
    assert [kind for (kind,) in kinds] == [
        *("contact.created", "lead.created", "run.started", "lead.waiting"),
        *("message.queued", "run.finished"),
    ]
    assert "outbox" in woken
    assert "steps" not in woken


async def test_what_differs_between_runs_is_left_to_the_stepper(database: Database, source: Source) -> None:
    await set_up(database, source, CONDITION)
    await store(database, source, NEWCOMER)
    woken = hear_wakes(database)
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await sent_letters(tx) == []
        assert await running(tx) == [(0, "ready")]
    assert "steps" in woken
    assert await settle(database) == 1
    async with database.transaction(source.workspace_id) as tx:
        assert await sent_letters(tx) == [("welcome", "queued")]


async def test_who_is_known_already_waits_for_the_stepper(database: Database, source: Source) -> None:
    await set_up(database, source, LETTER)
    async with database.transaction(source.workspace_id) as tx:
        await add_contact(tx, NEWCOMER["email"])
    await store(database, source, NEWCOMER)
    woken = hear_wakes(database)
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await running(tx) == [(0, "ready")]
    assert "steps" in woken


async def test_a_step_that_fails_keeps_nobody_from_being_recognised(
    database: Database, source: Source, urls: Urls
) -> None:
    await set_up(database, source, LETTER)
    await store(database, source, NEWCOMER)
    woken = hear_wakes(database)
    with timing_out(urls, "app.message", "true"):
        await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT outcome FROM app.signal_outcome") == [("opened",)]
        assert await running(tx) == [(0, "ready")]
        assert await sent_letters(tx) == []
        kinds = await tx.fetch_tuples("SELECT kind FROM app.event WHERE contact_id IS NOT NULL ORDER BY id")
    # What was told of the step is undone with it.
    assert kinds == [("contact.created",), ("lead.created",), ("run.started",), ("lead.waiting",)]
    assert "steps" in woken


async def test_a_backlog_is_left_to_the_stepper(database: Database, source: Source) -> None:
    await set_up(database, source, LETTER)
    many = first_steps.MOST_AT_ONCE + 1
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(many)))
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        assert len(await running(tx)) == many


async def test_fifty_first_steps_take_no_more_statements_than_one(database: Database, source: Source) -> None:
    await set_up(database, source, LETTER)
    counts = []
    for first, number in ((0, 1), (1, 1), (2, first_steps.MOST_AT_ONCE)):
        await store(database, source, *({"email": f"p{first + each}@x.example"} for each in range(number)))
        with recorded_queries() as statements:
            await recognise_all(database)
        counts.append(len(statements))
    # So many check what they have written before they hold a rota, and not at the commit.
    assert counts[2] - 1 <= counts[1] < counts[0]
    # Beside them there are only BEGIN and COMMIT; those of the rota come on top.
    assert counts[1] <= 14
