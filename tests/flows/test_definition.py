from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.flows.definition import (
    EVENTS,
    Assign,
    Change,
    Flow,
    If,
    Known,
    Notify,
    Send,
    Stop,
    Trigger,
    Wait,
    WaitForEvent,
)
from switchboard.flows.definition_document import DEEPEST_NODE, LARGEST_BYTES
from switchboard.flows.definition_parsing import DEEPEST_BRANCH, MOST_STEPS, parse_flow
from switchboard.kernel.errors import InvalidError

HEAD = "flow: f\ntitle: F\nsubject: lead\nstarts: [lead.created]\n"
EVERYTHING = """\
flow: everything
title: Everything there is
subject: lead
starts:
  - on: lead.created
    where: "!lead.junk"
  - lead.stage_changed
stops:
  - on: message.replied
reentry:
  after: 30d
steps:
  - send: welcome
    name: First letter
    to: contact
    channel: email
    purpose: transactional
    not_after: 2h
    on_late: send
    urgent: yes
  - wait: 2d
  - wait:
      for: 1d
      until: 10:00
      weekdays: [mon, tue]
  - wait:
      event: message.replied
      timeout: 3d
    then:
      - stop: They answered
    else:
      - notify: ann@example.com
        text: No answer yet.
  - if: lead.value > 100
    then:
      - set:
          stage: hot
          value: 5000
          junk: no
          fields: {plan: gold}
  - assign:
      rota: sales
      accept_within: 5m
      rounds: 2
    else:
      - send: sorry
        to: owner
  - assign: {member: ann@example.com}
"""
KNOWN = Known(
    templates=frozenset({"welcome", "sorry"}),
    rotas=frozenset({"sales"}),
    members=frozenset({"ann@example.com"}),
    stages=frozenset({"new", "hot"}),
)


def problems_of(text: str, known: Known | None = None) -> list[tuple[int | None, int | None, str]]:
    with pytest.raises(InvalidError) as refusal:
        parse_flow(text, known)
    return [(problem.line, problem.column, problem.message) for problem in refusal.value.problems]


def test_everything_a_flow_can_say() -> None:
    assert parse_flow(EVERYTHING, KNOWN) == Flow(
        name="everything",
        title="Everything there is",
        subject="lead",
        starts=(Trigger("lead.created", "!lead.junk"), Trigger("lead.stage_changed")),
        stops=(Trigger("message.replied"),),
        reentry_after=timedelta(days=30),
        steps=(
            Send(
                id="1",
                line=13,
                name="First letter",
                template="welcome",
                purpose="transactional",
                not_after=timedelta(hours=2),
                on_late="send",
                urgent=True,
            ),
            Wait(id="2", line=21, duration=timedelta(days=2)),
            Wait(id="3", line=22, duration=timedelta(days=1), until=time(10), weekdays=frozenset({1, 2})),
            WaitForEvent(
                id="4",
                line=26,
                event="message.replied",
                timeout=timedelta(days=3),
                then=(Stop(id="4.then.1", line=30, reason="They answered"),),
                otherwise=(Notify(id="4.else.1", line=32, to="ann@example.com", text="No answer yet."),),
            ),
            If(
                id="5",
                line=34,
                condition="lead.value > 100",
                then=(
                    Change(id="5.then.1", line=36, stage="hot", value_minor=5000, junk=False, fields={"plan": "gold"}),
                ),
            ),
            Assign(
                id="6",
                line=41,
                rota="sales",
                accept_within=timedelta(minutes=5),
                rounds=2,
                otherwise=(Send(id="6.else.1", line=46, template="sorry", to="owner", purpose="transactional"),),
            ),
            Assign(id="7", line=48, member="ann@example.com"),
        ),
    )


def test_what_is_left_out_has_a_plain_meaning() -> None:
    flow = parse_flow(HEAD + "steps:\n  - send: any_template\n")
    assert flow.stops == ()
    assert flow.reentry_after is None
    assert flow.steps == (Send(id="1", line=6, template="any_template"),)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_starts_and_stops(event: str) -> None:
    flow = parse_flow(f"flow: f\ntitle: F\nsubject: lead\nstarts: [{event}]\nstops: [{event}]\nsteps: [wait: 1d]\n")
    assert flow.starts == flow.stops == (Trigger(event),)


@pytest.mark.parametrize(
    ("steps", "line", "column", "says"),
    [
        ("  - sendd: welcome", 6, 5, "did you mean send?"),
        ("  - send: welcom", 6, 11, "There is no template called welcom; did you mean welcome?"),
        ("  - send: welcome\n    too: owner", 7, 5, "did you mean to?"),
        ("  - send: welcome\n    to: owners", 7, 9, "did you mean owner?"),
        ("  - send: welcome\n    channel: fax", 7, 14, "there is email"),
        ("  - send: welcome\n    on_late: skip", 7, 14, "not_after"),
        ("  - send: welcome\n    urgent: maybe", 7, 13, "yes or no"),
        ("  - send:", 6, 10, "empty"),
        ("  - send: [a]", 6, 11, "single text"),
        ("  - send: welcome\n    wait: 1d", 6, 5, "send and wait"),
        ("  - welcome", 6, 5, "names and values"),
        ("  - wait: 2 days", 6, 11, "not a duration"),
        ("  - wait: {}", 6, 11, "Say how long"),
        ("  - wait: {for: 1d, weekdays: [mon]}", 6, 31, "weekdays needs an hour"),
        ("  - wait: {until: 25:00}", 6, 19, "not a time of day"),
        ('  - wait: {until: "09:00", weekdays: [monday]}', 6, 39, "did you mean mon?"),
        ('  - wait: {until: "09:00", weekdays: mon}', 6, 38, "is a list"),
        ("  - wait: {event: message.replied}", 6, 11, "timeout is missing"),
        ("  - wait: {event: message.answered, timeout: 1d}", 6, 19, "not possible here"),
        ("  - if: lead.valeu > 3\n    then: [stop: x]", 6, 9, "did you mean lead.value?"),
        ("  - if: 'lead.value > 3 &&  lead.nope'\n    then: [stop: x]", 6, 29, "no field lead.nope"),
        ("  - if: |\n      lead.value > 3 &&\n        contact.mail == ''\n    then: [stop: x]", 8, 9, "contact.email"),
        ("  - if: lead.junk", 6, 5, "then is missing"),
        ("  - if: lead.junk\n    then: []", 7, 11, "no step here"),
        ("  - assign: sales", 6, 13, "names and values"),
        ("  - assign: {}", 6, 13, "either"),
        ("  - assign: {rota: sale}", 6, 20, "did you mean sales?"),
        ("  - assign: {member: bob@example.com}", 6, 22, "no member called"),
        ("  - assign: {rota: sales, rounds: 2}", 6, 35, "accept_within"),
        ("  - assign: {rota: sales}\n    then: [stop: x]", 7, 11, "accept_within"),
        ("  - assign: {rota: sales, accept_within: 5m, rounds: 11}", 6, 54, "from 1 to 10"),
        ("  - notify: owner", 6, 5, "text is missing"),
        ("  - notify: boss\n    text: x", 6, 13, "no colleague called boss"),
        ("  - set: {}", 6, 10, "Name what to set"),
        ("  - set: {stage: ho}", 6, 18, "did you mean hot?"),
        ("  - set: {value: -5}", 6, 18, "whole number"),
        ("  - stop: x\n  - wait: 1d", 7, 5, "never reached, because step 1"),
        ("  - if: lead.junk\n    then: [stop: x]\n    else: [stop: y]\n  - wait: 1d", 9, 5, "never reached"),
        ("  - wait: 1d\n    wait: 2d", 7, 5, "there twice"),
        ("  - send: &a welcome\n  - send: *a", 6, 11, "Anchors"),
        ("  - if: !lead.junk\n    then: [stop: x]", 6, 9, "quotes"),
        ("  - send: 'welcome", 7, 1, "not readable YAML"),
        ("  - send: \x00", 1, 1, "characters"),
    ],
)
def test_a_wrong_step_is_named_with_its_place(steps: str, line: int, column: int, says: str) -> None:
    found = problems_of(HEAD + "steps:\n" + steps + "\n", KNOWN)
    assert (line, column) in [(at_line, at_column) for at_line, at_column, _message in found]
    assert says in " ".join(message for _line, _column, message in found)


def test_all_problems_are_reported_at_once_in_order() -> None:
    text = """\
flow: Speed To
titel: x
subject: leads
starts:
  - on: lead.creatd
    where: lead.valeu > 3
reentry: sometimes
steps:
  - sendd: welcome
  - wait: soon
"""
    places = [(line, column) for line, column, _message in problems_of(text)]
    assert places == [(1, 1), (1, 7), (2, 1), (3, 10), (5, 9), (6, 12), (7, 10), (9, 5), (10, 11)]


@pytest.mark.parametrize("text", ["", "# nothing", "[]", "x", "--- 1\n--- 2", "a: b: c", "{", "\ud800"])
def test_what_is_no_flow_at_all_is_refused(text: str) -> None:
    assert problems_of(text)


def test_a_flow_about_a_contact_cannot_touch_a_lead() -> None:
    text = HEAD.replace("subject: lead", "subject: contact")
    found = problems_of(text + "steps:\n  - assign: {rota: sales}\n  - set: {stage: hot, fields: {a: b}}\n")
    assert [(line, column) for line, column, _message in found] == [(6, 13), (7, 18)]


def nested(depth: int) -> str:
    lines = [f"{'    ' * level}  - if: lead.junk\n{'    ' * level}    then:" for level in range(depth - 1)]
    return HEAD + "steps:\n" + "\n".join([*lines, "    " * (depth - 1) + "  - wait: 1d"]) + "\n"


def test_the_size_of_a_flow_is_bounded() -> None:
    assert parse_flow(nested(DEEPEST_BRANCH)).steps
    assert "nest deeper" in problems_of(nested(DEEPEST_BRANCH + 1))[0][2]
    assert len(parse_flow(HEAD + "steps:\n" + "  - wait: 1d\n" * MOST_STEPS).steps) == MOST_STEPS
    assert "200 steps" in problems_of(HEAD + "steps:\n" + "  - wait: 1d\n" * (MOST_STEPS + 5))[0][2]
    assert "256 KiB" in problems_of(HEAD + "#" * LARGEST_BYTES)[0][2]
    assert "nests too deeply" in problems_of("[" * 100_000)[0][2]
    assert "nests too deeply" in problems_of("[" * (DEEPEST_NODE + 1) + "]" * (DEEPEST_NODE + 1))[0][2]
    assert len(problems_of(HEAD + "steps:\n" + "  - x: 1\n" * 150)) == 100


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(EVERYTHING.splitlines(keepends=True))
        | st.sampled_from(["  ", "- ", ": ", "[", "]", "{", "}", "'", '"', "if", "\n", "&a ", "*a", "!x ", "|"]),
        max_size=30,
    ).map("".join)
)
def test_rubbish_is_refused_and_nothing_worse(text: str) -> None:
    try:
        parse_flow(text, KNOWN)
    except InvalidError as refusal:
        assert refusal.problems  # noqa: PT017
        assert all(problem.line and problem.column for problem in refusal.problems)  # noqa: PT017


def test_only_a_flow_about_contacts_may_be_left_to_campaigns() -> None:
    text = "flow: news\ntitle: News\nsubject: {}\nsteps: [wait: 1d]\n"
    assert parse_flow(text.format("contact")).starts == ()
    with pytest.raises(InvalidError) as refused:
        parse_flow(text.format("lead"))
    assert "starts" in refused.value.problems[0].message
