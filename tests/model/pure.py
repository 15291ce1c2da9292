"""What flows, the gate and the queues mean, in plain Python: no SQL, no locks, no clock but a number that grows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Literal

from tests.model.plans import OPTED_OUT, REPLIED, STARTING, Plan, Send, Wait
from tests.model.wall_clock import is_quiet, next_hour, next_loud

LEASE = timedelta(minutes=1)
# A pause after a failure is somewhere below a quarter of an hour, which is as fine as time passes here.
PAUSE = timedelta(minutes=1)
LONGEST_REST = timedelta(days=7)

Fate = Literal["taken", "later", "refused", "in doubt", "process lost"]


@dataclass
class Person:
    """A contact."""

    name: str
    zone: str
    has_opted_out: bool = False


@dataclass
class Run:
    """One person in one flow. `due` is None never: every rest has an end."""

    person: Person
    plan: Plan
    due: datetime
    at: int = 0
    phase: str = "ready"
    ended: tuple[str, str] | None = None
    ended_at: datetime | None = None

    @property
    def awaits(self) -> bool:
        return self.phase == "waiting" and not isinstance(self.plan.operations[self.at].step, Send | Wait)


@dataclass
class Letter:
    """One message; it is in the outbox while `is_due_some_time`."""

    run: Run
    letter: str
    purpose: str
    due: datetime
    state: str = "queued"
    reason: str | None = None
    lease_until: datetime | None = None
    is_called_back: bool = False
    sent_at: datetime | None = None

    @property
    def is_due_some_time(self) -> bool:
        return self.state in {"queued", "sending"} or (self.state == "in_doubt" and self.lease_until is not None)

    @property
    def is_marketing(self) -> bool:
        return self.purpose == "marketing"


@dataclass
class Rules:
    """What the workspace asks of marketing."""

    quiet_start: time
    quiet_end: time
    cap_messages: int
    cap_days: int


@dataclass
class Model:
    """The whole world at `now`."""

    now: datetime
    people: Sequence[Person]
    plans: Sequence[Plan]
    rules: Rules
    paused: set[str] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    delivered: list[tuple[str, str, str]] = field(default_factory=list)
    entered: dict[tuple[str, str], datetime] = field(default_factory=dict)

    # What people do.

    def hear(self, person: Person, kind: str) -> None:
        """An event about a person: it stops, then wakes, then begins runs."""
        for run in [run for run in self._runs_of(person) if kind in run.plan.stops]:
            self._end(run, "stopped", kind)
            self._call_back(run)
        for run in self._ended_lately(person):
            if kind in run.plan.stops:
                self._call_back(run)
        if kind == REPLIED:
            for run in self._runs_of(person):
                if run.awaits:
                    run.phase, run.due = "woken", self.now
        if kind == STARTING:
            for plan in self.plans:
                self._enter(person, plan)

    def opt_out(self, person: Person) -> None:
        """The person wants no more; the event is told once."""
        was_out, person.has_opted_out = person.has_opted_out, True
        if not was_out:
            self.hear(person, OPTED_OUT)

    def opt_in(self, person: Person) -> None:
        person.has_opted_out = False

    # What the loops do.

    def step(self) -> None:
        """Move every due run of flows that are not paused as far as it goes."""
        for run in self.going():
            while run.ended is None and run.due <= self.now and run.plan.name not in self.paused:
                self._do_step(run)

    def deliver(self, fate: Fate, order: Callable[[Letter], int]) -> None:
        """Take what is due in the order of `order`, ask the gate, and let the provider do as `fate` says."""
        due = [one for one in self.letters if one.state == "queued" and one.due <= self.now]
        behind = [one for one in due if self._is_behind(one)]
        due = [one for one in due if all(one is not other for other in behind)]
        for letter in behind:
            letter.due, letter.reason = self.now + PAUSE, "in_order"
        taken = [letter for letter in sorted(due, key=order) if self._passes(letter)]
        for letter in taken:
            self._hand_over(letter, fate)

    def reap(self) -> None:
        """What a lost process had taken, or what is in doubt, is due again when its lease has run out."""
        for letter in self.letters:
            if letter.lease_until is not None and letter.lease_until < self.now:
                letter.state, letter.reason, letter.due, letter.lease_until = "queued", "retrying", self.now, None

    # How they do it.

    def going(self) -> list[Run]:
        """The runs that have not ended."""
        return [run for run in self.runs if run.ended is None]

    def _runs_of(self, person: Person) -> list[Run]:
        return [run for run in self.going() if run.person is person]

    def _ended_lately(self, person: Person) -> Iterator[Run]:
        for run in self.runs:
            if run.person is person and run.ended_at is not None and run.ended_at > self.now - LONGEST_REST:
                yield run

    def _enter(self, person: Person, plan: Plan) -> None:
        key = (person.name, plan.name)
        before = self.entered.get(key)
        is_in = any(run.plan is plan for run in self._runs_of(person))
        is_free = before is None or (
            plan.reentry_days is not None and before <= self.now - timedelta(days=plan.reentry_days)
        )
        if plan.name not in self.paused and not is_in and is_free:
            self.entered[key] = self.now
            self.runs.append(Run(person, plan, self.now))

    def _do_step(self, run: Run) -> None:
        operation = run.plan.operations[run.at]
        step = operation.step
        if isinstance(step, Send):
            self.letters.append(Letter(run, step.letter, step.purpose, self.now))
            self._go_on(run, operation.next)
        elif run.phase != "ready":
            self._go_on(run, operation.next if isinstance(step, Wait) or run.phase == "woken" else operation.other)
        else:
            run.phase, run.due = "waiting", self.now + timedelta(minutes=step.minutes)
            if isinstance(step, Wait) and step.until is not None:
                run.due = next_hour(run.due, step.until, run.person.zone)

    def _go_on(self, run: Run, onward: int | None) -> None:
        if onward is None:
            self._end(run, "finished", "all steps done")
        else:
            run.at, run.phase, run.due = onward, "ready", self.now

    def _end(self, run: Run, outcome: str, reason: str) -> None:
        run.ended, run.ended_at = (outcome, reason), self.now

    def _call_back(self, run: Run) -> None:
        for letter in self.letters:
            if letter.run is run and letter.is_due_some_time:
                if letter.state == "sending":
                    letter.is_called_back = True
                else:
                    letter.state, letter.reason, letter.lease_until = "dropped", "stopped", None

    def _is_behind(self, letter: Letter) -> bool:
        """Whether an earlier letter of the same run is still to go, and not put off by the gate."""
        mine = [one for one in self.letters if one.run is letter.run]
        earlier = mine[: next(place for place, one in enumerate(mine) if one is letter)]
        return not letter.is_called_back and any(
            one.is_due_some_time
            and (one.state != "queued" or one.due <= self.now or one.reason in {"retrying", "in_order"})
            for one in earlier
        )

    def _passes(self, letter: Letter) -> bool:
        if letter.is_called_back:
            letter.state, letter.reason = "dropped", "stopped"
        elif letter.run.person.has_opted_out:
            letter.state, letter.reason = "dropped", "opted_out"
        elif letter.is_marketing and (wait := self._wait(letter)):
            letter.due, letter.reason = wait
        else:
            letter.state, letter.reason, letter.lease_until = "sending", None, self.now + LEASE
        return letter.state == "sending"

    def _wait(self, letter: Letter) -> tuple[datetime, str] | None:
        """Until when advertising rests, and why."""
        free = self._when_cap_is_free(letter.run.person)
        quiet = (self.rules.quiet_start, self.rules.quiet_end, letter.run.person.zone)
        if is_quiet(self.now, *quiet):
            return next_loud(free, *quiet), "quiet_hours"
        if free > self.now:
            return next_loud(free, *quiet), "frequency_cap"
        return None

    def _when_cap_is_free(self, person: Person) -> datetime:
        window = timedelta(days=self.rules.cap_days)
        mine = [one for one in self.letters if one.run.person is person and one.is_marketing]
        times = [one.sent_at for one in mine if one.sent_at is not None and one.sent_at > self.now - window]
        times += [self.now for one in mine if one.state == "sending"]
        if len(times) < self.rules.cap_messages:
            return self.now
        return sorted(times)[-self.rules.cap_messages] + window

    def _hand_over(self, letter: Letter, fate: Fate) -> None:
        if fate in {"taken", "in doubt"}:
            self.delivered.append((letter.run.person.name, letter.run.plan.name, letter.letter))
        if fate == "taken":
            letter.state, letter.sent_at, letter.lease_until = "sent", self.now, None
        elif fate == "later":
            letter.state, letter.reason, letter.lease_until = "queued", "retrying", None
            letter.due = self.now + PAUSE
        elif fate == "refused":
            letter.state, letter.reason, letter.lease_until = "failed", "refused", None
        elif fate == "in doubt":
            letter.state, letter.reason = "in_doubt", "lost"
            if letter.is_marketing:
                letter.sent_at, letter.lease_until = self.now, None
