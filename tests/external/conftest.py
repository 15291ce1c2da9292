"""Debian's PostgreSQL 15 with and without its contrib modules, once for each test process."""

from collections.abc import Iterator

import pytest

from tests.external.own_postgres import INSTALLED, OwnPostgres, own_postgres


@pytest.fixture(scope="session")
def bare_postgres() -> Iterator[OwnPostgres]:
    """Neither pg_trgm nor pgvector can be had."""
    yield from _serve(with_contrib=False)


@pytest.fixture(scope="session")
def contrib_postgres() -> Iterator[OwnPostgres]:
    """pg_trgm is there to be created."""
    yield from _serve(with_contrib=True)


def _serve(*, with_contrib: bool) -> Iterator[OwnPostgres]:
    if not INSTALLED.is_dir():
        pytest.skip(f"{INSTALLED} is not installed")
    with own_postgres(with_contrib=with_contrib) as server:
        yield server
