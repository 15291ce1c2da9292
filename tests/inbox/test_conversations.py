"""What members do with conversations, and who may."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.inbox import repository, service
from switchboard.inbox.errors import ConversationNotFoundError
from switchboard.inbox.holder import ConversationHolder
from switchboard.inbox.models import Conversation, Position, View
from switchboard.kernel.db import Database, Params, Row, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.people import merging
from switchboard.people import service as people
from switchboard.routing import service as routing
from tests.conftest import Urls, move_clock
from tests.inbox.conftest import Team, make_mail, run_jobs


@pytest.fixture
async def waiting(team: Team, agent: Caller) -> Conversation:
    """Ann has written and waits."""
    await team.receive(make_mail(message_id="<first@x.example>", subject="Shipping"))
    return await team.conversation(agent)


async def test_an_answer_goes_out_in_the_thread_and_nobody_waits_any_more(
    team: Team, agent: Caller, waiting: Conversation
) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        await service.save_draft(tx, agent, waiting.id, "Yes, we")
        assert await service.reply(tx, agent, waiting.id, body="Yes, we do.\r\n", key=uuid4())
    out, _ = await team.messages(waiting.contact_id)
    assert (out.direction, out.purpose, out.state, out.address) == ("out", "reply", "queued", "ann@x.example")
    assert (out.subject, out.body_text) == ("Re: Shipping", "Yes, we do.")
    assert out.in_reply_to == "<first@x.example>"
    assert list(out.reference_ids) == ["<first@x.example>"]
    assert (out.conversation_id, out.created_by) == (waiting.id, agent.user_id)
    after = await team.conversation(agent)
    assert not after.is_waiting
    assert after.owner_id == agent.user_id
    assert after.preview == "Yes, we do."
    async with team.database.transaction(team.workspace_id) as tx:
        assert await service.find_draft(tx, agent, waiting.id) == ""
    (answered,) = await team.events("conversation.answered")
    assert answered["data"] == {"message_id": str(out.id)}


async def test_the_same_form_sent_twice_is_one_answer(team: Team, agent: Caller, waiting: Conversation) -> None:
    key = uuid4()
    for expected in (True, False):
        async with team.database.transaction(team.workspace_id) as tx:
            assert await service.reply(tx, agent, waiting.id, body="Yes.", key=key) is expected
    assert [one.direction for one in await team.messages(waiting.contact_id)] == ["out", "in"]


async def test_who_answers_a_lead_that_nobody_accepted_has_accepted_it(
    team: Team, agent: Caller, owner: Caller
) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    lead_id = await team.give(contact_id, owner)
    await team.receive(make_mail())
    conversation = await team.conversation(agent)
    for caller in (agent, owner):
        async with team.database.transaction(team.workspace_id) as tx:
            await service.reply(tx, caller, conversation.id, body="Yes.", key=uuid4())
            assignment = (await routing.find_assignments(tx, [lead_id]))[lead_id]
        # The first who answers has it; the second only helps.
        assert (assignment.state, assignment.owner_id) == ("accepted", agent.user_id)
    (accepted,) = await team.events("lead.accepted")
    assert accepted["data"]["owner_id"] == str(agent.user_id)
    assert [row["data"]["trigger"] for row in await team.events("lead.assigned")] == ["a test", "answered"]


async def test_an_answer_to_nobodys_lead_or_a_released_one_accepts_nothing(
    team: Team, agent: Caller, waiting: Conversation
) -> None:
    lead_id = await team.give(waiting.contact_id, agent)
    async with team.database.transaction(team.workspace_id) as tx:
        await routing.release(tx, [lead_id])
        assert await service.reply(tx, agent, waiting.id, body="Yes.", key=uuid4())
    assert await team.events("lead.accepted") == []


@pytest.mark.parametrize("body", ["", "  \n ", "\x00", "x" * 100_001])
async def test_an_answer_needs_words_and_not_too_many(
    team: Team, agent: Caller, waiting: Conversation, body: str
) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        with pytest.raises(InvalidError):
            await service.reply(tx, agent, waiting.id, body=body, key=uuid4())
    assert (await team.conversation(agent)).is_waiting


async def test_the_first_word_may_be_ours(team: Team, agent: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    lead_id = await team.ask(contact_id)
    async with team.database.transaction(team.workspace_id) as tx:
        with pytest.raises(InvalidError) as refused:
            async with tx.savepoint():
                await service.reply_to_contact(tx, agent, contact_id, body="Hello", subject="", key=uuid4())
        await service.reply_to_contact(
            tx, agent, contact_id, body="Hello", subject="Your enquiry", key=uuid4(), lead_id=lead_id
        )
    assert refused.value.problems[0].field == "subject"
    conversation = await team.conversation(agent)
    assert (conversation.subject, conversation.lead_id) == ("Your enquiry", lead_id)
    assert not conversation.is_waiting
    (out,) = await team.messages(contact_id)
    assert (out.address, out.in_reply_to, out.lead_id) == ("ann@x.example", None, lead_id)


async def test_there_must_be_an_address_to_answer_to(team: Team, agent: Caller) -> None:
    contact_id = await team.recognise("Ann Xu", "")
    async with team.database.transaction(team.workspace_id) as tx:
        with pytest.raises(InvalidError, match="no address"):
            await service.reply_to_contact(tx, agent, contact_id, body="Hello", subject="Hi", key=uuid4())


async def test_what_is_put_off_comes_back_by_itself(
    team: Team, agent: Caller, waiting: Conversation, urls: Urls
) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        await service.snooze(tx, agent, waiting.id, await tx.now() + timedelta(hours=2))
    assert await team.conversations(agent) == []
    assert (await team.conversation(agent, "snoozed")).id == waiting.id
    await move_clock(urls, "119 minutes")
    await run_jobs(team.database)
    assert await team.conversations(agent) == []
    await move_clock(urls, "121 minutes")
    await run_jobs(team.database)
    back = await team.conversation(agent)
    assert back.snoozed_until is None
    assert back.waiting_since == waiting.waiting_since
    assert len(await team.events("conversation.woken")) == 1


async def test_the_newest_time_counts_whichever_comes_first(
    team: Team, agent: Caller, waiting: Conversation, urls: Urls
) -> None:
    for hours in (5, 1, 3):
        async with team.database.transaction(team.workspace_id) as tx:
            await service.snooze(tx, agent, waiting.id, await tx.now() + timedelta(hours=hours))
    await move_clock(urls, "2 hours")
    await run_jobs(team.database)
    assert await team.conversations(agent) == []
    await move_clock(urls, "181 minutes")
    await run_jobs(team.database)
    assert len(await team.conversations(agent)) == 1


async def test_mail_brings_back_what_was_put_off(team: Team, agent: Caller, waiting: Conversation) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        await service.snooze(tx, agent, waiting.id, await tx.now() + timedelta(days=2))
    await team.receive(make_mail("Any news?"))
    assert (await team.conversation(agent)).state == "open"


async def test_time_to_come_back_lies_ahead(team: Team, agent: Caller, waiting: Conversation) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        with pytest.raises(InvalidError):
            await service.snooze(tx, agent, waiting.id, await tx.now())


async def test_closed_and_opened_again_waits_as_before(team: Team, agent: Caller, waiting: Conversation) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        await service.close(tx, agent, waiting.id)
        assert await service.count_waiting(tx) == 0
    assert (await team.conversation(agent, "closed")).id == waiting.id
    async with team.database.transaction(team.workspace_id) as tx:
        await service.reopen(tx, agent, waiting.id)
        assert await service.count_waiting(tx) == 1
    assert (await team.conversation(agent)).waiting_since == waiting.waiting_since


async def test_views_show_whose_turn_it_is(team: Team, agent: Caller, owner: Caller, waiting: Conversation) -> None:
    assert [len(await team.conversations(agent, view)) for view in ("mine", "unassigned")] == [0, 1]
    async with team.database.transaction(team.workspace_id) as tx:
        await service.assign(tx, owner, waiting.id, agent.user_id)
    assert [len(await team.conversations(agent, view)) for view in ("mine", "unassigned")] == [1, 0]
    assert await team.conversations(owner, "mine") == []
    (row,) = await team.conversations(agent, "mine")
    assert (row.contact_title, row.owner_name) == ("Ann Xu", "Amir Agent")


async def test_only_who_may_answer_can_be_given_it(
    team: Team, agent: Caller, viewer: Caller, stranger: Caller, waiting: Conversation
) -> None:
    for user_id in (viewer.user_id, stranger.user_id, uuid4()):
        async with team.database.transaction(team.workspace_id) as tx:
            with pytest.raises(InvalidError):
                await service.assign(tx, agent, waiting.id, user_id)
    assert await team.events("conversation.assigned") == []


async def test_overdue_is_who_waits_longer_than_the_workspace_allows(
    team: Team, agent: Caller, waiting: Conversation, urls: Urls
) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        assert await service.list_overdue(tx) == []
    await move_clock(urls, "16 minutes")
    async with team.database.transaction(team.workspace_id) as tx:
        (overdue,) = await service.list_overdue(tx)
    assert overdue.conversation.id == waiting.id


async def test_a_note_stays_among_us(team: Team, agent: Caller, waiting: Conversation) -> None:
    async with team.database.transaction(team.workspace_id) as tx:
        await service.note(tx, agent, waiting.id, "Knows Bob.")
        (note,) = await people.list_notes(tx, waiting.contact_id)
    assert (note.body, note.author_id) == ("Knows Bob.", agent.user_id)
    assert [one.direction for one in await team.messages(waiting.contact_id)] == ["in"]
    assert (await team.conversation(agent)).is_waiting


Act = Callable[[Tx, Caller, UUID], Awaitable[object]]
ACTS: list[Act] = [
    lambda tx, caller, one: service.reply(tx, caller, one, body="Hi", key=uuid4()),
    lambda tx, caller, one: service.note(tx, caller, one, "Hm"),
    lambda tx, caller, one: service.assign(tx, caller, one, caller.user_id),
    lambda tx, caller, one: service.save_draft(tx, caller, one, "H"),
    service.close,
    service.reopen,
]


@pytest.mark.parametrize("act", ACTS)
async def test_viewers_only_read_and_strangers_find_nothing(
    team: Team,
    viewer: Caller,
    stranger: Caller,
    waiting: Conversation,
    act: Act,
) -> None:
    tables = ("conversation", "message", "note", "draft", "event")
    before = [await team.rows(f"SELECT * FROM app.{table} ORDER BY 1") for table in tables]
    async with team.database.transaction(team.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await act(tx, viewer, waiting.id)
    async with team.database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(ConversationNotFoundError):
            await act(tx, stranger, waiting.id)
        with pytest.raises(ConversationNotFoundError):
            await act(tx, stranger, uuid4())
    assert [await team.rows(f"SELECT * FROM app.{table} ORDER BY 1") for table in tables] == before


async def test_a_list_goes_on_where_it_ended(team: Team, agent: Caller) -> None:
    for number in range(5):
        await team.receive(make_mail(sender=f"p{number}@x.example", subject=str(number)))
    async with team.database.transaction(team.workspace_id) as tx:
        first = await service.list_conversations(tx, agent, "open", limit=3)
        last = first[-1].conversation
        position = Position(last.last_message_at, last.id)
        rest = await service.list_conversations(tx, agent, "open", after=position, limit=3)
    assert [row.conversation.subject for row in [*first, *rest]] == ["4", "3", "2", "1", "0"]


async def test_a_merge_makes_one_conversation_and_an_undo_two(team: Team, agent: Caller) -> None:
    await team.receive(make_mail("From work.", sender="Ann Xu <ann@x.example>"))
    work = await team.conversation(agent)
    await team.receive(make_mail("From home.", sender="Ann Xu <ann@home.example>"))
    home = next(row.conversation for row in await team.conversations(agent) if row.conversation.id != work.id)
    async with team.database.transaction(team.workspace_id) as tx:
        await service.close(tx, agent, work.id)
        merge_id = await merging.merge(tx, agent, work.contact_id, home.contact_id, [ConversationHolder()])
    kept = await team.conversation(agent)
    assert (kept.id, kept.state, kept.contact_id) == (work.id, "open", work.contact_id)
    async with team.database.transaction(team.workspace_id) as tx:
        assert (await service.access_conversation(tx, agent, home.id)).id == work.id
        await merging.undo(tx, agent, merge_id, [ConversationHolder()])
    back = {row.conversation.id: row.conversation for row in await team.conversations(agent)}
    assert back[home.id] == home
    assert set(back) == {work.id, home.id}


async def test_a_merge_into_somebody_silent_moves_the_conversation(team: Team, agent: Caller) -> None:
    silent = await team.recognise("Ann", "ann@old.example")
    await team.receive(make_mail())
    before = await team.conversation(agent)
    async with team.database.transaction(team.workspace_id) as tx:
        merge_id = await merging.merge(tx, agent, silent, before.contact_id, [ConversationHolder()])
    assert (await team.conversation(agent)).contact_id == silent
    async with team.database.transaction(team.workspace_id) as tx:
        await merging.undo(tx, agent, merge_id, [ConversationHolder()])
    assert await team.conversation(agent) == before


@pytest.mark.parametrize(
    ("view", "index"),
    [
        ("open", "conversation_list"),
        ("mine", "conversation_by_owner"),
        ("unassigned", "conversation_unowned"),
        ("snoozed", "conversation_list"),
        ("closed", "conversation_list"),
    ],
)
async def test_lists_walk_an_index(
    database: Database, workspace_id: UUID, agent: Caller, view: View, index: str
) -> None:
    async with database.transaction(workspace_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        await tx.execute("SET LOCAL enable_sort = off")
        plans: list[str] = []
        explain = _Explaining(tx, plans)
        await repository.list_conversations(explain, view, me=agent.user_id, after=None, limit=50)
    (plan,) = plans
    assert "Sort" not in plan
    assert index in plan


class _Explaining(Tx):
    """Asks for the plan of each statement instead of running it."""

    def __init__(self, tx: Tx, plans: list[str]) -> None:
        super().__init__(tx.connection, tx.hub, tx.workspace_id)
        self._plans = plans

    async def fetch_all(self, row: type[Row], sql: str, params: Params = ()) -> list[Row]:  # noqa: ARG002
        lines = await self.fetch_tuples(f"EXPLAIN {sql}", params)
        self._plans.append("\n".join(line[0] for line in lines))
        return []
