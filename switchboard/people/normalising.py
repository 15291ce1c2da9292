"""Sightings in their normal form: what is compared, and what is kept."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

import msgspec
import phonenumbers

from switchboard.kernel.addresses import Rejected, parse_email, parse_phone
from switchboard.kernel.errors import Problem
from switchboard.people.models import Key, Sighting

LONGEST_TEXT = 200
LONGEST_FIELD_TEXT = 4_000
MOST_FIELDS = 100
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_NOT_A_WORD = re.compile(r"[\W_]+")
_SPACES = re.compile(r"\s+")
# What each byte of an ASCII text is folded to: an expression takes three times as long.
_FOLDED = bytes(byte if chr(byte).isalnum() else 32 for byte in bytes(range(128)).lower()).ljust(256)


class Address(NamedTuple):
    """One usable address of a sighting: its key, and the text it was made from."""

    key: Key
    raw: str


class NormalSighting(msgspec.Struct, frozen=True):
    """A sighting with all that could be used, and the problems of what could not. Texts are empty when missing."""

    name: str
    first_name: str
    last_name: str
    company: str
    country: str
    time_zone: str
    locale: str
    fields: Mapping[str, object]
    addresses: tuple[Address, ...]
    consent: bool | None
    consent_text: str
    problems: tuple[Problem, ...]

    @property
    def names_somebody(self) -> bool:
        """Whether there is a name or an address to know a person by."""
        return bool(self.name or self.addresses)


def normalise(sighting: Sighting, region: str) -> NormalSighting:
    """Everything a sighting says, in normal form.

    `region` is the ISO 3166 country of phone numbers without a prefix, unless the sighting names a country itself.
    """
    problems: list[Problem] = []
    country = _country(sighting.country, problems)
    first, last = tidy(sighting.first_name), tidy(sighting.last_name)
    name = tidy(sighting.name) or f"{first} {last}".strip()
    if name and not first and not last:
        name, first, last = _split_name(name)
    return NormalSighting(
        name=name,
        first_name=first,
        last_name=last,
        company=tidy(sighting.company),
        country=country,
        time_zone=_time_zone(sighting.time_zone, problems),
        locale=_locale(sighting.locale, problems),
        fields=_fields(sighting.fields),
        addresses=_addresses(sighting, country or region, problems),
        consent=sighting.consent,
        consent_text=tidy(sighting.consent_text, longest=LONGEST_FIELD_TEXT),
        problems=tuple(problems),
    )


def tidy(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """The text in Unicode NFC with single blanks, and without what cannot be seen or stored."""
    if not text:
        return text
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = "".join(" " if c.isspace() else c for c in text if c.isspace() or _is_kept(c))
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return text.strip()[:longest].rstrip()


@lru_cache(maxsize=4_096)
def fold(text: str) -> str:
    """The text as it is compared: lower case, without accents, words of letters and digits with one blank between.

    Idempotent, and empty when there is no letter or digit.
    """
    if text.isascii():
        return " ".join(text.encode().translate(_FOLDED).decode().split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", plain.casefold())).strip()


def parse_handle(text: str) -> str | Rejected:
    """A name on some network, such as `@ann`, in lower case without the sign."""
    handle = tidy(text).lstrip("@").lower()
    return handle or Rejected("that handle is empty")


def _is_kept(character: str) -> bool:
    # Joiners belong to the spelling of names in several scripts; other formatting and control characters do not.
    return character in "\u200c\u200d" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _split_name(name: str) -> tuple[str, str, str]:
    last, comma, first = name.partition(",")
    if comma and first.strip() and last.strip():
        first, last = first.strip(), last.strip()
        return f"{first} {last}", first, last
    first, _, last = name.partition(" ")
    return name, first, last


def _addresses(sighting: Sighting, region: str, problems: list[Problem]) -> tuple[Address, ...]:
    found = []
    for kind, raw in (("email", sighting.email), ("phone", sighting.phone), ("handle", sighting.handle)):
        if not raw or not (text := tidy(raw)):
            continue
        # A form may have made a blank of a phone number's `+`.
        value = _parse(kind, f" {text}" if raw.startswith(" ") else text, region)
        if isinstance(value, Rejected):
            problems.append(Problem(kind, value.reason))
        else:
            found.append(Address((kind, value), text))
    return tuple(found)


def _parse(kind: str, text: str, region: str) -> str | Rejected:
    if kind == "email":
        return parse_email(text)
    return parse_phone(text, region) if kind == "phone" else parse_handle(text)


def _country(text: str, problems: list[Problem]) -> str:
    code = text.strip().upper()
    if not code or code in phonenumbers.SUPPORTED_REGIONS:
        return code
    problems.append(Problem("country", "expected a country code of two letters such as DE"))
    return ""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time_zone(text: str, problems: list[Problem]) -> str:
    zone = text.strip()
    if not zone or zone in _zones():
        return zone
    problems.append(Problem("time_zone", "expected an IANA zone such as Europe/Berlin"))
    return ""


def _locale(text: str, problems: list[Problem]) -> str:
    locale = text.strip()
    if not locale or _LOCALE.fullmatch(locale):
        return locale.replace("_", "-")
    problems.append(Problem("locale", "expected a language tag such as de or pt-BR"))
    return ""


def _fields(fields: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in fields.items():
        if len(kept) == MOST_FIELDS:
            break
        clean = tidy(value, longest=LONGEST_FIELD_TEXT) if isinstance(value, str) else value
        if clean not in ("", None) and (key := tidy(name)):
            kept[key] = clean
    return kept
