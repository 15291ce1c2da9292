"""Rows of plain texts under a mapping that only names columns, as nearly all rows of files are: read by a short way."""

from collections.abc import Mapping
from typing import NamedTuple

from switchboard.intake.formats.answers import MAX_FIELD_NAME, MAX_FIELD_TEXT, MAX_FIELDS, TEXT_LENGTHS
from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.coercion import looks_like_email, looks_like_phone
from switchboard.intake.mapping import FieldMapping, Rule

# What these hold is no more than a text, and a longer one is not what it is meant to be.
_LENGTHS: Mapping[str, int] = {
    **{target: length for target, length in TEXT_LENGTHS.items() if target != "details_id"},
    "email": 320,
    "phone": 64,
}


class _Column(NamedTuple):
    target: str
    header: str
    longest: int


class PlainRows:
    """Reads rows under one mapping, those of which nothing but texts has to be made; the same as `assemble` gives."""

    def __init__(self, mapping: FieldMapping) -> None:
        columns = [_find_column(target, rule) for target, rule in mapping.rules.items()]
        self._columns = [column for column in columns if column is not None]
        self._is_plain = not mapping.guess and len(columns) == len(self._columns)
        self._told = mapping.ignore.union(*(rule.paths for rule in mapping.rules.values()))

    def find_parsed(self, cells: Mapping[str, object]) -> Parsed | None:
        """What the row says; None for one that is more than plain, or that names nobody, and is to be assembled."""
        if not self._is_plain or len(cells) > MAX_FIELDS:
            return None
        said: dict[str, str] = {}
        for target, header, longest in self._columns:
            cell = cells.get(header)
            if cell is None:
                continue
            if type(cell) is not str or not 0 < len(cell) <= longest or cell.strip() != cell:
                return None
            said[target] = cell
        fields = self._find_fields(cells)
        return None if fields is None or not _is_plain(said) else _parsed(said, fields)

    def _find_fields(self, cells: Mapping[str, object]) -> dict[str, str] | None:
        """What nothing else is made of, as it is; None where it would have to be shaped."""
        fields = {}
        for header in cells.keys() - self._told if not self._told.issuperset(cells) else ():
            cell = cells[header]
            if type(cell) is not str or not 0 < len(header) <= MAX_FIELD_NAME:
                return None
            if not 0 < len(cell) <= MAX_FIELD_TEXT or cell.strip() != cell:
                return None
            fields[header] = cell
        # In the order of the columns, which a set does not keep.
        return {header: fields[header] for header in cells if header in fields} if len(fields) > 1 else fields


def _find_column(target: str, rule: Rule) -> _Column | None:
    """The one column that is this target as it stands; None for a rule that says more."""
    length = _LENGTHS.get(target)
    is_bare = len(rule.paths) == 1 and rule.value is None and rule.case is None and rule.split is None
    return _Column(target, rule.paths[0], length) if length and is_bare else None


def _is_plain(said: Mapping[str, str]) -> bool:
    """Whether there is an address, each is what it should be, and no page has a campaign in its address."""
    email, phone = said.get("email"), said.get("phone")
    return (
        (email is not None or phone is not None)
        and (email is None or looks_like_email(email))
        and (phone is None or looks_like_phone(phone))
        and "utm_" not in said.get("page_url", "")
    )


def _parsed(said: dict[str, str], fields: Mapping[str, str]) -> Parsed:
    if "name" not in said and (named := [said[part] for part in ("first_name", "last_name") if part in said]):
        said["name"] = " ".join(named)
    return Parsed(**said, fields=fields)  # type: ignore[arg-type] # every target of a text is a field of that name
