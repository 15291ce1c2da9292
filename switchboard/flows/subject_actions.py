"""Steps that change the subject: assigning it and writing to it.

They take locks that come before those of runs (lead, assignment, rota), so the stepper does them in a transaction of
their own in which the runs' rows are written last.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from switchboard.flows.actions import Action, notice
from switchboard.flows.compiled import CompiledStep
from switchboard.flows.errors import StepError
from switchboard.flows.recipients import find_member
from switchboard.flows.walking import Batch, Walk
from switchboard.routing import service as routing
from switchboard.routing.models import Assignment, Outcome

# The offer goes on when somebody accepts, and when a waiting or reassigned lead gets an owner from elsewhere.
AWAITED = "lead.accepted lead.assigned"


async def change(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Write the named values to the subjects."""
    for field, value in _values(step):
        for kind, ids in _subjects(walks).items():
            await batch.kinds[kind].change(batch.tx, ids, field, value, batch.actor)
    batch.knowledge.forget()
    for walk in walks:
        walk.pass_on(step.next)


async def assign(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Give leads to a rota or a member; with a limit, to one after the other until somebody accepts."""
    target = await _find_target(batch, step)
    await batch.knowledge.learn(walk.key for walk in walks)
    ids = [walk.run.subject_id for walk in walks]
    offer = Offer(batch, step, target, await routing.find_assignments(batch.tx, ids))
    begun = [walk for walk in walks if walk.phase != "ready"]
    await offer.make([walk for walk in walks if walk.phase == "ready"])
    await offer.follow(begun)


# By the kind of step, like `actions.ACTIONS`.
SUBJECT_ACTIONS: Mapping[str, Action] = {"set": change, "assign": assign}


class Target:
    """Where an assign step sends: a rota or one member."""

    def __init__(self, rota_id: UUID | None, user_id: UUID | None) -> None:
        self.rota_id = rota_id
        self.user_id = user_id

    def has(self, assignment: Assignment) -> bool:
        """Whether the subject is there already, so that giving it anew would only change its owner for nothing."""
        if assignment.state not in ("offered", "waiting"):
            return False
        if self.rota_id is not None:
            return assignment.rota_id == self.rota_id
        return assignment.owner_id == self.user_id


class Offer:
    """One assign step for a batch of runs."""

    def __init__(self, batch: Batch, step: CompiledStep, target: Target, before: Mapping[UUID, Assignment]) -> None:
        self.batch = batch
        self.step = step
        self.target = target
        self.before = before
        seconds = step.config.get("accept_within_seconds")
        self.accept_within = timedelta(seconds=int(str(seconds))) if seconds is not None else None
        self.trigger = f"flow {batch.version.flow.title}"

    async def make(self, walks: Sequence[Walk]) -> None:
        """The step begins: those whom the rules have sent there already keep their owner."""
        open_walks = [walk for walk in walks if not self._settle_if_accepted(walk)]
        there = [walk for walk in open_walks if self._is_there(walk)]
        await self._place(there, Target(None, None))
        await self._place([walk for walk in open_walks if not self._is_there(walk)], self.target)

    async def follow(self, walks: Sequence[Walk]) -> None:
        """The step has begun: the time to accept is over, or something happened to the assignment."""
        pending = [walk for walk in walks if not self._settle_if_accepted(walk)]
        overdue = [walk for walk in pending if self._is_overdue(walk)]
        await self._place([walk for walk in pending if self._lacks_clock(walk)], Target(None, None))
        for walk in pending:
            if walk.is_moving and walk not in overdue:
                self._look_again(walk)
        outcomes = await routing.hand_on(self.batch.tx, [walk.run.subject_id for walk in overdue], trigger=self.trigger)
        by_subject = {outcome.subject_id: outcome for outcome in outcomes}
        exhausted = []
        for walk in overdue:
            outcome = by_subject.get(walk.run.subject_id)
            if outcome is None or outcome.is_last_resort:
                exhausted.append(walk)
            else:
                self._stand(walk, outcome)
        await self._go_round(exhausted, by_subject)

    async def _go_round(self, walks: Sequence[Walk], outcomes: Mapping[UUID, Outcome]) -> None:
        """Everybody has had their chance: another round, or the supervisor has it now."""
        again = [walk for walk in walks if walk.rounds + 1 < int(str(self.step.config.get("rounds", 1)))]
        for walk in walks:
            if walk not in again:
                self._give_up(walk, outcomes.get(walk.run.subject_id))
        for walk in again:
            walk.rounds += 1
        await self._place(again, self.target)

    async def _place(self, walks: Sequence[Walk], target: Target) -> None:
        if not walks:
            return
        contacts = {walk.run.subject_id: walk.run.contact_id for walk in walks if walk.run.contact_id is not None}
        outcomes = await routing.assign(
            self.batch.tx,
            [walk.run.subject_id for walk in walks],
            rota_id=target.rota_id,
            user_id=target.user_id,
            accept_within=self.accept_within,
            trigger=self.trigger,
            actor=self.batch.actor,
            contact_ids=contacts,
        )
        by_subject = {outcome.subject_id: outcome for outcome in outcomes}
        for walk in walks:
            self._stand(walk, by_subject[walk.run.subject_id])

    def _stand(self, walk: Walk, outcome: Outcome) -> None:
        if outcome.state == "accepted":
            self._settle(walk)
            return
        if outcome.owner_id is not None:
            self._draft_notice(walk, outcome.owner_id)
        if self.accept_within is None:
            walk.pass_on(self.step.next, "passed", outcome.note)
        else:
            walk.rest(outcome.accept_by, awaits=AWAITED, detail=outcome.note)

    def _look_again(self, walk: Walk) -> None:
        """It waits for somebody, or somebody who waited for it has it now, with the time to accept running."""
        assignment = self.before.get(walk.run.subject_id)
        if assignment is None or assignment.state == "released":
            walk.pass_on(self.step.next_false, "no", "closed")
            return
        if walk.phase == "woken" and assignment.owner_id is not None:
            self._draft_notice(walk, assignment.owner_id)
        walk.rest(assignment.accept_by, awaits=AWAITED)

    def _is_overdue(self, walk: Walk) -> bool:
        assignment = self.before.get(walk.run.subject_id)
        if assignment is None or assignment.state != "offered" or assignment.accept_by is None:
            return False
        return assignment.accept_by <= self.batch.now

    def _lacks_clock(self, walk: Walk) -> bool:
        """Somebody gave it to a colleague by hand: they have as long as anybody to accept."""
        assignment = self.before.get(walk.run.subject_id)
        return assignment is not None and assignment.state == "offered" and assignment.accept_by is None

    def _is_there(self, walk: Walk) -> bool:
        assignment = self.before.get(walk.run.subject_id)
        return assignment is not None and self.target.has(assignment)

    def _settle_if_accepted(self, walk: Walk) -> bool:
        assignment = self.before.get(walk.run.subject_id)
        if assignment is None or assignment.state != "accepted" or self.accept_within is None:
            return False
        self._settle(walk)
        return True

    def _settle(self, walk: Walk) -> None:
        self.batch.tell(walk, self.step, "accepted", "went on, for somebody has accepted")
        walk.pass_on(self.step.next_true if self.step.branches else self.step.next, "yes")

    def _give_up(self, walk: Walk, outcome: Outcome | None) -> None:
        self.batch.tell(walk, self.step, "nobody", "went on, for nobody has accepted in time")
        if outcome is not None and outcome.owner_id is not None:
            text = "This lead is yours now, for nobody has accepted it in time."
            self.batch.drafts.append(notice(self.batch, walk, outcome.owner_id, text))
        walk.pass_on(self.step.next_false, "no", outcome.note if outcome else "")

    def _draft_notice(self, walk: Walk, user_id: UUID) -> None:
        text = "This lead is yours now."
        if self.accept_within is not None:
            minutes = max(1, round(self.accept_within.total_seconds() / 60))
            text = f"This lead is offered to you. Accept it within {minutes} min, or it goes to the next person."
        self.batch.drafts.append(notice(self.batch, walk, user_id, text))


async def _find_target(batch: Batch, step: CompiledStep) -> Target:
    if "rota" in step.config:
        rota = await routing.find_rota_by_name(batch.tx, str(step.config["rota"]))
        if rota is None:
            raise StepError(f"There is no rota {step.config['rota']} any more. Make it again, or change the flow.")
        return Target(rota.id, None)
    user_id = await find_member(batch, str(step.config["member"]))
    if user_id is None:
        raise StepError(f"{step.config['member']} is not a member any more. Name somebody else in the flow.")
    return Target(None, user_id)


def _values(step: CompiledStep) -> list[tuple[str, object]]:
    names = {"stage": "stage", "value_minor": "value", "junk": "junk"}
    values: list[tuple[str, object]] = [
        (field, step.config[name]) for name, field in names.items() if name in step.config
    ]
    fields = step.config.get("fields")
    texts = fields.items() if isinstance(fields, Mapping) else ()
    return [*values, *((f"fields.{name}", text) for name, text in texts)]


def _subjects(walks: Sequence[Walk]) -> dict[str, list[UUID]]:
    found: dict[str, list[UUID]] = {}
    for walk in walks:
        found.setdefault(walk.run.subject_kind, []).append(walk.run.subject_id)
    return {kind: sorted(ids) for kind, ids in found.items()}
