"""A sales team with a rota, and leads to hand out."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest

from switchboard.accounts.models import Caller, system_caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.routing import rotas, service
from switchboard.routing.models import Outcome, Rota, RoutingSubject, Strategy
from tests.conftest import make_member


@pytest.fixture
async def team(database: Database, workspace_id: UUID) -> list[Caller]:
    """Anna, Ben, Cleo and Dan: agents, in this order in the rota."""
    names = ["Anna", "Ben", "Cleo", "Dan"]
    return [await make_member(database, workspace_id, f"{n.lower()}@acme.example", n, "agent") for n in names]


@pytest.fixture
async def rota_id(database: Database, workspace_id: UUID, team: Sequence[Caller]) -> UUID:
    """Sales: round robin over the team, always on; the workspace's first rota, so everything goes to it."""
    return await make_rota(database, workspace_id, "Sales", team)


async def make_rota(
    database: Database,
    workspace_id: UUID,
    name: str,
    members: Sequence[Caller],
    *,
    strategy: Strategy = "round_robin",
    capacity: int | None = None,
    weights: Sequence[int] = (),
    supervisor: Caller | None = None,
) -> UUID:
    """A rota in Berlin with these members."""
    caller = system_caller(workspace_id)
    supervisor_id = supervisor.user_id if supervisor else None
    async with database.transaction(workspace_id) as tx:
        wanted = Rota(new_id(), name, "Europe/Berlin", strategy, None, supervisor_id, 1)
        rota_id = await rotas.create_rota(tx, caller, wanted)
        for index, member in enumerate(members):
            weight = weights[index] if weights else 1
            await rotas.set_member(tx, caller, rota_id, user_of(member), weight=weight, capacity=capacity)
    return rota_id


def user_of(caller: Caller) -> UUID:
    assert caller.user_id is not None
    return caller.user_id


def make_subjects(
    count: int, facts: Mapping[str, object] | None = None, contact_id: UUID | None = None
) -> list[RoutingSubject]:
    return [RoutingSubject(new_id(), "lead", contact_id, facts or {}) for _ in range(count)]


async def route_some(
    database: Database, workspace_id: UUID, count: int, facts: Mapping[str, object] | None = None
) -> list[Outcome]:
    """Route that many new leads in one batch."""
    async with database.transaction(workspace_id) as tx:
        return await service.route(tx, make_subjects(count, facts), trigger="arrived")


def names_of(team: Sequence[Caller], outcomes: Sequence[Outcome]) -> list[str]:
    """The owners' names, `-` for those who wait."""
    names = {member.user_id: member.name for member in team}
    return [names[outcome.owner_id] if outcome.owner_id else "-" for outcome in outcomes]


async def events_about(tx: Tx, subject_id: UUID) -> list[str]:
    """The kinds of events about a subject, oldest first."""
    rows = await tx.fetch_tuples("SELECT kind FROM app.event WHERE subject_id = %s ORDER BY id", (subject_id,))
    return [row[0] for row in rows]
