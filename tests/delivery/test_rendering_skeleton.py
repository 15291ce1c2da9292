"""What is filled into a skeleton is what Liquid itself would have written."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.delivery.rendering_liquid import TemplateError, parse_markup, parse_plain, render_bounded
from switchboard.delivery.rendering_skeleton import Skeleton, Values

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
        assert (filled is None) == ("missing" in "".join(pieces))
    if filled is not None:
        assert filled == render_bounded(template, variables_of(*values))


@pytest.mark.parametrize(
    "source",
    [
        "{% if contact.name %}x{% endif %}",
        "{{ contact.name | upcase }}",
        "{{ contact.name | default: link }}",
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
