"""The columns of a file as choices in a form, and back to a mapping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from switchboard.intake.mapping import TARGETS, FieldMapping

IGNORE, KEEP = "", "field"
_LABELS = {
    "email": "E-mail",
    "page_url": "Page",
    "value_minor": "Value in cents",
    "source_own_id": "Unique id of the row",
}


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """One column: its header, what it is chosen to be, and some of what it holds."""

    header: str
    target: str
    examples: tuple[str, ...]


def list_targets() -> list[tuple[str, str]]:
    """What a column can be, as pairs of value and text."""
    named = [(target, _LABELS.get(target, target.replace("_", " ").capitalize())) for target in TARGETS]
    return [(IGNORE, "Leave out"), (KEEP, "Keep as a field"), *named]


def read_choices(
    headers: Sequence[str], mapping: Mapping[str, object], rows: Sequence[Mapping[str, object]]
) -> list[ColumnChoice]:
    """The choices that a mapping stands for."""
    checked = FieldMapping.from_json(dict(mapping))
    target_of = {path: target for target, rule in checked.rules.items() for path in rule.paths}
    return [
        ColumnChoice(
            header, target_of.get(header, IGNORE if header in checked.ignore else KEEP), _examples(header, rows)
        )
        for header in headers
    ]


def to_mapping(headers: Sequence[str], targets: Sequence[str]) -> dict[str, object]:
    """The mapping, as JSON, that choices stand for; of two columns for one target the first that is filled counts."""
    chosen: dict[str, list[str]] = {}
    ignored = []
    for header, target in zip(headers, targets, strict=False):
        if target == IGNORE:
            ignored.append(header)
        elif target != KEEP:
            chosen.setdefault(target, []).append(header)
    rules = {target: paths[0] if len(paths) == 1 else paths for target, paths in chosen.items()}
    return {**rules, "options": {"guess": False, "ignore": ignored}}


def _examples(header: str, rows: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    found = dict.fromkeys(str(row[header])[:40] for row in rows if row.get(header) not in {None, ""})
    return tuple(found)[:2]
