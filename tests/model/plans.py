"""Flows as the model reads them, made at random and written as YAML for the product."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import time

from hypothesis import strategies as st

LETTERS = ("welcome", "second", "third")
STEP_MINUTES = 15
STARTING, REPLIED, CLOSED, OPTED_OUT = (
    "lead.stage_changed",
    "message.replied",
    "conversation.closed",
    "contact.opted_out",
)


@dataclass(frozen=True)
class Send:
    """Write a letter."""

    letter: str
    purpose: str


@dataclass(frozen=True)
class Wait:
    """Let minutes pass, then on to a local hour where one is named."""

    minutes: int
    until: time | None = None


@dataclass(frozen=True)
class WaitForReply:
    """Wait for an answer; go one way or the other."""

    minutes: int
    then: tuple[Send, ...]
    otherwise: tuple[Send, ...]


Step = Send | Wait | WaitForReply


@dataclass(frozen=True)
class Operation:
    """One step with where it leads: `other` is the way of a wait that nobody has answered. None is the end."""

    step: Step
    next: int | None
    other: int | None = None


@dataclass(frozen=True)
class Plan:
    """A flow about a contact."""

    name: str
    steps: tuple[Step, ...]
    stops: tuple[str, ...]
    reentry_days: int | None
    operations: tuple[Operation, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(_lay_out(self.steps)))

    def written(self) -> str:
        """The flow as YAML."""
        lines = [f"flow: {self.name}", f"title: {self.name}", "subject: contact", f"starts: [{STARTING}]"]
        lines += [f"stops: [{', '.join(self.stops)}]"] if self.stops else []
        lines += [f"reentry: {{after: {self.reentry_days}d}}"] if self.reentry_days else []
        return "\n".join([*lines, "steps:", *_write(self.steps, "  ")]) + "\n"


def _lay_out(steps: Sequence[Step]) -> list[Operation]:
    """The steps one after another: branches stand behind the step that leads to them."""
    operations: list[Operation | None] = []
    starts: list[int] = []
    for step in steps:
        starts.append(len(operations))
        branch = len(step.then) + len(step.otherwise) if isinstance(step, WaitForReply) else 0
        operations += [None] * (1 + branch)
    for index, step in enumerate(steps):
        at = starts[index]
        onward = starts[index + 1] if index + 1 < len(steps) else None
        if not isinstance(step, WaitForReply):
            operations[at] = Operation(step, onward)
            continue
        first_then, first_other = at + 1, at + 1 + len(step.then)
        yes = first_then if step.then else onward
        no = first_other if step.otherwise else onward
        operations[at] = Operation(step, yes, no)
        for first, letters in ((first_then, step.then), (first_other, step.otherwise)):
            for place, letter in enumerate(letters):
                is_last = place + 1 == len(letters)
                operations[first + place] = Operation(letter, onward if is_last else first + place + 1)
    return [operation for operation in operations if operation is not None]


def _write(steps: Sequence[Step], indent: str) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Send):
            yield f"{indent}- send: {step.letter}"
            yield f"{indent}  purpose: {step.purpose}"
        elif isinstance(step, Wait):
            until = f', until: "{step.until:%H:%M}"' if step.until else ""
            yield f"{indent}- wait: {{for: {step.minutes}m{until}}}"
        else:
            yield f"{indent}- wait: {{event: {REPLIED}, timeout: {step.minutes}m}}"
            for name, letters in (("then", step.then), ("else", step.otherwise)):
                if letters:
                    yield f"{indent}  {name}:"
                    yield from _write(letters, indent + "    ")


def quarters(most_hours: int) -> st.SearchStrategy[int]:
    """Minutes in whole quarters of an hour, for all zones' clocks change at such a moment."""
    return st.integers(1, most_hours * 4).map(lambda count: count * STEP_MINUTES)


HOURS = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * STEP_MINUTES))
SENDS = st.builds(Send, st.sampled_from(LETTERS), st.sampled_from(["marketing", "marketing", "transactional"]))
BRANCHES = st.lists(SENDS, max_size=2).map(tuple)
WAITS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Wait, quarters(8)),
    st.builds(Wait, quarters(48)),
    st.builds(Wait, quarters(30), HOURS),
    st.builds(WaitForReply, quarters(48), BRANCHES, BRANCHES),
)
# Waits alone show nothing, so there is a letter beside each.
BEATS: st.SearchStrategy[list[Step]] = st.one_of(
    st.tuples(SENDS, WAITS).map(list), st.tuples(WAITS, SENDS).map(list), SENDS.map(lambda send: [send])
)


def plans(name: str) -> st.SearchStrategy[Plan]:
    """Any flow of a few letters and waits."""
    return st.builds(
        Plan,
        st.just(name),
        st.lists(BEATS, min_size=1, max_size=3).map(lambda beats: tuple(step for beat in beats for step in beat)),
        st.sets(st.sampled_from([REPLIED, CLOSED, OPTED_OUT])).map(sorted).map(tuple),
        st.sampled_from([None, 1, 3]),
    )
