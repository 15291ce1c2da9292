"""The product beside a small pure model of it: any deeds in any order, and after each the two must agree.

A difference comes out printed as a program, with `make model` of the fewest deeds. The deeds move the clock of both.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conftest import Urls
from tests.model.plans import CLOSED, REPLIED, STARTING, STEP_MINUTES, Plan, plans
from tests.model.product import Product, found
from tests.model.pure import Fate, Letter, Model, Person, Rules

NAMES = ("ann", "bob")
FLOWS = ("first", "second")
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Kiritimati", "Etc/GMT+12", "America/Nuuk")
# Around changes of the clocks in both directions, and around a leap day.
BEGINNINGS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in ("2026-03-28T08:00", "2026-10-24T08:00", "2026-10-03T02:00", "2026-04-04T02:00", "2028-02-28T08:00")
)
FATES: tuple[Fate, ...] = ("taken", "taken", "later", "refused", "in doubt", "process lost")
HOURS = tuple(time(hour, minute) for hour, minute in ((0, 0), (2, 0), (2, 15), (8, 0), (12, 0), (21, 0)))
Deed = tuple[Any, ...]
DEEDS: st.SearchStrategy[Deed] = st.one_of(
    st.tuples(st.just("work"), st.integers(1, 100), st.sampled_from(FATES)),
    st.tuples(st.just("work"), st.integers(1, 12), st.sampled_from(FATES)),
    st.tuples(st.just("hear"), st.sampled_from(NAMES), st.sampled_from([STARTING, REPLIED, CLOSED])),
    st.tuples(st.just("step")),
    st.tuples(st.just("deliver"), st.sampled_from(FATES)),
    st.tuples(st.just("reap")),
    st.tuples(st.sampled_from(["pause", "activate"]), st.sampled_from(FLOWS)),
    st.tuples(st.sampled_from(["opt_out", "opt_in", "opt_in"]), st.sampled_from(NAMES)),
    st.tuples(st.just("pass_time"), st.integers(1, 400)),
)


class SideBySide(RuleBasedStateMachine):
    """Each rule does one thing to both."""

    product: Product

    @initialize(
        beginning=st.sampled_from(BEGINNINGS),
        zones=st.tuples(*[st.sampled_from(ZONES)] * len(NAMES)),
        flows=st.tuples(*[plans(name) for name in FLOWS]),
        rules=st.builds(Rules, st.sampled_from(HOURS), st.sampled_from(HOURS), st.integers(1, 3), st.integers(1, 2)),
    )
    def begin(self, beginning: datetime, zones: tuple[str, ...], flows: tuple[Plan, ...], rules: Rules) -> None:
        persons = [Person(name, zone) for name, zone in zip(NAMES, zones, strict=True)]
        self.model = Model(beginning, persons, flows, rules)
        self.product.begin(beginning, persons, flows, rules)
        for name in NAMES:
            self.hear(name, STARTING)

    # One rule for all deeds: of several, Hypothesis leaves some out of a whole life, and without work little happens.
    @rule(deed=DEEDS)
    def do(self, deed: Deed) -> None:
        getattr(self, deed[0])(*deed[1:])

    def pass_time(self, quarters: int) -> None:
        self.model.now += timedelta(minutes=quarters * STEP_MINUTES)
        self.product.pass_time(self.model.now)

    def hear(self, name: str, kind: str) -> None:
        self.model.hear(self._person(name), kind)
        self.product.tell(self._person(name), kind)

    def opt_out(self, name: str) -> None:
        self.model.opt_out(self._person(name))
        self.product.opt_out(self._person(name))

    def opt_in(self, name: str) -> None:
        self.model.opt_in(self._person(name))
        self.product.opt_in(self._person(name))

    def pause(self, name: str) -> None:
        self.model.paused.add(name)
        self.product.pause(self._plan(name))

    def activate(self, name: str) -> None:
        self.model.paused.discard(name)
        self.product.activate(self._plan(name))

    def step(self) -> None:
        self.model.step()
        self.product.step()

    def deliver(self, fate: Fate) -> None:
        places = {key: place for place, key in enumerate(self._keys_as_written())}
        self.model.deliver(fate, lambda letter: places[self._key(letter)])
        self.product.deliver(fate)

    def reap(self) -> None:
        self.model.reap()
        self.product.reap()

    def work(self, quarters: int, fate: Fate) -> None:
        """Time passes, and all loops do what is due, as in a worker."""
        self.pass_time(quarters)
        self.reap()
        self.step()
        self.deliver(fate)

    @invariant()
    def agree(self) -> None:
        seen = self.product.read()
        assert seen.runs == sorted((r.person.name, r.plan.name, r.phase, r.due, r.awaits) for r in self.model.going())
        ended = [(run.person.name, run.plan.name, *run.ended) for run in self.model.runs if run.ended is not None]
        assert seen.endings == sorted(ended)
        # Letters of different runs may be written in either order; those of one run in the order of its steps.
        expected = [self._as_row(letter) for letter in self.model.letters]
        assert sorted(seen.letters, key=_by_run) == sorted(expected, key=_by_run)
        assert self.product.provider.taken == len(self.model.delivered)
        assert seen.tallies == self._tallies()

    def _as_row(self, letter: Letter) -> tuple[object, ...]:
        put_off = letter.due if letter.reason in {"quiet_hours", "frequency_cap"} else None
        is_due = letter.is_due_some_time
        return (*self._whose(letter), letter.letter, letter.state, letter.reason, is_due, put_off)

    def _tallies(self) -> Counter[tuple[str, str]]:
        tallies: Counter[tuple[str, str]] = Counter()
        for run in self.model.runs:
            tallies[run.plan.name, "started"] += 1
            if run.ended is not None:
                outcome, reason = run.ended
                tallies[run.plan.name, f"stopped: {reason}" if outcome == "stopped" else outcome] += 1
        return tallies

    def _person(self, name: str) -> Person:
        return next(person for person in self.model.people if person.name == name)

    def _plan(self, name: str) -> Plan:
        return next(plan for plan in self.model.plans if plan.name == name)

    def _whose(self, letter: Letter) -> tuple[str, str]:
        return letter.run.person.name, letter.run.plan.name

    def _key(self, letter: Letter) -> tuple[str, str, int]:
        mine = [one for one in self.model.letters if self._whose(one) == self._whose(letter)]
        return (*self._whose(letter), next(place for place, one in enumerate(mine) if one is letter))

    def _keys_as_written(self) -> Iterator[tuple[str, str, int]]:
        """The product's letters in the order of their ids, which decides where several compete for a cap."""
        count: Counter[tuple[str, str]] = Counter()
        for name, flow, *_ in self.product.read().letters:
            yield name, flow, count[name, flow]
            count[name, flow] += 1


def _by_run(letter: tuple[object, ...]) -> tuple[object, ...]:
    return letter[:2]


@pytest.fixture
def product(urls: Urls) -> Iterator[Product]:
    with asyncio.Runner() as runner:
        database, workspace_id = runner.run(found(urls))
        yield Product(urls, runner, database, workspace_id)
        runner.run(database.close())


def play(product: Product, *, lives: int, deeds: int, is_fixed: bool) -> None:
    """Let the two go through `lives` lives of up to `deeds` deeds.

    Fixed ones are the same each time, and a difference is printed as it is found; others are new, and it is shrunk.
    """
    machine = type("Machine", (SideBySide,), {"product": product})
    phases = (Phase.generate,) if is_fixed else (Phase.generate, Phase.shrink)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=deeds,
            deadline=None,
            derandomize=is_fixed,
            report_multiple_bugs=False,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=phases,
        ),
    )


@pytest.mark.timeout(300)
def test_the_product_does_what_the_model_says(product: Product) -> None:
    play(product, lives=40, deeds=30, is_fixed=True)


@pytest.mark.model
@pytest.mark.timeout(3600)
def test_the_product_does_what_the_model_says_in_many_lives(product: Product) -> None:
    play(product, lives=1_000, deeds=60, is_fixed=False)
