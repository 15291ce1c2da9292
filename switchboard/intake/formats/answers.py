"""The step that all formats share: a sender's answers, a mapping and the sender's own facts become a `Parsed`."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from switchboard.intake.formats.base import Format, Parsed, Utm
from switchboard.intake.formats.coercion import (
    as_currency,
    as_flag,
    as_instant,
    as_text,
    currency_in,
    looks_like_email,
    looks_like_phone,
    to_minor_units,
)
from switchboard.intake.mapping import DEFAULT_MAPPING, FieldMapping, Scalar, flatten, guess_targets
from switchboard.kernel.errors import InvalidError, Problem

TEXT_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        "name": 200,
        "first_name": 100,
        "last_name": 100,
        "company": 200,
        "message": 10_000,
        "stage": 100,
        "owner_hint": 320,
        "page_url": 2_000,
        "consent_text": 2_000,
        "locale": 35,
        "time_zone": 64,
        "country": 100,
        "source_own_id": 200,
        "details_id": 200,
    }
)
_NO_UTM = Utm()
_UTM = ("source", "medium", "campaign", "term", "content")
_UTM_TARGETS = frozenset(f"utm_{part}" for part in _UTM)
_MONEY_TARGETS = frozenset({"currency", "value", "value_minor"})
_ADDRESSES = (
    ("email", "an e-mail address", "name@example.com"),
    ("phone", "a phone number", "+44 20 7946 0958"),
)
_T = TypeVar("_T")
MAX_FIELDS, MAX_FIELD_NAME, MAX_FIELD_TEXT = 100, 100, 2_000


class Reading(msgspec.Struct, frozen=True):
    """What a format took out of a payload.

    `answers` are the person's own, nested as they like; mappings and guesses look here. `facts` are values the
    format knows for certain, by target; a mapping outranks them, a guess does not.
    """

    answers: Mapping[str, object]
    facts: Mapping[str, Scalar | None] = {}
    details_id: str | None = None
    junk_reason: str | None = None


class AnswersFormat(Format):
    """A format that needs only to say what it read from a payload."""

    def read(self, payload: Mapping[str, object]) -> Reading:
        """Take the answers and facts out of a payload that is a JSON object. Raises InvalidError."""
        raise NotImplementedError

    def read_any(self, payload: object) -> Reading:
        """As `read`, for a payload of any shape. Raises InvalidError unless it is an object."""
        return self.read(require_mapping(payload, ""))

    def parse(self, payload: object, mapping: FieldMapping | None = None) -> Parsed:
        """Read one decoded payload. Raises InvalidError naming each field that is wrong."""
        return assemble(self.read_any(payload), mapping or DEFAULT_MAPPING)

    def suggested_mapping(self, payload: object) -> dict[str, object]:
        """A mapping, as JSON, of what we would guess from this payload's names."""
        return dict(guess_targets(flatten(self.read_any(payload).answers)))


def assemble(reading: Reading, mapping: FieldMapping = DEFAULT_MAPPING) -> Parsed:
    """One signal in our words. Raises InvalidError when nobody could be reached with what it says."""
    flat = flatten(reading.answers)
    rest = {path: value for path, value in flat.items() if path not in mapping.ignore}
    values = _guessed(rest, mapping, reading.facts)
    values.update({target: value for target, value in reading.facts.items() if value not in {None, ""}})
    values.update(_mapped(flat, rest, mapping))
    # Only a phone number has a use for a blank in front.
    for target, value in values.items():
        if target != "phone" and isinstance(value, str) and value[:1].isspace():
            values[target] = value.lstrip()
    return _Assembly(values, {path: _bare(value) for path, value in rest.items()}, reading).parsed()


def require_mapping(value: object, place: str) -> Mapping[str, object]:
    """`value` when it is a JSON object; InvalidError naming `place` otherwise."""
    if isinstance(value, Mapping):
        return value
    raise missing(place, "Expected a JSON object here.")


def missing(place: str, message: str) -> InvalidError:
    """The error for a payload that lacks what its format promises at `place`."""
    return InvalidError("The payload is not what this format sends.", problems=[Problem(place, message)])


def _guessed(rest: dict[str, Scalar], mapping: FieldMapping, facts: Mapping[str, Scalar | None]) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {}
    for target, path in (guess_targets(rest) if mapping.guess else {}).items():
        if target in mapping.rules:
            continue
        fact = facts.get(target)
        # An answer that says what the format knows already need not be kept a second time.
        if fact in {None, ""} or fact == rest[path]:
            values[target] = rest.pop(path)
    return values


def _mapped(flat: Mapping[str, Scalar], rest: dict[str, Scalar], mapping: FieldMapping) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {}
    for target, rule in mapping.rules.items():
        for path in rule.paths:
            rest.pop(path, None)
        value = rule.read(flat)
        if value is None:
            continue
        if target.startswith("fields."):
            rest[target.removeprefix("fields.")] = value
        else:
            values[target] = value
    return values


class _Assembly:
    """Turns loose values into the typed ones of `Parsed`; what does not fit its type goes to the fields."""

    def __init__(self, values: dict[str, Scalar], rest: dict[str, Scalar], reading: Reading) -> None:
        self.values = values
        self.rest = rest
        self.reading = reading
        self.texts = {
            target: as_text(value, length) for target, value in values.items() if (length := TEXT_LENGTHS.get(target))
        }

    def parsed(self) -> Parsed:
        email = self._address("email", looks_like_email)
        phone = self._address("phone", looks_like_phone)
        if not (email or phone or self.reading.details_id or self.reading.junk_reason):
            raise self._unreachable()
        text = self.texts.get
        first_name, last_name = text("first_name"), text("last_name")
        currency, value_minor = self._money()
        page_url = text("page_url")
        consent, consent_text = self._consent()
        return Parsed(
            name=text("name") or " ".join(filter(None, (first_name, last_name))) or None,
            first_name=first_name,
            last_name=last_name,
            email=email,
            phone=phone,
            company=text("company"),
            message=text("message"),
            value_minor=value_minor,
            currency=currency,
            stage=text("stage"),
            owner_hint=text("owner_hint"),
            utm=self._utm(page_url),
            page_url=page_url,
            consent=consent,
            consent_text=consent_text,
            locale=text("locale"),
            time_zone=text("time_zone"),
            country=text("country"),
            source_own_id=text("source_own_id"),
            details_id=self.reading.details_id,
            occurred_at=self._typed("occurred_at", as_instant),
            is_test=self._typed("is_test", as_flag) or False,
            junk_reason=self.reading.junk_reason,
            fields=self._fields(),
        )

    def _typed(self, target: str, read: Callable[[Scalar], _T | None]) -> _T | None:
        value = self.values.get(target)
        typed = None if value is None else read(value)
        if value is not None and typed is None:
            self.rest.setdefault(target, value)
        return typed

    def _address(self, target: str, is_likely: Callable[[str], bool]) -> str | None:
        value = self.values.get(target)
        likely = None if value is None else _likely(value, is_likely)
        if value is not None and likely is None:
            self.rest.setdefault(target, value)
        return likely

    def _unreachable(self) -> InvalidError:
        problems = [
            Problem(target, f"`{as_text(value, 80)}` is not {name}; send one like {example}.")
            for target, name, example in _ADDRESSES
            if (value := self.values.get(target)) is not None
        ]
        nothing = Problem("email", "No e-mail address or phone number; send `email` or `phone`, or map them.")
        return InvalidError("Nobody could be reached with this.", problems=problems or [nothing])

    def _money(self) -> tuple[str | None, int | None]:
        if _MONEY_TARGETS.isdisjoint(self.values):
            return None, None
        currency = self._typed("currency", as_currency)
        value = self.values.get("value")
        if value is not None and not currency:
            currency = currency_in(value)
        minor = self._typed("value_minor", _whole_number)
        if minor is None:
            minor = self._typed("value", lambda amount: to_minor_units(amount, currency))
        return currency, minor

    def _consent(self) -> tuple[bool | None, str | None]:
        """A checkbox may send the sentence that was agreed to in place of yes; that is kept as the proof."""
        given, text = self.values.get("consent"), self.texts.get("consent_text")
        if given is None:
            return None, text
        flag = as_flag(given)
        return flag, text or (as_text(given, TEXT_LENGTHS["consent_text"]) if flag is None else None)

    def _utm(self, page_url: str | None) -> Utm:
        query = _utm_query(page_url) if page_url and "utm_" in page_url else {}
        if not query and _UTM_TARGETS.isdisjoint(self.values):
            return _NO_UTM
        parts = {part: self.values.get(f"utm_{part}") or query.get(f"utm_{part}") for part in _UTM}
        return Utm(**{part: as_text(value, 200) for part, value in parts.items()})

    def _fields(self) -> Mapping[str, Scalar]:
        kept = list(self.rest.items())[:MAX_FIELDS]
        return {
            path[:MAX_FIELD_NAME]: value[:MAX_FIELD_TEXT] if isinstance(value, str) else value for path, value in kept
        }


def _likely(value: Scalar, is_likely: Callable[[str], bool]) -> str | None:
    text = as_text(value, 400) or ""
    if not is_likely(text):
        return None
    return f" {text}" if isinstance(value, str) and value[:1] == " " else text


def _bare(value: Scalar) -> Scalar:
    return value.lstrip() if isinstance(value, str) else value


def _whole_number(value: Scalar) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"-?\d{1,15}", text, re.ASCII) else None


def _utm_query(page_url: str) -> dict[str, str]:
    try:
        query = parse_qs(urlsplit(page_url).query, max_num_fields=200)
    except ValueError:
        return {}
    return {name: values[0] for name, values in query.items()}
