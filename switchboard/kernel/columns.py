"""Columns: what a statement gathers of many rows for the next one, as text that Python never takes apart.

A value that comes as an object and goes back as a parameter costs a microsecond each way, a thousand rows of five
values the time of twenty statements. An array cast to text costs one object, whatever its length.
"""

from uuid import UUID

Column = str
"""The text of a Postgres array, `{…}`; goes back with a cast, as in `%(run_ids)s::uuid[]`."""

NOTHING: Column = "{}"
"""Reads as nulls beside longer columns."""

_NULL = "NULL"


def read_ids(column: Column) -> list[UUID | None]:
    """The elements of an array of uuids, for the few cases in which somebody has to see them."""
    inner = column.strip("{}")
    return [None if text == _NULL else UUID(text) for text in inner.split(",")] if inner else []
