"""E-mail addresses and phone numbers in their one normal form, without asking the network."""

import ipaddress
from dataclasses import dataclass

import email_validator
import phonenumbers

LONGEST_PHONE_TEXT = 60
FEWEST_INTERNATIONAL_DIGITS = 8

# Machines on a private network and test set-ups use these; whether mail reaches them is not for us to say.
_ALLOWED_SPECIAL_DOMAINS = ("localhost", "local", "test")


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a text is not an address, in words for the person who typed it."""

    reason: str


def parse_email(text: str) -> str | Rejected:
    """The address in lower case with its domain in Unicode, or why it is none.

    Strictly only the domain ignores case, but no provider in use tells `Ann@` from `ann@`: one person is one key.
    """
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
