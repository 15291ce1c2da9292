"""From a flow's YAML to its definition, or to every problem in it with line and column."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypedDict

from switchboard.accounts.models import CHANNELS
from switchboard.flows.definition import (
    EVENTS,
    LATE_RULES,
    PURPOSES,
    RECIPIENTS,
    SUBJECTS,
    Assign,
    Branching,
    Change,
    Flow,
    If,
    Known,
    Notify,
    Send,
    Step,
    Stop,
    Trigger,
    Wait,
    WaitForEvent,
)
from switchboard.flows.definition_document import Item, Section, read_document, suggestion
from switchboard.kernel.localtime import EVERY_DAY

MOST_STEPS = 200
DEEPEST_BRANCH = 10
MOST_ROUNDS = 10
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_ONE_STEP = 'one of send, wait, if, assign, notify, set or stop, such as "- send: welcome"'


def parse_flow(text: str, known: Known | None = None) -> Flow:
    """Read a flow and check it against the names a workspace has.

    Raises InvalidError with every problem at once, each with line and column counted from 1.
    """
    document, root = read_document(text)
    if root is None:
        document.report_at("", "The flow is empty; begin with `flow: its_name`.", 1, 1)
        document.refuse()
    reader = _FlowReader(known or Known())
    flow = reader.read(root) if root is not None else None
    document.refuse()
    if flow is None:
        raise RuntimeError("a flow was neither read nor refused")
    return flow


class _Place(TypedDict):
    id: str
    line: int
    name: str | None


class _FlowReader:
    """Reads one document; problems are noted on it, so nothing here raises."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.subject = "lead"
        self.step_count = 0
        self.verbs: dict[str, Callable[[Section, Item, _Place, int], Step | None]] = {
            "send": self._send,
            "wait": self._wait,
            "if": self._if,
            "assign": self._assign,
            "notify": self._notify,
            "set": self._set,
            "stop": self._stop,
        }

    def read(self, root: Item) -> Flow | None:
        section = root.as_section("A flow")
        if section is None:
            return None
        name = self._flow_name(section)
        title = _text(section.require("title", "Speed to lead"))
        self.subject = _choice(section.require("subject", "lead"), SUBJECTS) or "lead"
        # A flow about contacts may be begun by campaigns alone.
        is_own = self.subject == "contact"
        starts = self._triggers(section.find("starts") if is_own else section.require("starts", "[lead.created]"))
        stops = self._triggers(section.find("stops"))
        reentry_after = self._reentry(section.find("reentry"))
        steps_item = section.require("steps", "[{send: welcome}]")
        steps = self._steps(steps_item, "", 1) if steps_item else ()
        section.close()
        return Flow(name or "", title or "", self.subject, starts, stops, reentry_after, steps)

    def _flow_name(self, section: Section) -> str | None:
        item = section.require("flow", "speed_to_lead")
        name = _text(item, 60)
        if item and name and not set(name) <= _NAME_CHARACTERS:
            item.wrong(f"{name} is not a flow's name; use small letters, digits and underscores.")
        return name

    def _triggers(self, item: Item | None) -> tuple[Trigger, ...]:
        if item is None:
            return ()
        items = item.as_list(item.path)
        if not items and isinstance(item.node.value, list):
            item.wrong(f"{item.path} names no event; add one such as `- on: lead.created`.")
        return tuple(trigger for trigger in map(self._trigger, items) if trigger)

    def _trigger(self, item: Item) -> Trigger | None:
        if item.is_text:
            event = item.as_choice(EVENTS)
            return Trigger(event) if event else None
        section = item.as_section("An event")
        if section is None:
            return None
        event = _choice(section.require("on", "lead.created"), EVENTS)
        where = section.find("where")
        condition = where.as_condition(self.known.fields) if where else None
        section.close()
        return Trigger(event, condition) if event else None

    def _reentry(self, item: Item | None) -> timedelta | None:
        if item is None or (item.is_text and item.as_text() == "never"):
            return None
        if not item.is_section:
            item.wrong("Write `reentry: never`, or `reentry:` with `after: 30d` below it.")
            return None
        section = item.as_section("reentry")
        after = section.require("after", "30d") if section else None
        if section:
            section.close()
        return after.as_duration() if after else None

    def _steps(self, item: Item, prefix: str, depth: int) -> tuple[Step, ...]:
        if depth > DEEPEST_BRANCH:
            item.wrong(f"Branches nest deeper than {DEEPEST_BRANCH}; start another flow with an event instead.")
            return ()
        items = item.as_list("steps" if depth == 1 else item.path)
        if not items and isinstance(item.node.value, list):
            item.wrong("There is no step here; add " + _ONE_STEP + ".")
        steps = [self._step(step, f"{prefix}{number}", depth) for number, step in enumerate(items, 1)]
        _check_reach(zip(items, steps, strict=True))
        return tuple(step for step in steps if step)

    def _step(self, item: Item, step_id: str, depth: int) -> Step | None:
        self.step_count += 1
        if self.step_count == MOST_STEPS + 1:
            item.wrong(f"A flow may have {MOST_STEPS} steps; split it into two flows.")
        section = item.as_section("A step") if self.step_count <= MOST_STEPS else None
        if section is None:
            return None
        verbs = [name for name in section if name in self.verbs]
        if len(verbs) != 1:
            _report_verbs(section, verbs, self.verbs)
            return None
        value = section.find(verbs[0])
        name = section.find("name")
        place = _Place(id=step_id, line=item.line, name=name.as_text(80) if name else None)
        step = self.verbs[verbs[0]](section, value, place, depth) if value else None
        section.close()
        return step

    def _branches(self, section: Section, place: _Place, depth: int) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        then, otherwise = section.find("then"), section.find("else")
        return (
            self._steps(then, f"{place['id']}.then.", depth + 1) if then else (),
            self._steps(otherwise, f"{place['id']}.else.", depth + 1) if otherwise else (),
        )

    def _send(self, section: Section, value: Item, place: _Place, _depth: int) -> Step | None:
        template = value.as_name(self.known.templates, "template")
        channel = _choice(section.find("channel"), CHANNELS) or "email"
        to = _choice(section.find("to"), RECIPIENTS) or "contact"
        purpose = _choice(section.find("purpose"), PURPOSES)
        not_after = section.find("not_after")
        on_late = section.find("on_late")
        urgent = section.find("urgent")
        if on_late and not_after is None:
            on_late.wrong("on_late needs a limit; add a line such as `not_after: 2h`.")
        return Send(
            **place,
            template=template or "",
            channel=channel,
            to=to,
            purpose=purpose or ("marketing" if to == "contact" else "transactional"),
            not_after=not_after.as_duration() if not_after else None,
            on_late=_choice(on_late, LATE_RULES) or "skip",
            urgent=bool(urgent and urgent.as_bool()),
        )

    def _wait(self, section: Section, value: Item, place: _Place, depth: int) -> Step | None:
        if value.is_text:
            return Wait(**place, duration=value.as_duration())
        details = value.as_section("wait")
        if details is None:
            return None
        step: Step | None
        if "event" in details:
            step = self._wait_for_event(section, details, place, depth)
        else:
            step = _wait_for_time(details, place)
        details.close()
        return step

    def _wait_for_event(self, section: Section, details: Section, place: _Place, depth: int) -> Step | None:
        event = _choice(details.find("event"), EVENTS)
        timeout = details.require("timeout", "3d")
        length = timeout.as_duration() if timeout else None
        then, otherwise = self._branches(section, place, depth)
        if event is None or length is None:
            return None
        return WaitForEvent(**place, event=event, timeout=length, then=then, otherwise=otherwise)

    def _if(self, section: Section, value: Item, place: _Place, depth: int) -> Step | None:
        condition = value.as_condition(self.known.fields)
        if "then" not in section and "else" not in section:
            section.require("then", "[{send: welcome}]")
        then, otherwise = self._branches(section, place, depth)
        return If(**place, condition=condition or "", then=then, otherwise=otherwise)

    def _assign(self, section: Section, value: Item, place: _Place, depth: int) -> Step | None:
        details = value.as_section("assign")
        if details is None:
            return None
        self._check_needs_lead(value, "assign")
        rota, member = details.find("rota"), details.find("member")
        if (rota is None) == (member is None):
            value.wrong("Name either `rota: sales` or `member: ann@example.com`.")
        accept_within, rounds = details.find("accept_within"), details.find("rounds")
        details.close()
        _check_needs_acceptance(section, rounds, accept_within)
        then, otherwise = self._branches(section, place, depth)
        return Assign(
            **place,
            rota=rota.as_name(self.known.rotas, "rota") if rota else None,
            member=member.as_name(self.known.members, "member") if member else None,
            accept_within=accept_within.as_duration() if accept_within else None,
            rounds=(rounds.as_whole_number(1, MOST_ROUNDS) if rounds else None) or 1,
            then=then,
            otherwise=otherwise,
        )

    def _notify(self, section: Section, value: Item, place: _Place, _depth: int) -> Step | None:
        members = self.known.members
        whom = None if members is None else {*members, "owner", "supervisor"}
        to = value.as_name(whom, "colleague")
        text = _text(section.require("text", "A lead is waiting."), 500)
        return Notify(**place, to=to or "", text=text or "")

    def _set(self, _section: Section, value: Item, place: _Place, _depth: int) -> Step | None:
        details = value.as_section("set")
        if details is None:
            return None
        stage, amount, junk = details.find("stage"), details.find("value"), details.find("junk")
        fields = details.find("fields")
        for item in (stage, amount, junk):
            if item:
                self._check_needs_lead(item, item.path)
        if not any((stage, amount, junk, fields)):
            value.wrong("Name what to set: stage, value, junk or fields.")
        details.close()
        return Change(
            **place,
            stage=stage.as_name(self.known.stages, "stage") if stage else None,
            value_minor=amount.as_whole_number(0, 10**14) if amount else None,
            junk=junk.as_bool() if junk else None,
            fields=_field_values(fields),
        )

    def _check_needs_lead(self, item: Item, what: str) -> None:
        if self.subject != "lead":
            item.wrong(f"{what} is about a lead, but this flow is about a contact; write `subject: lead`.")

    def _stop(self, _section: Section, value: Item, place: _Place, _depth: int) -> Step | None:
        return Stop(**place, reason=value.as_text() or "")


def _wait_for_time(details: Section, place: _Place) -> Wait:
    length, until, weekdays = details.find("for"), details.find("until"), details.find("weekdays")
    if length is None and until is None:
        details.item.wrong('Say how long: `for: 2d`, `until: "09:00"`, or `event:` with a `timeout`.')
    if weekdays and until is None:
        weekdays.wrong('weekdays needs an hour; add a line such as `until: "09:00"`.')
    return Wait(
        **place,
        duration=length.as_duration() if length else None,
        until=until.as_time() if until else None,
        weekdays=(weekdays.as_weekdays() if weekdays else None) or EVERY_DAY,
    )


def _check_needs_acceptance(section: Section, rounds: Item | None, accept_within: Item | None) -> None:
    if accept_within is not None:
        return
    for item in (rounds, section.find("then"), section.find("else")):
        if item:
            item.wrong("This needs a limit; add a line such as `accept_within: 5m` to assign.")


def _check_reach(steps: Iterable[tuple[Item, Step | None]]) -> None:
    ended_by: Step | None = None
    for item, step in steps:
        if ended_by is not None:
            item.wrong(f"This step is never reached, because step {ended_by.id} always ends the run.")
            return
        if step is not None and _always_ends(step):
            ended_by = step


def _always_ends(step: Step) -> bool:
    if isinstance(step, Stop):
        return True
    if not isinstance(step, Branching) or (isinstance(step, Assign) and step.accept_within is None):
        return False
    return all(any(map(_always_ends, branch)) for branch in (step.then, step.otherwise))


def _report_verbs(section: Section, verbs: list[str], known: Iterable[str]) -> None:
    if verbs:
        section.item.wrong(f"A step does one thing, but this has {' and '.join(verbs)}; begin a new line with a dash.")
        return
    first = next(iter(section), "")
    guess = suggestion(first, set(known)) if first else "."
    section.item.wrong(f"This step does nothing we know{guess} A step begins with {_ONE_STEP}.")


def _field_values(item: Item | None) -> dict[str, str]:
    section = item.as_section("fields") if item else None
    values = {name: section.find(name) for name in section} if section else {}
    texts = {name: _text(value, 1_000) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _text(item: Item | None, longest: int = 200) -> str | None:
    return item.as_text(longest) if item else None


def _choice(item: Item | None, choices: tuple[str, ...]) -> str | None:
    return item.as_choice(choices) if item else None
