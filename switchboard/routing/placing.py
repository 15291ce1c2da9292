"""Placing a batch of subjects with people: one locked pass over each rota, then one write of everything.

The order of locks is: the subjects' assignments by id (the caller's part), then the members of the rotas by user.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from switchboard.accounts import service as accounts
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import SYSTEM, Actor, Event
from switchboard.kernel.queues import wake
from switchboard.routing import repository
from switchboard.routing.models import Assignment, Candidate, Outcome, RuleMatch, State
from switchboard.routing.picking import Choice, Refusal, Roster
from switchboard.routing.repository import Ruling
from switchboard.routing.rosters import Batch, Colleagues, load_colleagues, name_of, open_rosters

WAITING_QUEUE = "waiting"
QUEUED = Refusal("queue", "free, but others have waited longer")


class Request(msgspec.Struct, frozen=True):
    """What is asked for one subject: a rota, or one person (`user_id`, for the reason `why`), or neither.

    `former` is its assignment before. A hand-on does not wait: when nobody is left it goes to the supervisor.
    """

    subject_id: UUID
    kind: str
    contact_id: UUID | None
    trigger: str
    rota_id: UUID | None = None
    user_id: UUID | None = None
    why: str = ""
    rule: RuleMatch | None = None
    accept_within: timedelta | None = None
    former: Assignment | None = None
    is_hand_on: bool = False
    note: str = ""

    @property
    def passed_over(self) -> list[UUID]:
        """Those who have had their chance; asked anew, everybody has one again."""
        if not self.is_hand_on or self.former is None:
            return []
        last = self.former.owner_id
        return [*self.former.passed_over, *([last] if last and last not in self.former.passed_over else [])]


class Table:
    """The locked rosters of a batch, and the people of the workspace."""

    def __init__(self, rosters: dict[UUID, Roster], colleagues: Colleagues, supervisor_id: UUID | None) -> None:
        self.rosters = rosters
        self.colleagues = colleagues
        self.supervisor_id = supervisor_id
        self._loads: Counter[UUID] = next((roster.loads for roster in rosters.values()), Counter())

    def rule_on(self, request: Request) -> Ruling:
        """Decide one subject, counting it at once."""
        self._take_back(request.former)
        if request.user_id is not None:
            return self._give(request, request.user_id, request.why)
        roster = self.rosters.get(request.rota_id) if request.rota_id else None
        if roster is None:
            return self._without_rota(request)
        if roster.has_queue and not request.is_hand_on:
            candidates = roster.refuse_all(QUEUED)
            return self._wait(request, roster, candidates, "Others wait for this rota already: it waits behind them.")
        choice = roster.choose(request.contact_id, request.passed_over)
        if choice.chosen_id is not None:
            return _ruling(request, "offered", choice.chosen_id, choice.candidates, roster)
        if request.is_hand_on:
            return self._escalate(request, roster.rota.supervisor_id, choice, roster)
        roster.has_queue = True
        return self._wait(request, roster, choice.candidates, "Nobody is available: it waits, oldest first.")

    def _take_back(self, former: Assignment | None) -> None:
        if former is not None and former.is_held and former.owner_id is not None:
            self._loads[former.owner_id] -= 1

    def _give(
        self, request: Request, user_id: UUID, why: str, others: Sequence[Candidate] = (), roster: Roster | None = None
    ) -> Ruling:
        self._loads[user_id] += 1
        chosen = Candidate(user_id, name_of(user_id, self.colleagues), "chosen", f"chosen: {why}")
        kept = [candidate for candidate in others if candidate.user_id != user_id]
        return _ruling(request, "offered", user_id, [*kept, chosen], roster)

    def _wait(self, request: Request, roster: Roster | None, candidates: Sequence[Candidate], note: str) -> Ruling:
        return _ruling(replace(request, note=_joined(request.note, note)), "waiting", None, candidates, roster)

    def _without_rota(self, request: Request) -> Ruling:
        if request.is_hand_on:
            return self._escalate(request, None, Choice(None, ()), None)
        if self.supervisor_id is not None and self.supervisor_id in self.colleagues:
            return self._give(request, self.supervisor_id, "supervisor: no rule names anybody else")
        return self._wait(request, None, (), "No rule names anybody, and the workspace has no supervisor.")

    def _escalate(self, request: Request, rotas_own: UUID | None, choice: Choice, roster: Roster | None) -> Ruling:
        for supervisor_id in (rotas_own, self.supervisor_id):
            if supervisor_id and supervisor_id in self.colleagues and supervisor_id not in request.passed_over:
                why = "supervisor: nobody else is left to try"
                given = self._give(request, supervisor_id, why, choice.candidates, roster)
                return replace(given, is_last_resort=True)
        last = request.former.owner_id if request.former else None
        if last is None:
            return self._wait(request, roster, choice.candidates, "Nobody is left to try.")
        note = "Nobody is left to try, and no supervisor is named: it stays where it is."
        # Without anybody to go on to, a clock would only run out again.
        stays = replace(request, note=_joined(request.note, note), accept_within=None)
        given = self._give(stays, last, "stays, nobody else is left to try", choice.candidates, roster)
        return replace(given, is_last_resort=True)


class Plan(msgspec.Struct, frozen=True):
    """What has been decided and not been written; its rotas are held until the transaction ends.

    `could_serve` are the rotas that had somebody free although others waited.
    """

    table: Table
    requests: Sequence[Request]
    rulings: Sequence[Ruling]
    could_serve: frozenset[UUID]

    def list_owners(self) -> dict[UUID, UUID]:
        """Who is to have each subject, without those that wait."""
        return {ruling.subject_id: ruling.owner_id for ruling in self.rulings if ruling.owner_id is not None}


async def place(
    tx: Tx, requests: Sequence[Request], *, actor: Actor = SYSTEM, colleagues: Colleagues | None = None
) -> list[Outcome]:
    """Decide the requests in their order and write all of it; their assignments must be locked."""
    if not requests:
        return []
    return await settle(tx, await decide(tx, requests, colleagues), actor)


async def decide(tx: Tx, requests: Sequence[Request], colleagues: Colleagues | None = None) -> Plan:
    """Decide the requests in their order; their assignments must be locked."""
    table = await open_table(tx, requests, colleagues)
    free = {rota_id for rota_id, roster in table.rosters.items() if roster.has_queue and roster.has_anybody()}
    return Plan(table, requests, [table.rule_on(request) for request in requests], frozenset(free))


async def settle(tx: Tx, plan: Plan, actor: Actor = SYSTEM, *, are_first: bool = False) -> list[Outcome]:
    """Write what was decided, in the same transaction; `are_first` says that it has made all of the subjects."""
    outcomes = await carry_out(tx, plan.table, plan.requests, plan.rulings, actor, are_first=are_first)
    if any(ruling.state == "waiting" and ruling.rota_id in plan.could_serve for ruling in plan.rulings):
        await wake(tx, WAITING_QUEUE)
    return outcomes


async def open_table(tx: Tx, requests: Sequence[Request], colleagues: Colleagues | None = None) -> Table:
    """The rosters that these requests ask for, locked until the transaction ends."""
    colleagues = colleagues if colleagues is not None else await load_colleagues(tx)
    batch = Batch(
        contact_ids=list({request.contact_id for request in requests if request.contact_id}),
        subject_ids=[request.subject_id for request in requests],
    )
    rota_ids = sorted({request.rota_id for request in requests if request.rota_id and not request.user_id})
    rosters = await open_rosters(tx, rota_ids, colleagues, batch)
    return Table(rosters, colleagues, (await tx.remember("workspace", accounts.get_workspace)).supervisor_id)


async def carry_out(
    tx: Tx,
    table: Table,
    requests: Sequence[Request],
    rulings: Sequence[Ruling],
    actor: Actor = SYSTEM,
    *,
    are_first: bool = False,
) -> list[Outcome]:
    """Write assignments, decisions, counters and events of a batch."""
    moved = [(roster.rota.id, standing) for roster in table.rosters.values() for standing in roster.changed()]
    await repository.save_rulings(tx, rulings, moved, are_first=are_first)
    now = await tx.now()
    outcomes = [
        Outcome(
            subject_id=ruling.subject_id,
            state=ruling.state,
            owner_id=ruling.owner_id,
            rota_id=ruling.rota_id,
            accept_by=now + ruling.accept_within if ruling.accept_within and ruling.state == "offered" else None,
            note=ruling.note,
            is_last_resort=ruling.is_last_resort,
        )
        for ruling in rulings
    ]
    triples = zip(requests, rulings, outcomes, strict=True)
    await events.append(tx, [event for triple in triples for event in _events(*triple, actor)])
    return outcomes


def event_about(kind: str, verb: str, subject_id: UUID, contact_id: UUID | None, actor: Actor, **data: object) -> Event:
    """An event such as `lead.assigned`, which names the lead when the subject is one."""
    lead_id = subject_id if kind == "lead" else None
    return Event(
        f"{kind}.{verb}", subject_id=subject_id, contact_id=contact_id, lead_id=lead_id, actor=actor, data=data
    )


def _events(request: Request, ruling: Ruling, outcome: Outcome, actor: Actor) -> list[Event]:
    previous = request.former.owner_id if request.former and request.former.is_held else None
    if request.is_hand_on and ruling.owner_id == previous:
        return []
    data = {
        "owner_id": outcome.owner_id,
        "previous_owner_id": previous,
        "rota_id": outcome.rota_id,
        "rule": request.rule.name if request.rule else None,
        "trigger": request.trigger,
        "accept_by": outcome.accept_by.isoformat() if outcome.accept_by else None,
    }
    if ruling.state == "waiting":
        return [event_about(request.kind, "waiting", request.subject_id, request.contact_id, actor, **data)]
    verbs = ["handed_on", "assigned"] if request.is_hand_on else ["assigned"]
    return [event_about(request.kind, verb, request.subject_id, request.contact_id, actor, **data) for verb in verbs]


def _ruling(
    request: Request, state: State, owner_id: UUID | None, candidates: Sequence[Candidate], roster: Roster | None
) -> Ruling:
    hand_ons = (request.former.hand_ons if request.former else 0) + 1 if request.is_hand_on else 0
    return Ruling(
        subject_id=request.subject_id,
        kind=request.kind,
        contact_id=request.contact_id,
        trigger=request.trigger,
        state=state,
        owner_id=owner_id,
        rota_id=roster.rota.id if roster else None,
        rota_name=roster.rota.name if roster else None,
        strategy=roster.rota.strategy if roster else None,
        rule=request.rule,
        hand_ons=hand_ons,
        passed_over=request.passed_over,
        accept_within=request.accept_within,
        note=request.note,
        candidates=candidates,
    )


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()
