"""Segments hear of events that are written without an object for each."""

import pytest

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.kernel import events
from switchboard.kernel.db import Database
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.events_alike import AlikeEvents, append_alike
from switchboard.kernel.ids import new_id
from tests.people.segment_world import filled, meet, members, work


async def test_people_of_events_written_alike_are_looked_at(database: Database, agent: Caller) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    done = await filled(database, agent, 'events.exists(e, e.kind == "run.finished" && e.data.flow == "welcome")')
    causes, nobody = f"{{{ada},{bob},{new_id()}}}", "{NULL,NULL,NULL}"
    told = AlikeEvents(
        kind="run.finished",
        cause="run_id",
        cause_ids=causes,
        subject_ids=causes,
        contact_ids=f"{{{ada},{bob},NULL}}",
        lead_ids=nobody,
        actor_kind=Actor("flow").kind,
        actor_id=agent.user_id,
        data={"flow": "welcome"},
    )
    async with database.transaction(agent.workspace_id) as tx:
        await append_alike(tx, told)
        assert await tx.fetch_value("SELECT count(*) FROM app.segment_dirty") == 2
    await work(database)
    assert await members(database, agent, done.id) == sorted([ada, bob])


@pytest.mark.parametrize(("kind", "noted"), [("contact.updated", 2), ("lead.created", 0)])
async def test_of_many_events_those_that_no_segment_reads_are_not_noted(
    database: Database, agent: Caller, kind: str, noted: int
) -> None:
    ada, bob = await meet(database, agent, "Ada", "Bob")
    await filled(database, agent, 'contact.name == "Ada"')
    async with database.transaction(agent.workspace_id) as tx:
        await events.append(tx, [Event(kind, one, one) for one in (ada, bob)])
        assert await tx.fetch_value("SELECT count(*) FROM app.segment_dirty") == noted


def test_telling_segments_needs_no_object_for_each_event() -> None:
    assert [build_hub().is_heard(kind, {}) for kind in ("run.finished", "message.queued")] == [False, False]
