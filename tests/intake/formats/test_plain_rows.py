"""Rows of plain texts: by the short way they say what they say by the long one."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.formats.plain_rows import PlainRows
from switchboard.intake.mapping import TARGETS, FieldMapping
from switchboard.intake.outcomes import read_row

HEADERS = ("Name", "E-Mail", "Phone", "Page", "Notes", "a.b")
CELLS = st.one_of(
    st.sampled_from(
        [
            "Ada Lovelace",
            "ada@x.example",
            "+14152000001",
            " 14152000001",
            "415 200 0001 ",
            "https://x.example/?utm_source=paper",
            "x" * 41,
            "y" * 2_001,
            "n" * 10_001,
            "Größe",
            "",
            7,
            1.5,
            True,
        ]
    ),
    st.text(string.printable, max_size=12),
)
RULES = st.one_of(
    st.sampled_from(HEADERS),
    st.lists(st.sampled_from(HEADERS), min_size=1, max_size=2),
    st.builds(lambda header: {"from": header, "case": "lower"}, st.sampled_from(HEADERS)),
    st.just({"value": "fixed"}),
)
TEXTS = ("name", "first_name", "last_name", "email", "phone", "page_url", "message", "locale", "source_own_id")
COLUMNS: dict[str, Any] = {"name": "Name", "email": "E-Mail", "phone": "Phone", "options": {"guess": False}}


@given(
    st.dictionaries(st.sampled_from(HEADERS), CELLS),
    st.dictionaries(st.sampled_from([*TEXTS, *TARGETS, "fields.more"]), RULES, max_size=5),
    st.booleans(),
    st.lists(st.sampled_from(HEADERS), max_size=2),
)
def test_the_short_way_says_what_the_long_one_says_or_nothing(
    cells: dict[str, object], rules: dict[str, object], guess: bool, ignore: list[str]
) -> None:
    mapping = FieldMapping.from_json({**rules, "options": {"guess": guess, "ignore": ignore}})
    parsed = PlainRows(mapping).find_parsed(cells)
    if parsed is not None:
        said = read_row(cells, mapping)
        assert (parsed, ()) == (said.parsed, said.problems)
        assert said.parsed is not None
        assert list(parsed.fields.items()) == list(said.parsed.fields.items())


def test_a_row_as_nearly_all_are_goes_the_short_way() -> None:
    cells = {"Name": "Ada Lovelace", "E-Mail": "ada@x.example", "Phone": "+14152000001", "b": "2", "a": "1"}
    parsed = PlainRows(FieldMapping.from_json(COLUMNS)).find_parsed(cells)
    assert parsed is not None
    assert (parsed.name, parsed.email, parsed.phone) == ("Ada Lovelace", "ada@x.example", "+14152000001")
    assert list(parsed.fields.items()) == [("b", "2"), ("a", "1")]


@pytest.mark.parametrize(
    "cells",
    [
        {"Name": "Ada Lovelace"},
        {"E-Mail": "nobody", "Phone": "+14152000001"},
        {"E-Mail": "ada@x.example", "Name": " Ada"},
        {"E-Mail": "ada@x.example", "Name": 7},
        {"E-Mail": "ada@x.example", "b": "b" * 2_001},
        {"E-Mail": "ada@x.example", "b" * 101: "b"},
        {"E-Mail": "ada@x.example", **{f"b{number}": "b" for number in range(100)}},
    ],
)
def test_what_is_more_than_plain_goes_the_long_way(cells: dict[str, object]) -> None:
    assert PlainRows(FieldMapping.from_json(COLUMNS)).find_parsed(cells) is None


@pytest.mark.parametrize(
    "columns",
    [{**COLUMNS, "options": {}}, {**COLUMNS, "value": "Price"}, {**COLUMNS, "fields.more": "b"}],
)
def test_a_mapping_that_says_more_than_columns_takes_the_long_way(columns: dict[str, object]) -> None:
    assert PlainRows(FieldMapping.from_json(columns)).find_parsed({"E-Mail": "ada@x.example"}) is None
