"""E-mail addresses and phone numbers in their one normal form, without asking the network."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

import email_validator
import phonenumbers
from phonenumbers import PhoneMetadata

LONGEST_PHONE_TEXT = 60
FEWEST_INTERNATIONAL_DIGITS = 8

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All that is given out for machines that anybody may reach; beside it the library knows some ranges, and not others.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# For protocols and for clouds' own services.
_ASSIGNED_TO_PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")

# Machines on a private network and test set-ups use these; whether mail reaches them is not for us to say.
_ALLOWED_SPECIAL_DOMAINS = ("localhost", "local", "test")
# What nearly everybody writes. The libraries say the same of it, and take many times as long to say so.
_PLAIN_EMAIL = re.compile(
    r"(?=.{6,254}\Z)(?=[^@]{1,64}@)[a-z0-9]+(?:[._+-][a-z0-9]+)*@(?:[a-z0-9]{1,30}(?:-[a-z0-9]{1,30})?\.)+([a-z]{2,24})"
)
_PLAIN_PHONE = re.compile(r"\+(?:[ .()-]{0,2}[0-9]){8,15}")
_NOT_A_DIGIT = re.compile(r"[^0-9]")
_BRAZIL = 55


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a text is not an address, in words for the person who typed it."""

    reason: str


def parse_email(text: str) -> str | Rejected:
    """The address in lower case with its domain in Unicode, or why it is none.

    Strictly only the domain ignores case, but no provider in use tells `Ann@` from `ann@`: one person is one key.
    """
    return _find_plain_email(text) or _validate_email(text)


def _find_plain_email(text: str) -> str | None:
    """The address where it is one beyond doubt; None where the library must say."""
    if not text.isascii():
        return None
    lower = text.strip().lower()
    found = _PLAIN_EMAIL.fullmatch(lower)
    # Names that are for special use stand at the end of a domain.
    return None if found is None or found[1] in _special_endings() else lower


@lru_cache(maxsize=1)
def _special_endings() -> frozenset[str]:
    return frozenset(name.rpartition(".")[2] for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)


def _validate_email(text: str) -> str | Rejected:
    for domain in _ALLOWED_SPECIAL_DOMAINS:
        if domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
            email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(domain)
    try:
        found = email_validator.validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as error:
        return Rejected(str(error))
    return found.normalized.lower()


def parse_phone(text: str, region: str) -> str | Rejected:
    """The number in E.164 (`+4915112345678`), or why it is none.

    `region` is the ISO 3166 country of numbers without a prefix. Brazilian mobiles lacking their ninth digit get it:
    both spellings of one phone are one key. A form that was not encoded well turns the `+` into a blank: a number
    that begins with one, and is valid with a `+` only, has it.
    """
    return _find_plain_phone(text) or _read_phone(text, region)


def _find_plain_phone(text: str) -> str | None:
    """The number where it is written with its country's prefix, and possible there; None where the library must say."""
    if not _PLAIN_PHONE.fullmatch(text):
        return None
    digits = text[1:] if text[1:].isdigit() else _NOT_A_DIGIT.sub("", text)
    code, national = _split_code(digits)
    if not code:
        return None
    dialled_at_home, lengths = _country(code)
    is_plain = len(national) in lengths and not national.startswith("0") and code != _BRAZIL
    return f"+{digits}" if is_plain and not (dialled_at_home and dialled_at_home.match(national)) else None


def national_part(number: str) -> str:
    """A number in E.164 without the prefix of its country: `15112345678` of `+4915112345678`."""
    return _split_code(number.removeprefix("+"))[1]


def _split_code(digits: str) -> tuple[int, str]:
    """The code of the country and the rest; 0 and all digits where they begin with none."""
    # No code is the beginning of another one.
    for length in (1, 2, 3) if digits[:1] != "0" else ():
        if (code := int(digits[:length])) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return code, digits[length:]
    return 0, digits


@lru_cache(maxsize=256)
def _country(code: int) -> tuple[re.Pattern[str] | None, frozenset[int]]:
    """What is dialled first within a country, which a number may have by mistake, and how long its numbers are."""
    region = phonenumbers.region_code_for_country_code(code)
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None or metadata.general_desc is None:
        return None, frozenset()
    prefix = metadata.national_prefix_for_parsing
    return re.compile(prefix) if prefix else None, frozenset(metadata.general_desc.possible_length)


def _read_phone(text: str, region: str) -> str | Rejected:
    text = _restore_plus(text, region) or text.strip()
    if not text or len(text) > LONGEST_PHONE_TEXT:
        return Rejected("that is too long or too short for a phone number")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        return Rejected(str(error))
    number = _with_ninth_digit(number)
    if not phonenumbers.is_possible_number(number):
        return Rejected(
            f"that is not a possible phone number of {phonenumbers.region_code_for_number(number) or region}"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _restore_plus(text: str, region: str) -> str | None:
    """The number with the `+` it lost on the way, or None where it seems to have lost none."""
    digits = sum(letter.isdigit() for letter in text)
    if not text.startswith(" ") or digits < FEWEST_INTERNATIONAL_DIGITS or len(text) > LONGEST_PHONE_TEXT:
        return None
    restored = f"+{text.strip()}"
    return restored if _is_valid(restored, None) and not _is_valid(text.strip(), region) else None


def _is_valid(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _with_ninth_digit(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    national = str(number.national_number)
    if number.country_code == 55 and len(national) == 10 and national[2] in "6789":
        mobile = phonenumbers.PhoneNumber(country_code=55, national_number=int(f"{national[:2]}9{national[2:]}"))
        if phonenumbers.is_valid_number(mobile):
            return mobile
    return number


def is_loopback(host: str) -> bool:
    """Whether a server of this name is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public_ip(text: str) -> bool:
    """Whether an IP address is one of the public internet; those that carry another address within count as that."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public_ip(str(inner))
        return address.is_global and address in _GLOBAL_UNICAST
    return address.is_global and not address.is_multicast and address not in _ASSIGNED_TO_PROTOCOLS
