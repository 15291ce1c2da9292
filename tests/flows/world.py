"""A small company for tests of running flows: people, leads, letters, and a stepper to call by hand."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts.models import system_caller
from switchboard.entrypoints.assembly import subject_kinds
from switchboard.flows import service
from switchboard.flows.models import StoredFlow
from switchboard.flows.stepper import StepLoop
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.leads import service as leads
from switchboard.leads.models import Enquiry
from switchboard.people import service as people
from switchboard.people.models import Sighting

KINDS = subject_kinds()
LETTERS = ("welcome", "second", "third")


def stepper(database: Database, *, of_campaigns: bool = False) -> StepLoop:
    """A loop as a fresh process has it."""
    return StepLoop(database, KINDS, of_campaigns=of_campaigns, public_url="https://switchboard.example")


async def settle(database: Database, *, most: int = 50, loop: StepLoop | None = None) -> int:
    """Tick until nothing more is due; returns how many runs were moved."""
    loops, moved = [loop] if loop else [stepper(database), stepper(database, of_campaigns=True)], 0
    for _ in range(most):
        ticks = [await each.tick() for each in loops]
        moved += sum(tick.handled for tick in ticks)
        if not any(tick.has_more for tick in ticks):
            return moved
    raise AssertionError("the stepper never comes to rest")


async def add_contact(tx: Tx, email: str, **details: object) -> UUID:
    """Somebody by e-mail address."""
    (found,) = await people.recognise(tx, [Sighting(email=email, **details)], "DE")  # type: ignore[arg-type]
    assert found.contact_id is not None
    return found.contact_id


async def add_lead(tx: Tx, contact_id: UUID, **details: object) -> UUID:
    """An enquiry of theirs, as intake opens it; flows start by its event."""
    enquiry = Enquiry(contact_id=contact_id, source_id=new_id(), occurred_at=await tx.now(), **details)  # type: ignore[arg-type]
    (opened,) = await leads.open_or_join(tx, [enquiry])
    return opened.lead_id


async def add_letters(tx: Tx, names: Sequence[str] = LETTERS) -> None:
    """Templates by these names, as short as they can be."""
    for name in names:
        template_id = new_id()
        await tx.execute(
            "INSERT INTO app.template (id, workspace_id, name, title, purpose) VALUES (%s, %s, %s, %s, 'marketing')",
            (template_id, tx.workspace_id, name, name),
        )
        await tx.execute(
            "INSERT INTO app.template_version (template_id, version, workspace_id, subject, body)"
            " VALUES (%s, 1, %s, 'Hello', '<mjml><mj-body></mj-body></mjml>')",
            (template_id, tx.workspace_id),
        )


async def save_active(tx: Tx, source: str) -> StoredFlow:
    """Save a flow and let it run."""
    caller = system_caller(tx.workspace_id)
    flow = await service.save_flow(tx, caller, source, KINDS)
    await service.activate(tx, caller, flow.id, KINDS)
    return flow


async def tell(
    tx: Tx, kind: str, *, contact_id: UUID | None = None, lead_id: UUID | None = None, **data: object
) -> None:
    """Append one event."""
    await events.append(tx, [Event(kind, lead_id or contact_id, contact_id, lead_id, data=data)])


async def sent_letters(tx: Tx) -> list[tuple[str, str]]:
    """Template and state of every message a flow wrote to contacts, in order."""
    rows = await tx.fetch_tuples(
        "SELECT t.name, m.state FROM app.message m JOIN app.template t ON t.id = m.template_id ORDER BY m.id"
    )
    return [(row[0], row[1]) for row in rows]


async def endings(tx: Tx) -> list[tuple[str, str]]:
    """Outcome and reason of every run that has ended, in order."""
    rows = await tx.fetch_tuples("SELECT outcome, reason FROM app.run_ended ORDER BY ended_at, id")
    return [(row[0], row[1]) for row in rows]


async def running(tx: Tx) -> list[tuple[int, str]]:
    """Step and phase of every run that is going, in order."""
    rows = await tx.fetch_tuples("SELECT step, phase FROM app.run ORDER BY id")
    return [(row[0], row[1]) for row in rows]
