"""What the guide says and what the code does do not drift apart: what is there is named, and what is named works."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import prometheus_client
import pytest

from switchboard.accounts.models import CHANNELS, ROLES
from switchboard.delivery.gate import Reason
from switchboard.delivery.letter_variables import LETTER_VARIABLES
from switchboard.delivery.models import State, SuppressionReason
from switchboard.delivery.rendering import check_template
from switchboard.delivery.wording import REASON_WORDS
from switchboard.entrypoints.assembly import build_hub, build_loops
from switchboard.flows import definition
from switchboard.flows.definition_parsing import parse_flow
from switchboard.flows.shipped import shipped_flows
from switchboard.intake.formats.registry import FORMATS
from switchboard.intake.mapping import TARGETS, FieldMapping
from switchboard.intake.reserve import Kept
from switchboard.kernel import telemetry
from switchboard.kernel.db import Database
from switchboard.kernel.expressions import FUNCTIONS, compile_expression
from switchboard.kernel.settings import Settings, setting_names
from switchboard.ops.health import Health
from switchboard.ops.metrics import render_metrics
from switchboard.people.wording import NOT_SHOWN, WORDINGS
from switchboard.routing.fields import RULE_FIELDS
from switchboard.routing.models import STRATEGIES
from tools.guide_commands import helps
from tools.guide_events import MEANINGS, built_nouns, words_of_code, written_kinds
from tools.guide_reading import Block, blocks, calls, code_words, leads_somewhere, links, pages, read
from tools.guide_routes import addresses

# Names in capitals that the guide mentions and that are no settings of ours, each with the reason.
NOT_SETTINGS = {
    "TOKEN": "stands for a source's token in examples",
    "ADDRESS": "stands for a mail address in examples",
    "FORWARDED_ALLOW_IPS": "a setting of the web server itself",
    "KEPT": "stands for a contact's id in examples",
}
PACKAGE = Path(definition.__file__).parents[1]


def named(page: str) -> set[str]:
    """What a page sets as code."""
    return code_words(read(page))


def paths_of(variables: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in variables.items():
        if isinstance(value, Mapping) and value:
            yield from paths_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


# Everything there is, is named.


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("sources.md", {*FORMATS, *TARGETS}),
        ("routing.md", {*RULE_FIELDS, *STRATEGIES}),
        ("flows.md", {*definition.FLOW_FIELDS, *definition.EVENTS, *definition.SUBJECTS, *shipped_flows()}),
        ("flows.md", {*CHANNELS, *definition.RECIPIENTS, *definition.PURPOSES, *definition.LATE_RULES}),
        ("templates.md", set(paths_of(LETTER_VARIABLES))),
        ("delivery.md", {*get_args(Reason), *REASON_WORDS, *get_args(SuppressionReason)}),
        ("delivery.md", {*get_args(State)} - {"received"}),
        ("operating.md", {*ROLES}),
    ],
)
def test_names_are_documented(page: str, names: set[str]) -> None:
    assert sorted(names - named(page)) == []


def test_functions_of_conditions_are_documented() -> None:
    assert sorted(FUNCTIONS - named("routing.md")) == []


async def test_queues_are_documented() -> None:
    loops = build_loops(Settings(), Database("postgresql://nobody@localhost/none", build_hub(), max_connections=2))
    assert sorted({loop.name for loop in loops} - named("operating.md")) == []


def test_figures_are_documented() -> None:
    registry = prometheus_client.CollectorRegistry()
    for figure in vars(telemetry).values():
        if isinstance(figure, prometheus_client.Counter | prometheus_client.Histogram):
            registry.register(figure)
    counters = {f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()}
    nobody = Health(False, "unreachable", (), False, (), (), Kept("disk"))
    gauges = set(re.findall(r"^# TYPE (switchboard_\w+) gauge$", render_metrics(nobody, None).decode(), re.MULTILINE))
    # When a counter began to count is written beside each of them by the library.
    figures = {name for name in counters | gauges if not name.endswith("_created")}
    assert sorted(figures - named("operating.md")) == []


def test_keys_are_documented() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("templates/**/*.html")]
    hints = {hint for text in texts for hint in re.findall(r"key_hint\('([^']+)'\)|\bkey='(.)'", text) for hint in hint}
    places = {hint for text in texts for hint in re.findall(r"'(g .)'\)", text)}
    wanted = {hint.lower() for hint in hints | places if hint}
    known = {each for word in named("keys.md") for each in (word, *word.split())}
    assert sorted(hint for hint in wanted if hint not in known and not set(hint.split()) <= known) == []


def test_events_that_are_written_have_a_meaning() -> None:
    assert sorted(written_kinds() - MEANINGS.keys()) == []
    nouns = {kind.partition(".")[0] for kind in MEANINGS}
    assert sorted(built_nouns() - nouns) == []


def test_events_with_a_meaning_are_written() -> None:
    written, nouns, words = written_kinds(), built_nouns(), words_of_code()
    missing = [
        kind
        for kind in MEANINGS.keys() - written
        if kind not in words and not (kind.partition(".")[0] in nouns and kind.partition(".")[2] in words)
    ]
    assert sorted(missing) == []


def test_events_read_on_timelines_or_say_why_not() -> None:
    silent = {kind for kind in MEANINGS if kind not in WORDINGS and kind.partition(".")[0] not in NOT_SHOWN}
    assert sorted(silent) == []
    assert sorted(WORDINGS.keys() - MEANINGS.keys()) == []


# Everything that is named works.


def test_settings_named_in_the_guide_exist() -> None:
    words = {word.partition("=")[0] for text in pages().values() for word in code_words(text)}
    capitals = {word for word in words if re.fullmatch(r"[A-Z][A-Z_]{3,}", word)}
    known = {*setting_names(), *NOT_SETTINGS, *(f"{name}_FILE" for name in setting_names())}
    sql_and_http = {"POST", "DATA", "HTTPS"}
    assert sorted(capitals - known - sql_and_http) == []


def test_commands_named_in_the_guide_exist() -> None:
    known = helps()
    for page, words in calls():
        name, rest = "switchboard", list(words)
        while rest and f"{name} {rest[0]}" in known:
            name = f"{name} {rest.pop(0)}"
        assert name != "switchboard", f"{page}: {words}"
        options = [word for word in rest if word.startswith("--")]
        assert [option for option in options if option not in known[name]] == [], f"{page}: {words}"
        assert rest[:1] == [] or not known[name].count("COMMAND [ARGS]"), f"{page}: {words}"


def test_addresses_named_in_the_guide_exist() -> None:
    areas = {f"/{address.path.split('/')[1]}" for address in addresses()}
    words = {word for text in pages().values() for word in code_words(text) if re.match(r"/[a-z]", word)}
    assert sorted(word for word in words if f"/{word.split('/')[1].partition('?')[0]}" not in areas) == []


def test_links_lead_somewhere() -> None:
    assert [link for link in links() if not leads_somewhere(*link)] == []


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_flows_in_the_guide_can_be_saved(block: Block) -> None:
    assert f"flow: {parse_flow(block.text).name}" in block.text


@pytest.mark.parametrize("block", blocks("yaml steps"), ids=lambda block: block.text.split(":")[0])
def test_steps_in_the_guide_can_be_saved(block: Block) -> None:
    parse_flow(f"flow: f\ntitle: F\nsubject: lead\nstarts: [lead.created]\nsteps:\n{block.text}")


@pytest.mark.parametrize("block", blocks("cel rule"), ids=lambda block: block.text.strip())
def test_conditions_in_the_guide_can_be_saved(block: Block) -> None:
    assert compile_expression(block.text.strip(), RULE_FIELDS).references


@pytest.mark.parametrize("block", blocks("json mapping"), ids=lambda block: block.page)
def test_mappings_in_the_guide_can_be_saved(block: Block) -> None:
    assert "email" in FieldMapping.from_json(json.loads(block.text)).rules


def test_the_template_in_the_guide_can_be_saved() -> None:
    (subject,), (body,) = blocks("liquid subject"), blocks("liquid body")
    assert check_template(subject.text.strip(), body.text, LETTER_VARIABLES) == []
