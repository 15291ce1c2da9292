"""How values travel to Postgres."""

from psycopg import adapters
from psycopg.adapt import AdaptersMap
from psycopg.types.array import ListBinaryDumper


def binary_arrays() -> AdaptersMap:
    """The driver's own ways, but for arrays in binary: as text, each element of each is searched for what to escape."""
    found = AdaptersMap(adapters)
    found.register_dumper(list, ListBinaryDumper)
    return found
