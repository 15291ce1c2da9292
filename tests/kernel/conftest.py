"""Servers for the tests of the schema: the embedded one, and Debian's where it is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.scratch_postgres import DEBIAN_15, EMBEDDED, ScratchPostgres, start_scratch_postgres


@pytest.fixture(scope="session")
def embedded_18() -> Iterator[ScratchPostgres]:
    yield from _serve(EMBEDDED)


@pytest.fixture(scope="session")
def debian_15() -> Iterator[ScratchPostgres]:
    yield from _serve(DEBIAN_15)


@pytest.fixture(scope="session", params=["embedded_18", "debian_15"])
def postgres(request: pytest.FixtureRequest) -> ScratchPostgres:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, ScratchPostgres)
    return server


def _serve(binaries: Path) -> Iterator[ScratchPostgres]:
    if not binaries.is_dir():
        pytest.skip(f"{binaries} is not installed")
    server = start_scratch_postgres(binaries)
    yield server
    server.stop()
