"""The migrations a directory holds: `NNNN_name.up.sql` with `NNNN_name.down.sql`, checked before any is run.

A file may begin with header comments, one a line:

    -- no-transaction                      each statement commits by itself; must be the first line
    -- requires-extension: pg_trgm         optional: recorded as skipped where the server has none
    -- lock-timeout: 10s                   instead of 5s
    -- statement-timeout: 15min            instead of 1min; 0 is no limit
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from switchboard.kernel.errors import ConfigurationError, Problem

DIRECTORY = Path(__file__).resolve().parent.parent / "migrations"

Direction = Literal["up", "down"]

_FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z][a-z0-9_]*)\.(?P<direction>up|down)\.sql")
_HEADER = re.compile(r"--\s*(?P<key>[a-z][a-z-]*)(?:\s*:\s*(?P<value>\S+))?\s*")
_DURATION = re.compile(r"0|[1-9]\d*(ms|s|min|h)")
_EXTENSION = re.compile(r"[a-z][a-z0-9_]*")
_OWN_TRANSACTION = re.compile(r"^\s*(BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION)\s*;", re.IGNORECASE | re.MULTILINE)
_VALUE_SHAPES = {"requires-extension": _EXTENSION, "lock-timeout": _DURATION, "statement-timeout": _DURATION}


@dataclass(frozen=True, slots=True)
class Script:
    """One half of a migration: the text of one file and what its header asks for."""

    path: Path
    text: str
    in_transaction: bool
    lock_timeout: str
    statement_timeout: str
    extension: str | None

    @property
    def statements(self) -> list[str]:
        """What is sent in one go: the whole file, or each statement where every one commits by itself."""
        return [self.text] if self.in_transaction else _split(self.text)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, with its way back."""

    version: int
    name: str
    up: Script
    down: Script

    @property
    def label(self) -> str:
        """`0003_people`, as in the file names."""
        return f"{self.version:04d}_{self.name}"

    @property
    def checksum(self) -> str:
        """SHA-256 of the up file in hex; the down half may be mended later, so it is left out."""
        return hashlib.sha256(self.up.text.encode()).hexdigest()


def discover(directory: Path = DIRECTORY) -> list[Migration]:
    """All migrations of a directory, oldest first; ConfigurationError naming every bad file at once."""
    problems: list[Problem] = []
    files = _read_names(directory, problems)
    for path in files.values():
        problems += _check_text(path)
    problems += _check_numbers(files)
    if problems:
        sentences = " ".join(problem.message for problem in problems)
        raise ConfigurationError(f"The migrations in {directory.name}/ cannot be run. {sentences}", problems=problems)
    return [_read_pair(files, version, name) for version, name, direction in files if direction == "up"]


def _read_names(directory: Path, problems: list[Problem]) -> dict[tuple[int, str, str], Path]:
    """Paths by version, name and direction, oldest first; `schema.sql` is the one other SQL file allowed."""
    files = {}
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match:
            files[int(match["version"]), match["name"], match["direction"]] = path
        elif path.name != "schema.sql":
            problems.append(
                Problem(path.name, f"{path.name} is not named like 0001_name.up.sql or 0001_name.down.sql.")
            )
    return files


def _check_numbers(files: Mapping[tuple[int, str, str], Path]) -> Iterator[Problem]:
    names: dict[int, set[str]] = {}
    for version, name, _ in files:
        names.setdefault(version, set()).add(name)
    for expected, version in enumerate(sorted(names), start=1):
        yield from _check_version(version, names[version], files)
        if expected not in names:
            yield Problem("", f"Number {expected:04d} is missing: numbers run from 0001 without a gap.")


def _check_version(version: int, names: set[str], files: Mapping[tuple[int, str, str], Path]) -> Iterator[Problem]:
    """One name for a number, and both halves for a name."""
    if len(names) > 1:
        yield Problem("", f"Number {version:04d} is used by {' and '.join(sorted(names))}: give one the next number.")
    for name in sorted(names):
        for half in ("up", "down"):
            if (version, name, half) not in files:
                file_name = f"{version:04d}_{name}.{half}.sql"
                yield Problem(file_name, f"{file_name} is missing: every migration has an up and a down half.")


def _check_text(path: Path) -> Iterator[Problem]:
    text = path.read_text(encoding="utf-8")
    headers = _read_headers(text)
    for key, shape in _VALUE_SHAPES.items():
        if key in headers and not shape.fullmatch(headers[key]):
            yield Problem(
                path.name, f"{path.name} has the header `{key}: {headers[key]}`, which is not a value for it."
            )
    if not text.startswith("-- no-transaction"):
        if _OWN_TRANSACTION.search(text):
            yield Problem(path.name, f"{path.name} opens or ends a transaction: the runner wraps the file in one.")
    elif "$$" in text:
        yield Problem(
            path.name,
            f"{path.name} quotes with $$, which a no-transaction file may not: it is cut at semicolons.",
        )


def _read_headers(text: str) -> dict[str, str]:
    """Known headers of the leading comment block; any other comment there is prose."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        match = _HEADER.fullmatch(line)
        if match and match["key"] in _VALUE_SHAPES:
            headers[match["key"]] = match["value"] or ""
    return headers


def _read_pair(files: Mapping[tuple[int, str, str], Path], version: int, name: str) -> Migration:
    up = _read_script(files[version, name, "up"])
    return Migration(version, name, up, _read_script(files[version, name, "down"]))


def _read_script(path: Path) -> Script:
    text = path.read_text(encoding="utf-8")
    headers = _read_headers(text)
    return Script(
        path=path,
        text=text,
        in_transaction=not text.startswith("-- no-transaction"),
        lock_timeout=headers.get("lock-timeout", "5s"),
        statement_timeout=headers.get("statement-timeout", "1min"),
        extension=headers.get("requires-extension"),
    )


def _split(text: str) -> list[str]:
    """Statements, each ended by a semicolon at a line's end: Postgres puts several into one transaction."""
    statements = re.split(r"(?<=;)[ \t]*\n", text)
    return [statement for statement in statements if _has_code(statement.splitlines())]


def _has_code(lines: Iterable[str]) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in lines)
