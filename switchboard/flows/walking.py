"""A batch of runs of one version on its way: each run's position in memory until all of it is written at once."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Workspace
from switchboard.delivery.models import CampaignPriority, Draft
from switchboard.delivery.service import drop_queued, queue_messages
from switchboard.flows import repository, repository_runs
from switchboard.flows.compiled import CompiledStep
from switchboard.flows.endings import RUN_STOPPED, as_tallies, end_runs
from switchboard.flows.knowledge import Knowledge, SubjectKey, subject_key
from switchboard.flows.models import Ending, Outcome, Phase, Run, RunPosition, StepRecord, Version
from switchboard.flows.subjects import SubjectKinds
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.localtime import guess_zone
from switchboard.people import service as people
from switchboard.people.models import Contact

ALL_DONE = "all steps done"
LONGEST_DETAIL = 500
MOST_STEPS_A_TICK = 50


@dataclass(slots=True)
class Walk:
    """One run on its way. `due_at` is the moment from which its present step is due."""

    run: Run
    step: int
    revision: int
    phase: Phase
    due_at: datetime
    awaits: str | None = None
    rounds: int = 0
    rests_until: datetime | None = None
    is_resting: bool = False
    ending: Ending | None = None
    history: list[StepRecord] = field(default_factory=list)
    outcomes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def is_moving(self) -> bool:
        """Whether its next step can be done now."""
        return not self.is_resting and self.ending is None

    def stays_due(self, now: datetime) -> bool:
        """Whether there is more to do now than was done."""
        return self.ending is None and self.rests_until is not None and self.rests_until <= now

    @property
    def key(self) -> SubjectKey:
        """Whose facts count."""
        return subject_key(self.run.subject_kind, self.run.subject_id, self.run.lead_id)

    def pass_on(self, onward: int | None, outcome: str = "passed", detail: str = "") -> None:
        """The step is done: go on to `onward`, or end where there is nothing more."""
        self._note(outcome, detail)
        self.outcomes.append((self.step, outcome))
        if onward is None:
            self.ending = Ending(self.run.id, "finished", ALL_DONE, self.step)
            return
        self.step, self.phase, self.awaits, self.rounds = onward, "ready", None, 0

    def rest(self, until: datetime | None, *, awaits: str | None = None, detail: str = "") -> None:
        """The step has begun and goes on at `until`, or sooner when something it awaits happens."""
        self._note("waiting", detail)
        self.is_resting, self.phase, self.rests_until, self.awaits = True, "waiting", until, awaits

    def pause(self) -> None:
        """Enough for one batch: the step stays due and is done in the next."""
        self.revision += 1
        self.is_resting, self.rests_until = True, self.due_at

    def end(self, outcome: Outcome, reason: str) -> None:
        """The run ends on this step."""
        self._note(outcome, reason)
        self.ending = Ending(self.run.id, outcome, reason, self.step)

    def _note(self, outcome: str, detail: str) -> None:
        self.history.append(StepRecord(self.run.id, self.revision, self.step, outcome, detail[:LONGEST_DETAIL]))
        self.revision += 1


def begin_walk(run: Run, now: datetime) -> Walk:
    """A claimed run at the beginning of a batch."""
    return Walk(run, run.step, run.revision, run.phase, run.due_at or now, rounds=run.rounds)


@dataclass(slots=True)
class Batch:
    """Runs of one version moved together in one transaction, with what they have to say at the end."""

    tx: Tx
    now: datetime
    version: Version
    kinds: SubjectKinds
    knowledge: Knowledge
    walks: Sequence[Walk]
    public_url: str
    priorities: Mapping[UUID, CampaignPriority] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    _said: list[tuple[Walk, dict[str, object]]] = field(default_factory=list)
    _contacts: dict[UUID, Contact] = field(default_factory=dict)
    _workspace: Workspace | None = None

    @property
    def actor(self) -> Actor:
        """The flow, as events name who did something."""
        return Actor("flow", self.version.flow_id)

    def tell(self, walk: Walk, step: CompiledStep, outcome: str, text: str, **data: object) -> None:
        """Put a step on the contact's timeline; `text` follows the name of the flow."""
        run = walk.run
        said = {"run_id": run.id, "flow": self.version.flow.title, "step": step.id, "outcome": outcome, "text": text}
        self._said.append((walk, said | data))

    def priority_of(self, walk: Walk) -> CampaignPriority:
        """How the messages of a run queue among those of campaigns."""
        campaign_id = walk.run.campaign_id
        return self.priorities.get(campaign_id, "normal") if campaign_id else "normal"

    async def workspace(self) -> Workspace:
        """The workspace, read once."""
        if self._workspace is None:
            self._workspace = await self.tx.remember("workspace", accounts.get_workspace)
        return self._workspace

    async def contacts_of(self, walks: Sequence[Walk]) -> dict[UUID, Contact]:
        """The contacts of these runs, each read once."""
        wanted = {walk.run.contact_id for walk in walks if walk.run.contact_id is not None}
        if missing := wanted - self._contacts.keys():
            self._contacts |= await people.load_contacts(self.tx, missing)
        return self._contacts

    async def zone_of(self, contact: Contact | None) -> str:
        """The contact's own zone, else one guessed from number or country, else the workspace's."""
        if contact is not None and contact.time_zone:
            return contact.time_zone
        guess = guess_zone(contact.phone, contact.country) if contact is not None else None
        return guess.zone if guess else (await self.workspace()).time_zone

    async def conclude(self) -> None:
        """Write everything: messages, positions, endings, history, counts and events."""
        await queue_messages(self.tx, self.drafts)
        vanished = await self._save_positions()
        records = [record for walk in self.walks if walk.run.id not in vanished for record in walk.history]
        if records:
            await repository_runs.insert_history(self.tx, records)
        await self._count(vanished)
        # Made after the messages, because the order of ids is the order on the timeline.
        await events.append(self.tx, self.events(vanished))
        endings = [walk.ending for walk in self.walks if walk.ending is not None]
        await end_runs(self.tx, endings, {self.version.key: self.version})

    def events(self, vanished: Collection[UUID] = ()) -> list[Event]:
        """What the walks have to say, but for the runs that have vanished."""
        told = [(walk.run, said) for walk, said in self._said if walk.run.id not in vanished]
        return [
            Event("run.stepped", run.id, run.contact_id, run.lead_id, actor=self.actor, data=said) for run, said in told
        ]

    async def _save_positions(self) -> set[UUID]:
        """Returns the runs that were stopped meanwhile: nothing they wrote here may go out."""
        resting = [walk for walk in self.walks if walk.ending is None]
        if not resting:
            return set()
        kept = await repository_runs.save_positions(self.tx, [position_of(walk) for walk in resting])
        vanished = {walk.run.id for walk in resting} - kept
        if vanished:
            await drop_queued(self.tx, sorted(vanished), RUN_STOPPED)
        return vanished

    async def _count(self, vanished: set[UUID]) -> None:
        counts = Counter(outcome for walk in self.walks if walk.run.id not in vanished for outcome in walk.outcomes)
        if counts:
            await repository.insert_tallies(self.tx, self.version.key, as_tallies(counts))


def position_of(walk: Walk) -> RunPosition:
    """Where a walk rests."""
    return RunPosition(walk.run.id, walk.step, walk.revision, walk.phase, walk.rests_until, walk.awaits, walk.rounds)
