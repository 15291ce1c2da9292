"""Who gets a subject: routing it by the rules, handing it on, accepting and releasing it, and why it went so."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import SYSTEM, Actor
from switchboard.kernel.queues import wake
from switchboard.routing import placing, repository, repository_rotas, repository_rules
from switchboard.routing.errors import AcceptedAlreadyError, AssignmentNotFoundError, ReleasedError
from switchboard.routing.locking import lock_subjects
from switchboard.routing.models import Assignment, Decision, Outcome, Rota, RoutingSubject, RuleMatch, ids_of
from switchboard.routing.placing import WAITING_QUEUE, Plan, Request, decide, event_about, place
from switchboard.routing.rosters import Colleagues, load_colleagues, name_of
from switchboard.routing.rules import Match, match_rule, read_facts

MOST_DECISIONS = 50

LoadFacts = Callable[[Tx, Sequence[UUID]], Awaitable[Mapping[UUID, Mapping[str, object]]]]
"""The facts of subjects by id, nested as the names in RULE_FIELDS are."""


async def route(
    tx: Tx, subjects: Sequence[RoutingSubject], *, trigger: str, load_facts: LoadFacts | None = None
) -> list[Outcome]:
    """Ask the rules for each subject and give it to somebody, or let it wait; outcomes in the order of the subjects.

    One locked pass a rota for the whole batch. Appends `<kind>.assigned` or `<kind>.waiting`. Subjects that others know
    already must be locked by the caller. `load_facts` is asked for the facts of subjects that come without, where some
    rule reads any.
    """
    return (
        await placing.settle(tx, await plan_route(tx, subjects, trigger=trigger, load_facts=load_facts))
        if subjects
        else []
    )


async def is_alike_for_all(tx: Tx) -> bool:
    """Whether the rules answer alike whatever the subject, so that it may be routed before it is written."""
    return not read_facts(await tx.remember("rules", repository_rules.list_rules))


async def plan_route(
    tx: Tx, subjects: Sequence[RoutingSubject], *, trigger: str, load_facts: LoadFacts | None = None
) -> Plan:
    """As `route`, but only decided: `settle` writes it, in the same transaction."""
    known = [subject.id for subject in subjects if subject.id not in tx.newcomers]
    former = await repository.lock_assignments(tx, known) if known else {}
    colleagues = await load_colleagues(tx)
    matches = await _match_all(tx, subjects, colleagues, load_facts)
    requests = []
    # One and the same match stands for many subjects.
    kept = {id(match): match.as_kept() for match in matches}
    for subject, match in zip(subjects, matches, strict=True):
        request = Request(
            subject_id=subject.id,
            kind=subject.kind,
            contact_id=subject.contact_id,
            trigger=trigger,
            rota_id=match.rule.rota_id if match.rule else None,
            user_id=match.rule.user_id if match.rule else None,
            why="named by the rule",
            rule=kept[id(match)],
            former=former.get(subject.id),
            note=match.note,
        )
        requests.append(request)
    return await decide(tx, requests, colleagues)


async def _match_all(
    tx: Tx, subjects: Sequence[RoutingSubject], colleagues: Colleagues, load_facts: LoadFacts | None
) -> list[Match]:
    rules, now = await tx.remember("rules", repository_rules.list_rules), await tx.now()
    if not read_facts(rules):
        return [match_rule(rules, {"now": now}, colleagues)] * len(subjects)
    loaded = await load_facts(tx, [subject.id for subject in subjects]) if load_facts is not None else {}
    return [match_rule(rules, {**loaded.get(each.id, each.facts), "now": now}, colleagues) for each in subjects]


async def settle(tx: Tx, plan: Plan, *, are_first: bool = False) -> list[Outcome]:
    """Write what `plan_route` decided: assignments, decisions and their events; outcomes in the plan's order.

    `are_first` says that this transaction has made all of the subjects, and routes them for the first time.
    """
    return await placing.settle(tx, plan, are_first=are_first)


async def assign(
    tx: Tx,
    subject_ids: Sequence[UUID],
    *,
    rota_id: UUID | None = None,
    user_id: UUID | None = None,
    accept_within: timedelta | None,
    trigger: str,
    actor: Actor = SYSTEM,
    kind: str = "lead",
    contact_ids: Mapping[UUID, UUID] | None = None,
) -> list[Outcome]:
    """Give subjects to a rota's next or to one person, whatever the rules say, and start the clock to accept.

    Named neither, the subjects stay where they are and only the clock starts. `kind` and `contact_ids` are for
    subjects that were never routed.
    """
    former = await lock_subjects(tx, subject_ids)
    if rota_id is None and user_id is None:
        return await _start_clock(tx, list(former), accept_within)
    requests = []
    for subject_id in subject_ids:
        known = former.get(subject_id)
        request = Request(
            subject_id=subject_id,
            kind=known.subject_kind if known else kind,
            contact_id=known.contact_id if known else (contact_ids or {}).get(subject_id),
            trigger=trigger,
            rota_id=rota_id,
            user_id=user_id,
            why=trigger,
            accept_within=accept_within,
            former=known,
        )
        requests.append(request)
    return await place(tx, requests, actor=actor)


async def check_target(tx: Tx, *, user_id: UUID | None, rota_id: UUID | None) -> None:
    """Raise InvalidError unless a person chose either a member or a rota, and one that is there."""
    problem = ""
    if (user_id is None) == (rota_id is None):
        problem = "choose a member or a rota"
    elif user_id is not None and user_id not in await load_colleagues(tx):
        problem = "there is no such member; choose one of the list"
    elif rota_id is not None and rota_id not in await repository_rotas.find_rotas(tx, [rota_id]):
        problem = "there is no such rota; choose one of the list"
    if problem:
        raise InvalidError("It cannot be assigned like this.", problems=[Problem("target", problem)])


def by_hand(caller: Caller) -> str:
    """The trigger of what a person does, as decisions name it."""
    return f"by hand, by {caller.name}"


async def hand_on(tx: Tx, subject_ids: Sequence[UUID], *, trigger: str) -> list[Outcome]:
    """Give each subject that nobody has accepted to the next of its rota who has not been passed over.

    When nobody is left it goes to the rota's supervisor, else the workspace's, else it stays and says so. Subjects that
    are accepted, released or waiting stay as they are; unknown ones have no outcome.
    """
    former = await lock_subjects(tx, subject_ids)
    offered = [a for subject_id in subject_ids if (a := former.get(subject_id)) and a.state == "offered"]
    matches = await repository.find_rule_matches(tx, ids_of(offered))
    requests = [_hand_on_request(a, matches.get(a.subject_id), trigger) for a in offered]
    placed = {outcome.subject_id: outcome for outcome in await place(tx, requests)}
    known = [subject_id for subject_id in subject_ids if subject_id in former]
    return [placed.get(subject_id) or _unchanged(former[subject_id]) for subject_id in known]


async def accept(tx: Tx, caller: Caller, subject_id: UUID) -> None:
    """Take a subject for good, whoever it was offered to; the same person may accept twice.

    Raises AssignmentNotFoundError, AcceptedAlreadyError when a colleague was quicker, ReleasedError.
    """
    caller.require("agent")
    assignment = await _access(tx, subject_id)
    if caller.user_id is None:
        raise InvalidError("Only a person can accept. Sign in as a member.")
    if assignment.state == "released":
        raise ReleasedError
    if assignment.state == "accepted":
        await _require_own(tx, assignment, caller.user_id)
        return
    await _mark_accepted(tx, assignment, caller.user_id, trigger="accepted")


async def accept_by_acting(tx: Tx, user_id: UUID, contact_id: UUID, subject_id: UUID | None, *, trigger: str) -> bool:
    """A member answered or called: what nobody has accepted yet is theirs by that; `trigger` says what they did.

    Without `subject_id` it is the contact's open lead. False when there is none, or when it has been accepted.
    """
    if subject_id is None:
        standing = await repository.find_open_of_contact(tx, contact_id, "lead")
        subject_id = standing.subject_id if standing else None
    if subject_id is None:
        return False
    assignment = (await lock_subjects(tx, [subject_id])).get(subject_id)
    if assignment is None or assignment.state not in ("waiting", "offered"):
        return False
    await _mark_accepted(tx, assignment, user_id, trigger=trigger)
    return True


async def _mark_accepted(tx: Tx, assignment: Assignment, user_id: UUID, *, trigger: str) -> None:
    await repository.mark_accepted(tx, assignment.subject_id, user_id)
    verbs = ["accepted"] if assignment.owner_id == user_id else ["assigned", "accepted"]
    data = {
        "owner_id": user_id,
        "previous_owner_id": assignment.owner_id,
        "rota_id": assignment.rota_id,
        "trigger": trigger,
        "accept_by": None,
    }
    kind, subject_id, contact_id = assignment.subject_kind, assignment.subject_id, assignment.contact_id
    actor = Actor("user", user_id)
    await events.append(tx, [event_about(kind, verb, subject_id, contact_id, actor, **data) for verb in verbs])
    if assignment.is_held and len(verbs) > 1:
        await wake(tx, WAITING_QUEUE)


async def release(tx: Tx, subject_ids: Sequence[UUID]) -> None:
    """Take closed subjects off their owners' load; those who wait get the free places."""
    found = await lock_subjects(tx, subject_ids)
    ending = [assignment for assignment in found.values() if assignment.state != "released"]
    if not ending:
        return
    await repository.mark_released(tx, ids_of(ending))
    await events.append(tx, [event_about(a.subject_kind, "released", a.subject_id, a.contact_id, SYSTEM,
                                         owner_id=a.owner_id) for a in ending])  # fmt: skip
    if any(assignment.is_held for assignment in ending):
        await wake(tx, WAITING_QUEUE)


async def find_assignments(tx: Tx, subject_ids: Sequence[UUID]) -> dict[UUID, Assignment]:
    """Who has these subjects now; nothing for those that were never routed."""
    return await repository.find_assignments(tx, subject_ids)


async def find_open_assignment(tx: Tx, contact_id: UUID, *, kind: str = "lead") -> Assignment | None:
    """Who has the contact's newest open subject, and which it is; None when they have none that was ever routed."""
    return await repository.find_open_of_contact(tx, contact_id, kind)


async def list_decisions(tx: Tx, subject_id: UUID) -> list[Decision]:
    """Why the subject is where it is: its newest decisions, newest first, each with all candidates as of then."""
    return await repository.list_decisions(tx, subject_id, MOST_DECISIONS)


async def list_rotas(tx: Tx) -> list[Rota]:
    """Every rota in use, by name."""
    return await repository_rotas.list_rotas(tx)


async def find_rota_by_name(tx: Tx, name: str) -> Rota | None:
    """The rota in use with that name, in any case of letters."""
    return await repository_rotas.find_rota_by_name(tx, name.strip())


async def _access(tx: Tx, subject_id: UUID) -> Assignment:
    found = await lock_subjects(tx, [subject_id])
    if subject_id not in found:
        raise AssignmentNotFoundError
    return found[subject_id]


async def _require_own(tx: Tx, assignment: Assignment, user_id: UUID) -> None:
    if assignment.owner_id is not None and assignment.owner_id != user_id:
        raise AcceptedAlreadyError(name_of(assignment.owner_id, await load_colleagues(tx)))


async def _start_clock(tx: Tx, subject_ids: Sequence[UUID], accept_within: timedelta | None) -> list[Outcome]:
    if accept_within is not None and subject_ids:
        await repository.set_clock(tx, subject_ids, accept_within)
    now = await repository.find_assignments(tx, subject_ids)
    return [_unchanged(now[subject_id]) for subject_id in subject_ids]


def _hand_on_request(assignment: Assignment, rule: RuleMatch | None, trigger: str) -> Request:
    request = Request(assignment.subject_id, assignment.subject_kind, assignment.contact_id, trigger)
    return replace(
        request,
        rota_id=assignment.rota_id,
        rule=rule,
        accept_within=assignment.accept_within,
        former=assignment,
        is_hand_on=True,
    )


def _unchanged(assignment: Assignment) -> Outcome:
    return Outcome(
        subject_id=assignment.subject_id,
        state=assignment.state,
        owner_id=assignment.owner_id,
        rota_id=assignment.rota_id,
        accept_by=assignment.accept_by,
    )
