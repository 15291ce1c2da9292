"""Which part of a payload goes to which of our fields: a mapping somebody saved, or else a good guess.

A mapping is a JSON object from target to rule. A rule is one dotted path (`"contact.email"`), several of
which the first non-empty one counts (`["mobile", "phone"]`), or an object:

    {"from": [...paths], "value": "used when they are all empty", "case": "lower", "split": " ", "part": 0}

Targets are the names in `TARGETS` and `fields.<name>`. The key `options` holds `guess` (fill what the mapping
does not name, default true), `ignore` (paths to drop) and `honeypot` (the name of a web form's trap field).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import msgspec

from switchboard.intake.vocabulary import ALIASES, FILLERS, STRANGERS
from switchboard.kernel.errors import InvalidError, Problem

Scalar = str | int | float | bool
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]

TARGETS = tuple(ALIASES)
DEFAULT_HONEYPOT = "website_url_confirm"
_MAX_RULES = 200
_LEAVES, _DEPTH, _TEXT = 1_000, 16, 10_000
# What a phone number leaves whose `+` became a blank, as it does in a form that was not encoded.
_LOST_PLUS = re.compile(r"[1-9][\d ().-]{7,40}", re.ASCII)


class RuleSource(msgspec.Struct, forbid_unknown_fields=True):
    """A rule as it is written in JSON."""

    paths: Path | Annotated[list[Path], msgspec.Meta(max_length=20)] = msgspec.field(default=[], name="from")
    value: Scalar | None = None
    case: Literal["lower", "upper"] | None = None
    split: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] | None = None
    part: Annotated[int, msgspec.Meta(ge=-50, le=50)] = 0


class OptionsSource(msgspec.Struct, forbid_unknown_fields=True):
    """The options of a mapping as they are written in JSON."""

    guess: bool = True
    ignore: Annotated[list[Path], msgspec.Meta(max_length=1_000)] = []
    honeypot: Path = DEFAULT_HONEYPOT


_Source = TypeVar("_Source", RuleSource, OptionsSource)


@dataclass(frozen=True, slots=True)
class Rule:
    """Where one target comes from: the first non-empty of `paths`, else `value`; then `split` and `case`."""

    paths: tuple[str, ...] = ()
    value: Scalar | None = None
    case: str | None = None
    split: str | None = None
    part: int = 0

    def read(self, flat: Mapping[str, Scalar]) -> Scalar | None:
        """The target's value in a flattened payload; None when there is none."""
        found = self.value
        for path in self.paths:
            if (given := flat.get(path, "")) != "":
                found = given
                break
        return self._shape(found) if isinstance(found, str) else found

    def _shape(self, text: str) -> str | None:
        if self.split is not None:
            parts = [part for part in text.split(self.split) if part.strip()]
            inside = -len(parts) <= self.part < len(parts)
            text = parts[self.part].strip() if inside else ""
        if self.case:
            text = text.lower() if self.case == "lower" else text.upper()
        return text or None


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A checked mapping. The empty one guesses everything."""

    rules: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))
    guess: bool = True
    ignore: frozenset[str] = frozenset()
    honeypot: str = DEFAULT_HONEYPOT

    @classmethod
    def from_json(cls, source: object) -> "FieldMapping":
        """Check a mapping as it is saved. Raises InvalidError with every problem at once."""
        if not isinstance(source, dict):
            raise InvalidError("A mapping is a JSON object from a field of ours to your path.")
        problems: list[Problem] = []
        targets = {str(target): rule for target, rule in source.items() if target != "options"}
        rules = {target: _read_rule(target, rule, problems) for target, rule in targets.items()}
        options = _convert(source.get("options", {}), OptionsSource, "options", problems)
        if len(rules) > _MAX_RULES:
            problems.append(Problem("", f"Has {len(rules)} rules; the limit is {_MAX_RULES}."))
        if problems:
            raise InvalidError("The mapping cannot be used as it is.", problems=problems)
        return cls(MappingProxyType(rules), options.guess, frozenset(options.ignore), options.honeypot)


DEFAULT_MAPPING = FieldMapping()


def flatten(payload: object) -> dict[str, Scalar]:
    """Every non-empty leaf of a decoded payload under its dotted path.

    Texts lose outer blanks, but for the one before a phone number, which was its `+` once, and are cut at 10,000
    characters; lists of plain values become one text joined by commas; lists of objects count their paths from 0.
    At most 1,000 leaves and 16 levels are kept.
    """
    flat: dict[str, Scalar] = {}
    if not _flatten_texts(payload, flat):
        flat.clear()
        _flatten(payload, "", 0, flat)
    return flat


def guess_targets(paths: Iterable[str]) -> dict[str, str]:
    """For each target that `paths` seem to hold, the likeliest path. Works on names alone."""
    return dict(_guess(tuple(paths)))


def plain_name(text: str) -> str:
    """A name without case, accents, blanks and punctuation: `E-Mail Address` becomes `emailaddress`."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if character.isalnum()).casefold()


# A source's payloads nearly always have the same keys, so that a guess is made once for thousands of signals.
@lru_cache(maxsize=2_048)
def _guess(paths: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    best: dict[str, tuple[tuple[int, int, int], str]] = {}
    for position, path in enumerate(paths):
        found = _match(path)
        if found is None:
            continue
        target, rank = found
        key = (rank, path.count("."), position)
        if target not in best or key < best[target][0]:
            best[target] = (key, path)
    return tuple((target, path) for target, (_, path) in best.items())


def _match(path: str) -> tuple[str, int] | None:
    segments = [name for name in map(plain_name, re.split(r"[.\[\]]+", path)) if name and not name.isdigit()]
    if not segments:
        return None
    last, parent = segments[-1], segments[-2] if len(segments) > 1 else ""
    if found := _known(parent + last) if parent else None:
        return found
    return None if parent in STRANGERS else _known(last)


def _known(name: str) -> tuple[str, int] | None:
    if name in _BY_ALIAS:
        return _BY_ALIAS[name]
    bare = next((name.removeprefix(filler) for filler in FILLERS if name.startswith(filler)), "")
    return _BY_ALIAS.get(bare)


def _flatten_texts(payload: object, flat: dict[str, Scalar]) -> bool:
    """As `_flatten`, of an object that holds nothing but texts, as rows of files do; False where it holds more."""
    if type(payload) is not dict or len(payload) > _LEAVES:
        return False
    for key, item in payload.items():
        if type(item) is not str or type(key) is not str or not key:
            return False
        if text := _trim(item):
            flat[key] = text
    return True


def _flatten(value: object, path: str, depth: int, flat: dict[str, Scalar]) -> None:
    if depth > _DEPTH or len(flat) >= _LEAVES:
        return
    if isinstance(value, str):
        if path and (text := _trim(value)):
            flat[path] = text
    elif isinstance(value, dict | Mapping):
        for key, item in value.items():
            _flatten(item, f"{path}.{key}" if path else str(key), depth + 1, flat)
    elif isinstance(value, list | tuple):
        _flatten_list(value, path, depth, flat)
    elif path and (leaf := _leaf(value)) is not None:
        flat[path] = leaf


def _flatten_list(items: Sequence[object], path: str, depth: int, flat: dict[str, Scalar]) -> None:
    if any(isinstance(item, Mapping | list | tuple) for item in items):
        for index, item in enumerate(items[:_LEAVES]):
            _flatten(item, f"{path}.{index}" if path else str(index), depth + 1, flat)
        return
    leaves = [leaf for item in items[:_LEAVES] if (leaf := _leaf(item)) is not None]
    if path and leaves:
        flat[path] = leaves[0] if len(leaves) == 1 else ", ".join(map(str, leaves))[:_TEXT]


def _leaf(value: object) -> Scalar | None:
    if isinstance(value, str):
        return _trim(value) or None
    if isinstance(value, bool | float):
        return value
    # Postgres and JavaScript readers keep whole numbers exactly only up to 64 bits.
    return (value if abs(value) < 1 << 63 else str(value)) if isinstance(value, int) else None


def _trim(text: str) -> str:
    trimmed = text.strip()
    if len(trimmed) == len(text) <= _TEXT:
        return text
    trimmed = trimmed[:_TEXT].strip()
    return f" {trimmed}" if text[:1] == " " and _LOST_PLUS.fullmatch(trimmed) else trimmed


def _read_rule(target: str, source: object, problems: list[Problem]) -> Rule:
    if target not in ALIASES and not re.fullmatch(r"fields\..{1,100}", target):
        problems.append(Problem(target, f"Not a field of ours; use fields.<name> or {', '.join(TARGETS)}."))
    read = _convert({"from": source} if isinstance(source, str | list) else source, RuleSource, target, problems)
    if not read.paths and read.value is None and not any(problem.field.startswith(target) for problem in problems):
        problems.append(Problem(target, "Names neither a path in `from` nor a `value`."))
    paths = (read.paths,) if isinstance(read.paths, str) else tuple(read.paths)
    return Rule(paths, read.value, read.case, read.split, read.part)


def _convert(source: object, kind: type[_Source], place: str, problems: list[Problem]) -> _Source:
    """`source` as `kind`; an empty `kind` and a problem that names the place when it does not fit."""
    try:
        return msgspec.convert(source, kind)
    except msgspec.ValidationError as error:
        message, _, inner = str(error).partition(" - at `$")
        problems.append(Problem(place + inner.rstrip("`"), f"{message}."))
        return kind()


_BY_ALIAS = {
    plain_name(alias): (target, rank) for target, aliases in ALIASES.items() for rank, alias in enumerate(aliases)
}
