"""Addresses in their one form, also those that were bent on the way."""

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from switchboard.kernel import addresses
from switchboard.kernel.addresses import Rejected, is_public_ip, national_part, parse_email, parse_phone

_LABELS = st.text("ab9-", min_size=1, max_size=66) | st.sampled_from(["xn", "example", "mail", "co"])
_ENDINGS = st.sampled_from(["com", "example", "test", "local", "invalid", "arpa", "onion", "x", "c0", "museum"])
_DOMAINS = st.builds(lambda labels, ending: ".".join([*labels, ending]), st.lists(_LABELS, max_size=5), _ENDINGS)
_EMAILS = st.builds(
    lambda local, domain, blank: f"{blank}{local}@{domain}{blank}",
    st.text("aB9._+-\u212a", min_size=1, max_size=70),
    _DOMAINS,
    st.sampled_from(["", " ", "\n"]),
)
_CODES = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
_NUMBERS = st.builds(
    lambda code, rest, signs: f"+{code}" + "".join(sign + digit for digit, sign in zip(rest, signs, strict=False)),
    _CODES,
    st.text("0123456789", min_size=3, max_size=14),
    st.lists(st.sampled_from(["", "", "", " ", "-", "(", ") "]), min_size=14, max_size=14),
)


@pytest.mark.parametrize("address", ["ann@desk.local", "ann@printer.localhost", "ann@example.test"])
def test_machines_of_a_private_network_have_addresses(address: str) -> None:
    assert parse_email(address) == address


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        (" 44 20 7946 0018", "US", "+442079460018"),
        (" 442079460018", "US", "+442079460018"),
        (" 4915112345678", "US", "+4915112345678"),
        # Valid as a number of the region: the blank was only a blank.
        (" 650 253 0000", "US", "+16502530000"),
        (" 020 7946 0018", "GB", "+442079460018"),
    ],
)
def test_a_plus_that_became_a_blank_is_read_as_a_plus(text: str, region: str, number: str) -> None:
    assert parse_phone(text, region) == number


def test_a_number_that_is_none_with_a_plus_either_stays_rejected() -> None:
    assert isinstance(parse_phone(" 999999999999999", "US"), Rejected)


@settings(max_examples=600)
@given(_EMAILS | st.emails())
@example("a@b.co")
@example(f"{'a' * 64}@{'b' * 60}.com")
def test_a_plain_address_is_what_the_library_says(text: str) -> None:
    plain = addresses._find_plain_email(text)
    assert plain is None or plain == addresses._validate_email(text)


@settings(max_examples=1_500)
@given(_NUMBERS | st.from_regex(addresses._PLAIN_PHONE, fullmatch=True), st.sampled_from(["US", "DE", "IT", "BR", ""]))
@example("+1 (415) 200-0000", "DE")
def test_a_plain_number_is_what_the_library_says(text: str, region: str) -> None:
    plain = addresses._find_plain_phone(text)
    assert plain is None or plain == addresses._read_phone(text, region)


@pytest.mark.parametrize("region", ["US", "DE"])
def test_plain_numbers_of_every_country_are_what_the_library_says(region: str) -> None:
    plain = 0
    for country in phonenumbers.SUPPORTED_REGIONS:
        number = phonenumbers.example_number(country)
        assert number is not None
        text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        found = addresses._find_plain_phone(text)
        plain += found is not None
        assert found is None or found == addresses._read_phone(text, region)
    assert plain > 200


@pytest.mark.parametrize("text", ["ada@x.example", "Ada.Lovelace+news@mail.co.uk", " ann-marie@a1-b2.example "])
def test_ordinary_addresses_are_plain(text: str) -> None:
    assert addresses._find_plain_email(text) == text.strip().lower()


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("::10.0.0.1", False),
        ("::7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("192.0.0.192", False),
        ("no address", False),
    ],
)
def test_public_addresses_are_told_from_private_ones(address: str, is_public: bool) -> None:
    assert is_public_ip(address) is is_public


@pytest.mark.parametrize(
    ("number", "part"),
    [
        ("+14152000001", "4152000001"),
        ("+4915112345678", "15112345678"),
        ("+35312345678", "12345678"),
        ("+0123", "0123"),
    ],
)
def test_a_number_is_known_without_the_prefix_of_its_country(number: str, part: str) -> None:
    assert national_part(number) == part
