from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.errors import InvalidError
from switchboard.kernel.expression_source import (
    LONGEST_TEXT,
    MOST_CALLS,
    MOST_CALLS_IN_LOOPS,
    MOST_LOOPS,
    MOST_MENTIONS,
    MOST_MENTIONS_IN_LOOPS,
    MOST_PATTERNS,
    read_source,
)
from switchboard.kernel.expressions import MOST_ITEMS, MOST_LISTS, ExpressionError, FieldType, compile_expression

FIELDS = {
    "lead.stage": FieldType.STRING,
    "lead.value": FieldType.INT,
    "lead.score": FieldType.FLOAT,
    "lead.junk": FieldType.BOOL,
    "lead.created_at": FieldType.TIMESTAMP,
    "lead.closed_at": FieldType.TIMESTAMP,
    "contact.email": FieldType.STRING,
    "contact.tags": FieldType.STRING_LIST,
    "contact.fields": FieldType.STRING_MAP,
}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FACTS = {
    "now": NOW,
    "lead": {"stage": "new", "value": 0, "created_at": NOW - timedelta(hours=1), "closed_at": None},
    "contact": {"email": "Ann@B.de", "tags": ["vip"], "fields": {"plan": "gold", "size": "12", "blank": ""}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lead.stage == 'new'", True),
        ("lead.stage in ['won', 'lost']", False),
        ("lead.value < 5 && !lead.junk", True),
        ("lead.score > 1.0", False),
        ("now - lead.created_at > duration('5m')", True),
        ("now - lead.closed_at > duration('5m')", False),
        ("lead.closed_at == null", True),
        ("has(lead.closed_at) || has(lead.score)", False),
        ("has(lead.value)", True),
        ("has(contact.fields.plan) && !has(contact.fields.blank) && !has(contact.fields.nope)", True),
        ("contact.fields.nope == ''", True),
        ("contact.fields['plan'] == 'gold'", True),
        ("contact.fields['with.dot'] == ''", True),
        ("'plan' in contact.fields", True),
        ("int(contact.fields.size) >= 12", True),
        ("contact.tags.exists(t, t.startsWith('v'))", True),
        ("'vip' in contact.tags && size(contact.tags) == 1", True),
        ("lower(contact.email).endsWith('@b.de')", True),
        ("contact.email.upper().trim() == 'ANN@B.DE'", True),
        ("contact.email.matches('^[A-Z]')", True),
        ("// the newest only\nlead.created_at > timestamp('2026-01-01T00:00:00Z')", True),
    ],
)
def test_a_condition_is_decided(text: str, expected: bool) -> None:
    assert compile_expression(text, FIELDS).evaluate(FACTS) is expected


def test_facts_that_are_missing_read_as_nothing() -> None:
    text = "lead.stage == '' && lead.value == 0 && contact.tags == [] && contact.fields.plan == ''"
    assert compile_expression(text, FIELDS).evaluate({}) is True


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("lead.stag == 'x'", 1, 1, "did you mean lead.stage?"),
        ("lead.stage == 'x' &&\n  contact.mail == ''", 2, 3, "did you mean contact.email?"),
        ("lead == 'x'", 1, 1, "group of fields"),
        ("lead['stage'] == 'x'", 1, 1, "group of fields"),
        ("lead.stage = 'x'", 1, 12, "Compare with `==`"),
        ("lead.stage ==", 1, 14, "the end"),
        ("", 1, 1, "empty"),
        ("lead.value > 'x'", 1, 1, "lead.value is a whole number"),
        ("true || lead.value > 'x'", 1, 9, "do not fit"),
        ("(true || (lead.junk && lead.value)) && true", 1, 24, "yes or no"),
        ("lead.value == '5'", 1, 15, "never equals"),
        ("5 != lead.stage", 1, 1, "never equals"),
        ("lead.value + 1", 1, 1, "yes or no"),
        ("lower(lead.value) == '1'", 1, 1, "lower() takes one text"),
        ("size(lead.value) == 1", 1, 1, "do not fit"),
        ("lead.stage.fold()", 1, 12, "no function fold()"),
        ("lead.stage.size().x == 1", 1, 19, "name a field in full"),
        ("contact.tags.exists(t, t == 'a') && t == 'b'", 1, 37, "no field t"),
        ("contact.tags.exists(lead, true)", 1, 21, "already names a field"),
        ("contact.tags.exists(t, contact.tags.exists(u, u == t))", 1, 37, "loop inside a loop"),
        ("contact.tags.exists(t, t.matches('a'))", 1, 26, "pattern inside a loop"),
        ("lead.stage.matches(contact.email)", 1, 12, "written out"),
        ("lead.stage.matches('a{50}')", 1, 20, "no counts"),
        ("lead.stage.matches('(')", 1, 1, "unclosed group"),
        ("duration('2d') > duration('1h')", 1, 1, "duration('48h')"),
        ("{'a': 1}.a == 1", 1, 1, "no use for '{'"),
        ("(" * 11 + "1" + ")" * 11 + " == 1", 1, 12, "nest deeper"),
        ("'" + "x" * LONGEST_TEXT + "' == ''", 1, LONGEST_TEXT + 1, "2,000 characters"),
        ("int('x') == 1", 1, 1, "does not work"),
        ("_known.lead.stage == 'x'", 1, 1, "no field _known.lead.stage"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused_with_its_place(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        compile_expression(text, FIELDS)
    problem = refusal.value.problems[0]
    assert (problem.line, problem.column) == (line, column)
    assert says in problem.message


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as refusal:
        compile_expression("lead.stag == 'x' && contact.mail == fold(lead.value)", FIELDS)
    assert [problem.column for problem in refusal.value.problems] == [37, 1, 21]


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("lead.junk", MOST_MENTIONS),
        ("size('a') == 1", MOST_CALLS),
        ("['a'].exists(t, true)", MOST_LOOPS),
        ("'vip' in contact.tags", MOST_LISTS),
        ("size(contact.fields) > 0", MOST_LISTS),
        ("lead.stage.matches('a')", MOST_PATTERNS),
    ],
)
def test_what_a_condition_costs_is_bounded(unit: str, most: int) -> None:
    compile_expression(" || ".join([unit] * most), FIELDS)
    with pytest.raises(InvalidError, match="may mention at most"):
        compile_expression(" || ".join([unit] * (most + 1)), FIELDS)


@pytest.mark.parametrize(
    ("unit", "most"), [("t == lead.stage", MOST_MENTIONS_IN_LOOPS), ("t.contains('a')", MOST_CALLS_IN_LOOPS)]
)
def test_what_a_loop_costs_is_bounded(unit: str, most: int) -> None:
    compile_expression(f"contact.tags.exists(t, {' || '.join([unit] * most)})", FIELDS)
    with pytest.raises(InvalidError, match="in loops"):
        compile_expression(f"contact.tags.exists(t, {' || '.join([unit] * (most + 1))})", FIELDS)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("contact.tags[3] == 'x'", FACTS),
        ("int(contact.fields.plan) > 3", FACTS),
        ("10 / lead.value > 3", FACTS),
        ("contact.tags == []", {"contact": {"tags": ["x"] * (MOST_ITEMS + 1)}}),
        ("contact.tags == []", {"contact": {"tags": "vip"}}),
        ("size(contact.fields) == 0", {"contact": {"fields": {str(n): "" for n in range(MOST_ITEMS + 1)}}}),
        ("lead.value > 3", {"lead": {"value": "many"}}),
        ("lead.created_at < now", {"now": NOW, "lead": {"created_at": "yesterday"}}),
    ],
)
def test_facts_that_do_not_fit_give_one_clear_error(text: str, facts: dict[str, object]) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, FIELDS).evaluate(facts)


def test_the_same_text_is_compiled_once() -> None:
    assert compile_expression("lead.junk", FIELDS) is compile_expression("lead.junk", dict(FIELDS))


@given(st.text(max_size=60) | st.lists(st.sampled_from(["lead.value", "contact.tags", ".exists(t, ", "t", "(", ")", "[", "]", "&&", "!", "?", ":", "==", "'a'", "1", "has(", ".", ",", "in", "{", "}", "matches(", "\n", "//"]), max_size=15).map("".join))  # fmt: skip  # noqa: E501
def test_rubbish_is_refused_and_nothing_worse(text: str) -> None:
    try:
        expression = compile_expression(text, FIELDS)
    except InvalidError as refusal:
        assert all(problem.line and problem.column for problem in refusal.problems)  # noqa: PT017
        return
    source = read_source(text)
    assert len(source.mentions) <= MOST_MENTIONS
    assert not any(source.is_in_loop(loop.first) for loop in source.loops())
    try:
        assert isinstance(expression.evaluate(FACTS), bool)
    except ExpressionError as error:
        assert text in error.message  # noqa: PT017
