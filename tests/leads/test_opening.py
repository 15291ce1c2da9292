"""Enquiries become leads: one open lead a contact, whoever else sees the same contact."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.leads import service
from switchboard.leads.models import Opened
from tests.leads.conftest import enquiry, list_events, meet, open_lead, read


async def test_a_new_workspace_has_its_stages(database: Database, agent: Caller) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        stages = await service.list_stages(tx)
    assert [stage.key for stage in stages] == ["new", "contacted", "qualified", "proposal", "won", "lost"]


async def test_the_first_enquiry_opens_a_lead_with_a_clock(database: Database, agent: Caller, source_id: UUID) -> None:
    asked = datetime.now(UTC) - timedelta(hours=3)
    lead_id = await open_lead(
        database, agent, source_id, title="Kitchen", value_minor=250_000, currency="eur", occurred_at=asked
    )
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.title, lead.value_minor, lead.currency, lead.signals) == (
        "new",
        "Kitchen",
        250_000,
        "EUR",
        1,
    )
    assert lead.created_at == asked
    assert lead.respond_by is not None
    # The clock begins when we hear of it: 15 minutes are the workspace's default.
    assert timedelta(minutes=14) < lead.respond_by - datetime.now(UTC) <= timedelta(minutes=15)
    assert await list_events(database, agent, lead_id) == ["lead.created", "lead.waiting"]


async def test_the_next_enquiry_joins_and_fills_what_was_missing(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    first = await open_lead(database, agent, source_id, utm={"source": "google"}, fields={"size": "10", "plan": "a"})
    async with database.transaction(agent.workspace_id) as tx:
        contact_id = await meet(tx, "Ada Byron")
        answers = await service.open_or_join(
            tx,
            [
                enquiry(contact_id, source_id, title="Call me", utm={"source": "bing", "medium": "cpc"}),
                enquiry(contact_id, source_id, value_minor=900, currency="USD", fields={"plan": "b"}),
            ],
        )
    assert answers == [Opened(first, False), Opened(first, False)]
    lead = await read(database, agent, first)
    assert lead.signals == 3
    assert lead.title == "Call me"
    assert lead.utm == {"source": "google", "medium": "cpc"}
    assert lead.fields == {"size": "10", "plan": "b"}
    assert (lead.value_minor, lead.currency) == (900, "USD")
    assert (await list_events(database, agent, first)).count("lead.joined") == 1


async def test_two_enquiries_of_one_batch_are_one_new_lead(database: Database, agent: Caller, source_id: UUID) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        ada, bob = await meet(tx, "Ada Byron"), await meet(tx, "Bob Stone")
        answers = await service.open_or_join(tx, [enquiry(each, source_id) for each in (ada, bob, ada)])
    assert [answer.is_new for answer in answers] == [True, True, False]
    assert answers[0].lead_id == answers[2].lead_id != answers[1].lead_id


async def test_fifty_batches_at_once_open_one_lead_a_contact(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        contacts = [await meet(tx, f"Person {number}") for number in range(20)]

    async def ask(shift: int) -> list[Opened]:
        ordered = contacts[shift:] + contacts[:shift]
        async with database.transaction(agent.workspace_id) as tx:
            return await service.open_or_join(tx, [enquiry(each, source_id) for each in ordered])

    answers = [
        answer for batch in await asyncio.gather(*(ask(number % 20) for number in range(50))) for answer in batch
    ]
    assert len({answer.lead_id for answer in answers}) == 20
    assert sum(answer.is_new for answer in answers) == 20
    async with database.transaction(agent.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT DISTINCT signals FROM app.lead") == [(50,)]


async def test_junk_is_kept_closed_beside_the_open_lead(database: Database, agent: Caller, source_id: UUID) -> None:
    real = await open_lead(database, agent, source_id)
    junk = await open_lead(database, agent, source_id, is_junk=True, junk_reason="filled the honeypot")
    assert junk != real
    lead = await read(database, agent, junk)
    assert lead.is_junk
    assert lead.junk_reason == "filled the honeypot"
    assert not lead.is_open
    assert await list_events(database, agent, junk) == ["lead.created", "lead.junked"]
    assert (await read(database, agent, real)).signals == 1


async def test_a_past_deal_is_recorded_and_starts_nothing(database: Database, agent: Caller, source_id: UUID) -> None:
    lead_id = await open_lead(database, agent, source_id, stage="WON")
    lead = await read(database, agent, lead_id)
    assert (lead.stage, lead.is_open) == ("won", False)
    assert await list_events(database, agent, lead_id) == ["lead.recorded"]


async def test_a_source_that_says_won_closes_the_open_lead(database: Database, agent: Caller, source_id: UUID) -> None:
    first = await open_lead(database, agent, source_id)
    async with database.transaction(agent.workspace_id) as tx:
        asked = enquiry(await meet(tx, "Ada Byron"), source_id, stage="Won")
        assert await service.open_or_join(tx, [asked]) == [Opened(first, False, is_open=False)]
    lead = await read(database, agent, first)
    assert (lead.stage, lead.is_open, lead.signals) == ("won", False, 2)


async def test_after_a_closed_lead_the_next_enquiry_opens_another(
    database: Database, agent: Caller, source_id: UUID
) -> None:
    first = await open_lead(database, agent, source_id)
    async with database.transaction(agent.workspace_id) as tx:
        await service.change_stage(tx, agent, [first], "lost")
    assert await open_lead(database, agent, source_id) != first


async def test_an_unknown_stage_of_a_sender_begins_as_new(database: Database, agent: Caller, source_id: UUID) -> None:
    lead = await read(database, agent, await open_lead(database, agent, source_id, stage="Marketing qualified"))
    assert lead.stage == "new"


@pytest.mark.parametrize("seed", range(6))
async def test_one_batch_makes_of_enquiries_what_single_ones_do(
    database: Database, agent: Caller, source_id: UUID, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 the same enquiries in every run
    asked = [
        {
            "title": chance.choice(["", "Kitchen", "Bath"]),
            "value_minor": chance.choice([None, 100, 200]),
            "currency": chance.choice(["EUR", "usd", "rubbish", None]),
            "utm": {name: str(chance.random()) for name in chance.sample(["source", "medium", "term"], 2)},
            "fields": {name: str(chance.random()) for name in chance.sample(["a", "b", "c"], 2)},
        }
        for _ in range(5)
    ]
    async with database.transaction(agent.workspace_id) as tx:
        together, apart = await meet(tx, "Ada Byron"), await meet(tx, "Bob Stone")
        (first, *_) = await service.open_or_join(tx, [enquiry(together, source_id, **each) for each in asked])
        for each in asked:
            (second,) = await service.open_or_join(tx, [enquiry(apart, source_id, **each)])
    leads = [await read(database, agent, lead_id) for lead_id in (first.lead_id, second.lead_id)]
    shown = [(each.title, each.value_minor, each.currency, each.utm, each.fields, each.signals) for each in leads]
    assert shown[0] == shown[1]
