"""Trying a mapping on what a source has really sent, before it is saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec.structs import asdict

from switchboard.accounts.models import Caller
from switchboard.intake import repository_signals
from switchboard.intake.formats.base import Format, Parsed
from switchboard.intake.formats.registry import get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import StoredSignal
from switchboard.intake.service import access_source
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

MOST_PAYLOADS = 100


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One payload under the mapping on trial: what it says, or why nothing; `changes` are the fields that differ.

    A change is `(before, after)` under the field's name, both as text, empty where there was nothing.
    """

    signal_id: UUID
    received_at: datetime
    fields: Mapping[str, str]
    problems: tuple[Problem, ...]
    changes: Mapping[str, tuple[str, str]]

    @property
    def is_readable(self) -> bool:
        """Whether it would be recognised."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Trial:
    """A mapping tried on the newest payloads, newest first."""

    rows: tuple[TrialRow, ...]

    @property
    def failing(self) -> int:
        """Payloads that could not be read."""
        return sum(not row.is_readable for row in self.rows)

    @property
    def changed(self) -> int:
        """Payloads that would be read otherwise than now."""
        return sum(bool(row.changes) for row in self.rows)


async def try_mapping(tx: Tx, caller: Caller, source_id: UUID, mapping: object) -> Trial:
    """Read the last 100 payloads by `mapping` and by the one in force; raises InvalidError for an unusable one."""
    source = await access_source(tx, caller, source_id)
    checked = FieldMapping.from_json(mapping)
    in_force = FieldMapping.from_json(source.mapping)
    payloads = await repository_signals.list_payloads(tx, source_id, MOST_PAYLOADS)
    return Trial(tuple(_try_row(get_format(source.format), signal, checked, in_force) for signal in payloads))


async def suggest_mapping(tx: Tx, caller: Caller, source_id: UUID) -> dict[str, object]:
    """What we would guess from the newest payload that can be read at all; empty without one."""
    source = await access_source(tx, caller, source_id)
    for signal in await repository_signals.list_payloads(tx, source_id, MOST_PAYLOADS):
        try:
            return get_format(source.format).suggested_mapping(signal.payload)
        except InvalidError:
            continue
    return {}


def _try_row(format_: Format, signal: StoredSignal, mapping: FieldMapping, in_force: FieldMapping) -> TrialRow:
    after, problems = _read(format_, signal.payload, mapping)
    before, _ = _read(format_, signal.payload, in_force)
    changed = {
        name: (before.get(name, ""), after.get(name, ""))
        for name in [*after, *(name for name in before if name not in after)]
        if before.get(name) != after.get(name)
    }
    return TrialRow(signal.id, signal.received_at, after, problems, changed)


def _read(format_: Format, payload: object, mapping: FieldMapping) -> tuple[dict[str, str], tuple[Problem, ...]]:
    try:
        return plain_fields(format_.parse(payload, mapping)), ()
    except InvalidError as error:
        return {}, error.problems or (Problem("", error.message),)


def plain_fields(parsed: Parsed) -> dict[str, str]:
    """What a signal says as text by field name, without what it does not say."""
    values = asdict(parsed)
    values.pop("kind")
    if not parsed.is_test:
        values.pop("is_test")
    utm, fields = asdict(values.pop("utm")), values.pop("fields")
    values |= {f"utm_{name}": value for name, value in utm.items()}
    values |= {f"fields.{name}": value for name, value in fields.items()}
    return {name: str(value) for name, value in values.items() if value is not None}
