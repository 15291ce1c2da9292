import json

import pytest

from switchboard.delivery.rendering import check_template
from switchboard.flows.compiled import CompiledStep, compile_flow
from switchboard.flows.definition import FLOW_FIELDS, Known
from switchboard.flows.definition_parsing import parse_flow
from switchboard.flows.shipped import shipped_flows, shipped_templates

HEAD = "flow: f\ntitle: F\nsubject: lead\nstarts: [lead.created]\nsteps:\n"
BRANCHING = (
    HEAD
    + """\
  - if: lead.junk
    then:
      - wait: {event: message.replied, timeout: 1d}
        then:
          - send: thanks
      - set: {junk: no}
    else:
      - stop: Not junk
  - assign: {rota: sales, accept_within: 5m}
    else:
      - notify: supervisor
        text: Yours.
  - assign: {member: ann@example.com}
"""
)


def jumps(step: CompiledStep) -> tuple[str, str, int | None, int | None, int | None]:
    return step.id, step.kind, step.next, step.next_true, step.next_false


def test_branches_become_jumps() -> None:
    steps = compile_flow(parse_flow(BRANCHING))
    assert [step.index for step in steps] == list(range(8))
    assert [jumps(step) for step in steps] == [
        ("1", "if", None, 1, 4),
        ("1.then.1", "wait_for", None, 2, 3),
        ("1.then.1.then.1", "send", 3, None, None),
        ("1.then.2", "set", 5, None, None),
        ("1.else.1", "stop", None, None, None),
        ("2", "assign", None, 7, 6),
        ("2.else.1", "notify", 7, None, None),
        ("3", "assign", None, None, None),
    ]


def test_the_last_step_ends_the_run_on_both_ways() -> None:
    steps = compile_flow(parse_flow(HEAD + "  - if: lead.junk\n    then: [wait: 1d]\n"))
    assert [jumps(step) for step in steps] == [("1", "if", None, 1, None), ("1.then.1", "wait", None, None, None)]


@pytest.mark.parametrize(
    ("step", "kind", "config", "title"),
    [
        (
            "send: hello\n    not_after: 2h",
            "send",
            {
                "template": "hello",
                "channel": "email",
                "to": "contact",
                "purpose": "marketing",
                "urgent": False,
                "not_after_seconds": 7200,
                "on_late": "skip",
            },
            "Send hello to the contact by email, unless 2h late",
        ),
        ("wait: 1h30m", "wait", {"for_seconds": 5400}, "Wait 1h30m"),
        (
            "wait: {for: 1d, until: 09:30, weekdays: [tue, mon]}",
            "wait",
            {"for_seconds": 86400, "until": "09:30", "weekdays": [1, 2]},
            "Wait 1d, then until 09:30 local time on mon, tue",
        ),
        (
            "wait: {event: message.replied, timeout: 3d}",
            "wait_for",
            {"event": "message.replied", "timeout_seconds": 259200},
            "Wait up to 3d for message.replied",
        ),
        ("if: lead.junk\n    then: [stop: x]", "if", {"condition": "lead.junk"}, "If lead.junk"),
        (
            "assign: {rota: sales, accept_within: 5m, rounds: 2}",
            "assign",
            {"rota": "sales", "accept_within_seconds": 300, "rounds": 2},
            "Assign to the rota sales, 5m each to accept 2 times round, then the supervisor",
        ),
        ("assign: {member: a@b.de}", "assign", {"member": "a@b.de"}, "Assign to a@b.de"),
        (
            "notify: owner\n    text: Call now.",
            "notify",
            {"to": "owner", "text": "Call now."},
            "Tell the owner: Call now.",
        ),
        (
            "set: {stage: won, value: 5, junk: no, fields: {plan: gold}}",
            "set",
            {"stage": "won", "value_minor": 5, "junk": False, "fields": {"plan": "gold"}},
            "Set stage to won, value to 5, junk to no, plan to gold",
        ),
        ("stop: Done", "stop", {"reason": "Done"}, "Stop: Done"),
        ("stop: Done\n    name: That is all", "stop", {"reason": "Done"}, "That is all"),
    ],
)
def test_each_step_as_a_row_and_as_a_line(step: str, kind: str, config: dict[str, object], title: str) -> None:
    row = compile_flow(parse_flow(f"{HEAD}  - {step}\n"))[0]
    assert (row.kind, row.config, row.title) == (kind, config, title)
    assert json.loads(json.dumps(row.config)) == config


def test_the_shipped_flows_use_the_shipped_letters_and_no_others() -> None:
    known = Known(
        templates=frozenset(t.name for t in shipped_templates()), rotas=frozenset({"sales"}), fields=FLOW_FIELDS
    )
    flows = {name: parse_flow(text, known) for name, text in shipped_flows().items()}
    assert {name: flow.name for name, flow in flows.items()} == {
        "speed_to_lead": "speed_to_lead",
        "welcome": "welcome",
        "win_back": "win_back",
    }
    sent = {step.config.get("template") for flow in flows.values() for step in compile_flow(flow)} - {None}
    assert sent == {template.name for template in shipped_templates()}


def test_the_shipped_letters_have_no_problem() -> None:
    variables = {
        "contact": {"first_name": "Ann", "company": "Blue & Co"},
        "owner": {"name": "Bea"},
        "workspace": {"name": "Green"},
        "unsubscribe_url": "https://example.com/u",
    }
    problems = {t.name: check_template(t.subject, t.mjml, variables) for t in shipped_templates()}
    assert problems == {t.name: [] for t in shipped_templates()}


def test_every_marketing_letter_can_be_refused() -> None:
    for template in shipped_templates():
        assert ("{{ unsubscribe_url }}" in template.mjml) == (template.purpose == "marketing")
