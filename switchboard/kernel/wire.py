"""How values travel to Postgres and back."""

import json
from datetime import datetime
from struct import Struct
from typing import Any
from uuid import UUID

import msgspec
from psycopg import adapters
from psycopg.abc import Buffer, Dumper
from psycopg.adapt import AdaptersMap
from psycopg.types.array import ListBinaryDumper
from psycopg.types.json import JsonbLoader, JsonLoader


def own_adapters() -> AdaptersMap:
    """The driver's own ways, but for arrays in binary, by a quicker writer of ids, and JSON by a quicker reader.

    As text, each element of each array is searched for what to escape.
    """
    found = AdaptersMap(adapters)
    found.register_dumper(list, _QuickListDumper)
    found.register_loader("json", _QuickJsonLoader)
    found.register_loader("jsonb", _QuickJsonbLoader)
    return found


def read_json(data: bytes) -> Any:  # noqa: ANN401 whatever was written
    """As `json.loads`, several times as fast where the text is strictly JSON."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        # The standard library also takes what Postgres keeps: halves of surrogate pairs, numbers beyond any range.
        return json.loads(data)


# Of an array of one dimension that counts from 1: dimensions, whether nulls are among them, the elements' type, how
# many, from which. Before each element stands its length, -1 for null.
_HEAD = Struct("!iiIii")
_UUID_OID, _TEXT_OID = adapters.types["uuid"].oid, adapters.types["text"].oid
_UUID_LENGTH, _NULL = b"\x00\x00\x00\x10", b"\xff\xff\xff\xff"
_LENGTH = Struct("!i")
# Of these whatever is equal is written with the same bytes.
_WRITTEN_ALIKE = frozenset({str, int, UUID, datetime})


class _QuickListDumper(ListBinaryDumper):
    def dump(self, obj: list[Any]) -> Buffer | None:
        # Ids and texts are most of what recognition sends, and a call for each of them costs more than writing it.
        if obj and self.sub_dumper is not None and not isinstance(obj[0], list):
            if _is_alike(obj):
                return _dump_alike(self.sub_dumper, obj[0], len(obj))
            if self.sub_dumper.oid == _UUID_OID:
                return _dump_ids(obj)
            if self.sub_dumper.oid == _TEXT_OID:
                return _dump_texts(obj)
        return super().dump(obj)


def _is_alike(values: list[Any]) -> bool:
    """Whether all of a batch have the same here, as they often have: then it need be written only once."""
    first = values[0]
    return first is values[-1] and type(first) in _WRITTEN_ALIKE and values.count(first) == len(values)


def _dump_alike(dumper: Dumper, value: object, count: int) -> bytes:
    data = bytes(dumper.dump(value) or b"")
    return _HEAD.pack(1, False, dumper.oid, count, 1) + (_LENGTH.pack(len(data)) + data) * count


def _dump_ids(ids: list[UUID | None]) -> bytes:
    items = [_NULL if one is None else _UUID_LENGTH + one.int.to_bytes(16, "big") for one in ids]
    return _HEAD.pack(1, _NULL in items, _UUID_OID, len(items), 1) + b"".join(items)


def _dump_texts(texts: list[str | None]) -> bytes:
    # The connection speaks UTF-8, as every database of ours does.
    pack, written = _LENGTH.pack, [None if text is None else text.encode() for text in texts]
    items = [_NULL if data is None else pack(len(data)) + data for data in written]
    return _HEAD.pack(1, None in written, _TEXT_OID, len(items), 1) + b"".join(items)


class _QuickJsonLoader(JsonLoader):
    def load(self, data: Buffer) -> Any:  # noqa: ANN401 whatever was written
        return read_json(bytes(data))


class _QuickJsonbLoader(JsonbLoader):
    def load(self, data: Buffer) -> Any:  # noqa: ANN401 whatever was written
        return read_json(bytes(data))
