"""What comes back from Postgres is what the standard library would read."""

import json
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.array import ListBinaryDumper

from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.kernel.wire import own_adapters, read_json

_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_ANY_JSON, st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = json.dumps(value).encode()
    assert json.dumps(read_json(data)) == json.dumps(json.loads(data))


@pytest.mark.parametrize(
    "text", ["1e400", "12345678901234567890123", "-0", "-0.0", '{"a": 1, "a": 2}', r'"\ud800"', "1E-400", " [ 1 ]\n"]
)
def test_what_only_some_readers_take_is_read_alike(text: str) -> None:
    assert repr(read_json(text.encode())) == repr(json.loads(text))


async def test_columns_of_json_come_back_as_values(database: Database) -> None:
    async with database.directory() as tx:
        row = await tx.fetch_tuples("SELECT %s::json, %s::jsonb", (r'"\ud800"', '{"a": [1, 2.5, null]}'))
    assert row == [("\ud800", {"a": [1, 2.5, None]})]


@pytest.mark.parametrize("size", [0, 1, 3, 1_000])
@pytest.mark.parametrize("nulls", ["none", "some", "all", "nested"])
async def test_ids_travel_as_the_driver_sends_them(database: Database, size: int, nulls: str) -> None:
    ids: list[Any] = [new_id() for _ in range(size)]
    if nulls == "some":
        ids[::2] = [None] * len(ids[::2])
    if nulls == "all":
        ids = [None] * size
    if nulls == "nested" and ids:
        ids = [ids, list(reversed(ids))]
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT %s::uuid[]", (ids,)) == ids


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_texts_are_written_as_the_driver_writes_them(texts: list[str | None]) -> None:
    written = [
        kind(list, Transformer(own_adapters())).upgrade(texts, PyFormat.BINARY).dump(texts)
        for kind in (ListBinaryDumper, own_adapters().get_dumper(list, PyFormat.BINARY))
    ]
    assert written[0] == written[1]


_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
_INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")]))


@given(
    st.one_of(_TEXTS, st.uuids(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(), _INSTANTS),
    st.integers(1, 5),
)
def test_what_is_alike_is_written_as_the_driver_writes_it(value: object, count: int) -> None:
    values = [value] * count
    written = [
        kind(list, Transformer(own_adapters())).upgrade(values, PyFormat.BINARY).dump(values)
        for kind in (ListBinaryDumper, own_adapters().get_dumper(list, PyFormat.BINARY))
    ]
    assert written[0] == written[1]
