"""The loop that gives waiting subjects to people as soon as somebody is available, the oldest of a rota first."""

from collections.abc import Sequence
from itertools import takewhile
from uuid import UUID

from switchboard.kernel.db import Database, Tx
from switchboard.kernel.queues import Tick
from switchboard.routing import repository, repository_rotas
from switchboard.routing.locking import lock_subjects
from switchboard.routing.models import Assignment, RuleMatch, ids_of
from switchboard.routing.placing import WAITING_QUEUE, Request, Table, carry_out, open_table
from switchboard.routing.repository import Ruling
from switchboard.routing.rosters import Batch, load_colleagues, open_rosters

BATCH = 200


class WaitingLoop:
    """A transactional queue: shifts begin, capacity gets free, and those who wait are derived from rows and times."""

    name = WAITING_QUEUE
    due = repository.IS_WAITED

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tick(self) -> Tick:
        """One batch for each rota that somebody waits for and in which somebody is available."""
        async with self._database.queue_loop() as tx:
            waiting = await repository.list_waiting_rotas(tx)
        handled = [await self._serve(*pair) for pair in waiting]
        return Tick(sum(handled), has_more=BATCH in handled)

    async def _serve(self, workspace_id: UUID, rota_id: UUID) -> int:
        # A transaction a rota: members of two rotas are never held at once, whatever the order of the list.
        async with self._database.transaction(workspace_id) as tx:
            return await serve_waiting(tx, rota_id)


async def serve_waiting(tx: Tx, rota_id: UUID) -> int:
    """Give the oldest that wait for a rota to whoever is available; returns how many were given away."""
    places = await _count_free(tx, rota_id, BATCH)
    if places == 0:
        return 0
    oldest = await _lock_oldest(tx, rota_id, places)
    matches = await repository.find_rule_matches(tx, ids_of(oldest))
    requests = [_request(assignment, matches.get(assignment.subject_id)) for assignment in oldest]
    table = await open_table(tx, requests)
    rulings = _rule_until_nobody_is_left(table, requests)
    if rulings:
        await carry_out(tx, table, requests[: len(rulings)], rulings)
    return len(rulings)


async def _count_free(tx: Tx, rota_id: UUID, most: int) -> int:
    # Looked up without a lock each second of a night, when arrivals must not wait for a look that finds nobody.
    rosters = await open_rosters(tx, [rota_id], await load_colleagues(tx), Batch(), is_locked=False)
    return sum(roster.count_free(most) for roster in rosters.values())


async def _lock_oldest(tx: Tx, rota_id: UUID, limit: int) -> list[Assignment]:
    # The order of locks wants the subjects before the members, and only who holds the members may say who is the
    # oldest: so those who look it are locked first, and asked again when the members are held.
    locked = await lock_subjects(tx, await repository.find_oldest_waiting(tx, rota_id, limit))
    await repository_rotas.lock_members(tx, [rota_id])
    still_waiting = await repository.lock_oldest_waiting(tx, rota_id, limit)
    return list(takewhile(lambda assignment: assignment.subject_id in locked, still_waiting))


def _request(assignment: Assignment, rule: RuleMatch | None) -> Request:
    return Request(
        subject_id=assignment.subject_id,
        kind=assignment.subject_kind,
        contact_id=assignment.contact_id,
        trigger="waited its turn",
        rota_id=assignment.rota_id,
        rule=rule,
        accept_within=assignment.accept_within,
        former=assignment,
    )


def _rule_until_nobody_is_left(table: Table, requests: Sequence[Request]) -> list[Ruling]:
    for roster in table.rosters.values():
        # These are the queue themselves.
        roster.has_queue = False
    rulings = []
    for request in requests:
        ruling = table.rule_on(request)
        if ruling.state == "waiting":
            break
        rulings.append(ruling)
    return rulings
