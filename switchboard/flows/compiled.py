"""A flow as flat rows for the stepper: nested branches become jumps, and each row says where to go next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from switchboard.flows.definition import (
    Assign,
    Branching,
    Change,
    Flow,
    If,
    Notify,
    Send,
    Step,
    Stop,
    Wait,
    WaitForEvent,
)
from switchboard.kernel.localtime import EVERY_DAY, WEEKDAY_NAMES, format_duration


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One row. `index` counts from 0 in reading order; the three jumps are indexes, None ends the run.

    `kind` is send, wait, wait_for, if, assign, notify, set or stop. A row with two ways on (if, wait_for, and
    assign with `accept_within_seconds`) uses `next_true` and `next_false` and has no `next`; every other row uses
    `next`. `config` is JSON, with lengths of time in seconds, a time of day as HH:MM and Monday as 1.
    """

    index: int
    id: str
    kind: str
    config: Mapping[str, object]
    next: int | None
    next_true: int | None
    next_false: int | None
    title: str

    @property
    def branches(self) -> bool:
        """Whether there are two ways on."""
        return self.kind in {"if", "wait_for"} or "accept_within_seconds" in self.config


def compile_flow(flow: Flow) -> list[CompiledStep]:
    """All steps of a flow as rows in reading order; the run begins at index 0."""
    return list(_compile(flow.steps, 0, None))


def describe(step: Step) -> str:
    """One line that says what the step does, for a person."""
    match step:
        case Send():
            return _describe_send(step)
        case Wait():
            return _describe_wait(step)
        case WaitForEvent():
            return f"Wait up to {format_duration(step.timeout)} for {step.event}"
        case If():
            return f"If {' '.join(step.condition.split())}"
        case Assign():
            return _describe_assign(step)
        case _:
            return _describe_act(step)


def _describe_act(step: Step) -> str:
    match step:
        case Notify():
            return f"Tell {_the(step.to)}: {' '.join(step.text.split())}"
        case Change():
            return f"Set {', '.join(f'{name} to {value}' for name, value in _changes(step))}"
        case Stop():
            return f"Stop: {step.reason}"
        case _:
            raise TypeError(f"{type(step).__name__} is not a step of a flow")


def _compile(steps: Sequence[Step], first: int, after: int | None) -> Iterator[CompiledStep]:
    index = first
    for position, step in enumerate(steps):
        beyond = index + _size(step)
        following = beyond if position < len(steps) - 1 else after
        yield from _compile_step(step, index, following)
        index = beyond


def _compile_step(step: Step, index: int, following: int | None) -> Iterator[CompiledStep]:
    kind, config = _kind_and_config(step)
    title = step.name or describe(step)
    if not isinstance(step, Branching) or (isinstance(step, Assign) and step.accept_within is None):
        onward = None if isinstance(step, Stop) else following
        yield CompiledStep(index, step.id, kind, config, onward, None, None, title)
        return
    then_at = index + 1
    else_at = then_at + sum(map(_size, step.then))
    next_true = then_at if step.then else following
    next_false = else_at if step.otherwise else following
    yield CompiledStep(index, step.id, kind, config, None, next_true, next_false, title)
    yield from _compile(step.then, then_at, following)
    yield from _compile(step.otherwise, else_at, following)


def _size(step: Step) -> int:
    inner = (*step.then, *step.otherwise) if isinstance(step, Branching) else ()
    return 1 + sum(map(_size, inner))


def _kind_and_config(step: Step) -> tuple[str, dict[str, object]]:
    match step:
        case Send():
            return "send", _send_config(step)
        case Wait():
            return "wait", _wait_config(step)
        case WaitForEvent():
            return "wait_for", {"event": step.event, "timeout_seconds": _seconds(step.timeout)}
        case If():
            return "if", {"condition": step.condition}
        case Assign():
            return "assign", _assign_config(step)
        case _:
            return _act_config(step)


def _act_config(step: Step) -> tuple[str, dict[str, object]]:
    match step:
        case Notify():
            return "notify", {"to": step.to, "text": step.text}
        case Change():
            return "set", _change_config(step)
        case Stop():
            return "stop", {"reason": step.reason}
        case _:
            raise TypeError(f"{type(step).__name__} is not a step of a flow")


def _send_config(step: Send) -> dict[str, object]:
    config: dict[str, object] = {
        "template": step.template,
        "channel": step.channel,
        "to": step.to,
        "purpose": step.purpose,
        "urgent": step.urgent,
    }
    if step.not_after is not None:
        config |= {"not_after_seconds": _seconds(step.not_after), "on_late": step.on_late}
    return config


def _wait_config(step: Wait) -> dict[str, object]:
    config: dict[str, object] = {"for_seconds": _seconds(step.duration) if step.duration else 0}
    if step.until is not None:
        config |= {"until": f"{step.until:%H:%M}", "weekdays": sorted(step.weekdays)}
    return config


def _assign_config(step: Assign) -> dict[str, object]:
    config: dict[str, object] = {"rota": step.rota} if step.rota else {"member": step.member}
    if step.accept_within is not None:
        config |= {"accept_within_seconds": _seconds(step.accept_within), "rounds": step.rounds}
    return config


def _change_config(step: Change) -> dict[str, object]:
    given = {"stage": step.stage, "value_minor": step.value_minor, "junk": step.junk}
    config: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    return config | ({"fields": dict(step.fields)} if step.fields else {})


def _describe_send(step: Send) -> str:
    late = f", unless {format_duration(step.not_after)} late" if step.not_after and step.on_late == "skip" else ""
    return f"Send {step.template} to {_the(step.to)} by {step.channel}{late}"


def _describe_wait(step: Wait) -> str:
    length = f" {format_duration(step.duration)}" if step.duration else ""
    if step.until is None:
        return f"Wait{length}"
    days = "" if step.weekdays == EVERY_DAY else f" on {', '.join(WEEKDAY_NAMES[day] for day in sorted(step.weekdays))}"
    return f"Wait{length + ', then' if length else ''} until {step.until:%H:%M} local time{days}"


def _describe_assign(step: Assign) -> str:
    whom = f"the rota {step.rota}" if step.rota else str(step.member)
    if step.accept_within is None:
        return f"Assign to {whom}"
    rounds = f" {step.rounds} times round" if step.rounds > 1 else ""
    return f"Assign to {whom}, {format_duration(step.accept_within)} each to accept{rounds}, then the supervisor"


def _changes(step: Change) -> Iterator[tuple[str, str]]:
    if step.stage is not None:
        yield "stage", step.stage
    if step.value_minor is not None:
        yield "value", str(step.value_minor)
    if step.junk is not None:
        yield "junk", "yes" if step.junk else "no"
    yield from step.fields.items()


def _the(whom: str) -> str:
    return whom if "@" in whom else f"the {whom}"


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
