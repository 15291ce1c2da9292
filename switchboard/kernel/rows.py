"""Rows as instances of classes."""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from psycopg.rows import class_row

Row = TypeVar("Row")


def rows_of(row: type[Row]) -> Callable[[Any], Callable[[Sequence[Any]], Row]]:
    """Makes instances of `row`: by place where its fields stand in the order of the columns, which is quicker."""

    def make(cursor: Any) -> Callable[[Sequence[Any]], Row]:  # noqa: ANN401 as the driver has it, of any kind
        # The driver's own description of the columns costs as much as a small row.
        result = cursor.pgresult
        columns = tuple([result.fname(place) for place in range(result.nfields)]) if result else ()
        if columns and columns == _places_of(cast(Any, row))[: len(columns)]:
            return lambda values: row(*values)
        return class_row(row)(cursor)

    return make


@cache
def _places_of(row: Callable[..., object]) -> tuple[bytes, ...]:
    """The names of what a class takes by place, in their order."""
    taken = inspect.signature(row).parameters.values()
    return tuple(one.name.encode() for one in taken if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)
