"""Addresses in their one form, also those that were bent on the way."""

import pytest

from switchboard.kernel.addresses import Rejected, parse_email, parse_phone


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
