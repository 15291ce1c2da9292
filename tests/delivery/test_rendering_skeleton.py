"""What is filled into a skeleton is what Liquid itself would have written."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from switchboard.delivery.rendering_liquid import TemplateError, parse_markup, parse_plain, render_bounded
from switchboard.delivery.rendering_skeleton import Skeleton, Values

LETTERS = Path(str(files("switchboard.flows"))) / "library" / "templates"
PIECES = st.sampled_from(
    [
        "<p>Hello</p>",
        "a & b\r\n",
        "\r",
        "\n",
        "ä",
        "{{ contact.name }}",
        "{{contact.name|default:'you'}}",
        '{{ contact.name | default: "<b>&" }}',
        "{{ contact['first name'] }}",
        "{{ link }}",
        "{{- link -}}",
        "{{ contact.missing | default: 'none' }}",
        "{{ contact.missing }}",
        "{{ contact.missing.name | default: link }}",
        "{{ contact.name | default: link }}",
        "{{ link | default: contact['first name'] }}",
        "{{ contact.missing | default: contact.other }}",
    ]
)
VALUES = st.one_of(
    st.text(alphabet="ab <>&\"'\r\n\tä日\u2028", max_size=12),
    st.none(),
    st.integers(),
    st.booleans(),
    st.just("x" * 2_001),
)


def variables_of(name: object, first: object, link: object) -> Mapping[str, object]:
    return {"contact": {"name": name, "first name": first}, "link": link}


@pytest.mark.parametrize("parse", [parse_markup, parse_plain])
@given(pieces=st.lists(PIECES, max_size=8), values=st.tuples(VALUES, VALUES, VALUES))
def test_a_filled_skeleton_is_what_liquid_writes(
    parse: object, pieces: list[str], values: tuple[object, object, object]
) -> None:
    template = parse("".join(pieces))  # type: ignore[operator]
    skeleton = Skeleton.find(template)
    assert skeleton is not None
    cut = skeleton.cut(Values(variables_of(*values)))
    filled = None if cut is None else cut.join()
    if all(isinstance(value, str) and value.strip() and "\r" not in value and len(value) < 99 for value in values):
        assert filled is not None
    if filled is not None:
        assert filled == render_bounded(template, variables_of(*values))


@pytest.mark.parametrize(
    "source",
    [
        "{% if contact.name %}x{% endif %}",
        "{{ contact.name | upcase }}",
        "{{ contact.name | default: 3 }}",
        "{{ contact.name | default: contact.names[0] }}",
        "{{ contact.name | default: contact[link] }}",
        "{{ contact.name | default: 'a', allow_false: true }}",
        "{{ contact.name | default: 'a' | upcase }}",
        "{{ contact[link] }}",
        "{{ contact.names[0] }}",
        "{{ 'literal' }}",
        "{{ contact.name if link else 'x' }}",
    ],
)
def test_what_does_more_than_fill_in_has_no_skeleton(source: str) -> None:
    try:
        template = parse_plain(source)
    except TemplateError:
        return
    assert Skeleton.find(template) is None


@pytest.mark.parametrize(
    "source",
    ["{{ now }}", "{{ missing.name }}", "{{ contact.size }}", "{{ contact.name.size }}", "{{ nobody.first }}"],
)
def test_what_liquid_may_know_by_itself_is_left_to_it(source: str) -> None:
    skeleton = Skeleton.find(parse_plain(source))
    assert skeleton is not None
    assert skeleton.cut(Values({"contact": {"name": "Ada"}, "nobody": {}})) is None


@pytest.mark.parametrize(
    ("owner", "signed"),
    [({"name": "Grace & Co"}, "Grace &amp; Co"), ({"name": ""}, "The &lt;Desk&gt;"), ({}, "The &lt;Desk&gt;")],
)
def test_one_value_may_stand_in_for_another(owner: Mapping[str, object], signed: str) -> None:
    template = parse_markup("{{ owner.name | default: workspace.name }}")
    skeleton = Skeleton.find(template)
    assert skeleton is not None
    variables = {"owner": owner, "workspace": {"name": "The <Desk>"}}
    cut = skeleton.cut(Values(variables))
    assert cut is not None
    assert cut.join() == render_bounded(template, variables) == signed


@pytest.mark.parametrize("path", sorted(LETTERS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_letter_of_the_library_is_quickly_filled_in(path: Path) -> None:
    letter = yaml.safe_load(path.read_text())
    for source in (letter["subject"], letter["mjml"]):
        assert Skeleton.find(parse_markup(source)) is not None


def test_an_output_beyond_the_limit_goes_the_long_way() -> None:
    template = parse_plain("x" * 140_000 + "{{ link }}")
    skeleton = Skeleton.find(template)
    assert skeleton is not None
    assert skeleton.cut(Values({"link": "y"})) is None


def test_the_same_texts_have_one_id_however_their_holes_are_called() -> None:
    ids = []
    for source in ("ab{{ one }}c", "ab{{ two | default: 'x' }}c", "a{{ one }}bc", "abc"):
        skeleton = Skeleton.find(parse_plain(source))
        assert skeleton is not None
        ids.append(skeleton.id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
