"""Yesterday's code: the newest release before this one, out of the repository's own history."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
YESTERDAY = "54f1aba4894c58b0ea7f1c0102b2ed110a6b3ebc"


@pytest.fixture(scope="session")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it was."""
    folder = tmp_path_factory.mktemp("yesterday")
    kept = subprocess.run(
        ["git", "-C", ROOT, "archive", "--format=tar", YESTERDAY, "switchboard"], capture_output=True, check=False
    )
    if kept.returncode != 0:
        pytest.skip(f"the history here does not go back to {YESTERDAY}: {kept.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", folder], input=kept.stdout, check=True, timeout=30)
    return folder


@pytest.fixture(scope="session")
def as_yesterday(yesterday: Path) -> Mapping[str, str]:
    """What makes `python -m switchboard` yesterday's, wherever it is started."""
    return {"PYTHONPATH": str(yesterday), "PYTHONSAFEPATH": "1"}


@pytest.fixture(scope="session")
def last_version_of_yesterday(yesterday: Path) -> int:
    """The newest migration that yesterday's code knows."""
    return max(int(path.name[:4]) for path in (yesterday / "switchboard" / "migrations").glob("*.up.sql"))
