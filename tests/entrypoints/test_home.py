"""The home page: who waits, what fails, and the numbers of today."""

from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.entrypoints.home import answer_for
from switchboard.kernel import events
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.leads import numbers
from switchboard.ops import queries
from tests.conftest import Urls, move_clock
from tests.leads.conftest import add_source, open_lead
from tests.pages import signed_in

MOST_QUERIES = 28


@pytest.fixture
async def source_id(database: Database, workspace_id: UUID) -> UUID:
    async with database.transaction(workspace_id) as tx:
        return await add_source(tx, "Website")


async def work_every_queue(database: Database) -> None:
    async with database.directory() as tx:
        names = [queue.name for queue in await queries.list_queue_lags(tx)]
        await queries.report_worker(tx, new_id(), names)


@pytest.mark.parametrize(
    ("waiting", "troubles", "answer"),
    [
        (0, 0, "Nobody was forgotten."),
        (0, 2, "Nobody is waiting too long, but something needs a look."),
        (1, 0, "One person is waiting longer than they should."),
        (2, 1, "Two people are waiting longer than they should."),
        (17, 0, "17 people are waiting longer than they should."),
        (150, 0, "At least 99 people are waiting longer than they should."),
    ],
)
def test_the_answer_is_one_sentence(waiting: int, troubles: int, answer: str) -> None:
    assert answer_for(waiting, troubles) == answer


async def test_all_clear_is_one_calm_line(app: Starlette, database: Database, viewer: Caller) -> None:
    await work_every_queue(database)
    async with signed_in(app, database, viewer) as browser:
        text = (await browser.get("/")).text
    assert "Nobody was forgotten." in text
    assert "All clear" in text
    assert "Waiting for the first signal" in text


async def test_a_lead_past_its_clock_is_named_and_counted(
    app: Starlette, database: Database, agent: Caller, source_id: UUID, urls: Urls
) -> None:
    lead_id = await open_lead(database, agent, source_id, title="A new kitchen")
    async with signed_in(app, database, agent) as browser:
        early = (await browser.get("/")).text
        await move_clock(urls, "20 minutes")
        await work_every_queue(database)
        late = (await browser.get("/")).text
        assert (await browser.post(f"/leads/{lead_id}/accept", {"back": "/"})).headers["location"] == "/"
        await browser.post(f"/leads/{lead_id}/notes", {"is_call": "on"})
        answered = (await browser.get("/")).text
    assert "Ada Byron" in early
    assert "longer than they should" not in early
    assert "One person is waiting longer than they should." in late
    assert 'class="count alert">1<' in late
    assert f'action="/leads/{lead_id}/accept"' in late
    assert "Ada Byron" not in answered
    assert "longer than they should" not in answered


async def test_a_queue_nobody_works_is_said(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        text = (await browser.get("/")).text
    assert "something needs a look" in text
    assert "Nobody works the queue signals." in text


async def test_a_source_that_has_gone_quiet_is_said(
    app: Starlette, database: Database, owner: Caller, source_id: UUID, urls: Urls
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.signal (id, workspace_id, source_id, payload) VALUES (%s, %s, %s, '{}')",
            (new_id(), tx.workspace_id, source_id),
        )
    await move_clock(urls, "4 days")
    await work_every_queue(database)
    async with signed_in(app, database, owner) as browser:
        text = (await browser.get("/")).text
    assert "Website has gone quiet" in text


async def add_failed_message(database: Database, owner: Caller) -> UUID:
    message_id = new_id()
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute(
            """
            INSERT INTO app.message (id, workspace_id, direction, channel, purpose, state, reason, detail, address,
                header_id)
            VALUES (%s, %s, 'out', 'email', 'reply', 'failed', 'refused', 'The server refused it.', 'a@b.example', 'x')
            """,
            (message_id, tx.workspace_id),
        )
    return message_id


async def test_a_failed_send_goes_from_the_page_when_an_agent_has_seen_it(
    app: Starlette, database: Database, viewer: Caller, agent: Caller, stranger: Caller
) -> None:
    path = f"/messages/{await add_failed_message(database, agent)}/seen"
    async with signed_in(app, database, stranger) as browser:
        assert (await browser.post(path)).status_code == 404
    async with signed_in(app, database, viewer) as browser:
        assert (await browser.post(path)).status_code == 403
        assert path not in (await browser.get("/")).text
    async with signed_in(app, database, agent) as browser:
        assert f'action="{path}"' in (await browser.get("/")).text
        done = await browser.post(path, {"back": "/"})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert "The server refused it." not in (await browser.get("/")).text
        assert "The server refused it." in (await browser.get("/messages")).text


async def test_a_late_lead_and_a_late_answer_of_one_person_are_one_person(
    app: Starlette, database: Database, agent: Caller, source_id: UUID, urls: Urls
) -> None:
    lead_id = await open_lead(database, agent, source_id)
    async with database.transaction(agent.workspace_id) as tx:
        contact_id = await tx.fetch_value("SELECT contact_id FROM app.lead WHERE id = %s", (lead_id,))
        await tx.execute(
            """
            INSERT INTO app.conversation (id, workspace_id, contact_id, channel, subject, state, waiting_since)
            VALUES (%s, %s, %s, 'email', 'Hello', 'open', app.now())
            """,
            (new_id(), tx.workspace_id, contact_id),
        )
    await move_clock(urls, "2 days")
    async with signed_in(app, database, agent) as browser:
        text = (await browser.get("/")).text
    assert "Overdue answers" in text
    assert "One person is waiting longer than they should." in text


async def test_a_send_that_failed_is_said_for_a_week(
    app: Starlette, database: Database, owner: Caller, urls: Urls
) -> None:
    message_id = await add_failed_message(database, owner)
    async with signed_in(app, database, owner) as browser:
        text = (await browser.get("/")).text
        await move_clock(urls, "8 days")
        later = (await browser.get("/")).text
    assert f'href="/messages/{message_id}"' in text
    assert "The server refused it." in text
    assert "The server refused it." not in later


async def test_strangers_see_only_their_own(
    app: Starlette, database: Database, agent: Caller, stranger: Caller, source_id: UUID
) -> None:
    await open_lead(database, agent, source_id)
    async with signed_in(app, database, stranger) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    assert "Ada Byron" not in answer.text


async def test_viewers_are_not_offered_to_accept(
    app: Starlette, database: Database, agent: Caller, viewer: Caller, source_id: UUID
) -> None:
    await open_lead(database, agent, source_id)
    async with signed_in(app, database, viewer) as browser:
        text = (await browser.get("/")).text
    assert "Ada Byron" in text
    assert "/accept" not in text


async def test_the_page_takes_a_bounded_number_of_queries(
    app: Starlette, database: Database, agent: Caller, source_id: UUID
) -> None:
    counts = []
    async with signed_in(app, database, agent) as browser:
        for number in range(12):
            await open_lead(database, agent, source_id, f"Person {number}")
            with recorded_queries() as made:
                assert (await browser.get("/")).status_code == 200
            counts.append(len(made))
    # The first visit of a day reads the days before it once.
    assert {count - counts[-1] for count in counts} <= {0, 1}
    assert max(counts) <= MOST_QUERIES


async def test_today_counts_new_leads_and_how_quickly_they_were_answered(
    database: Database, agent: Caller, source_id: UUID, urls: Urls
) -> None:
    first = await open_lead(database, agent, source_id)
    await open_lead(database, agent, source_id, "Bob Stone")
    await move_clock(urls, "10 minutes")
    async with database.transaction(agent.workspace_id) as tx:
        reply = Event("message.sent", lead_id=first, data={"purpose": "reply"})
        await events.append(tx, [reply])
        found = await numbers.load_numbers(tx, agent)
    assert found.answered_today == 1
    assert found.median_minutes is not None
    assert 10 <= found.median_minutes < 11
    assert found.in_time_percent == 100
    assert len(found.days) == 14
    assert found.days[-1].answers == 1
    assert [day.answers for day in found.days[:-1]] == [0] * 13
