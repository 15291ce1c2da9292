from datetime import UTC, datetime

import pytest

from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.leadsquared import LeadSquared
from switchboard.intake.formats.payloads import Limits
from switchboard.kernel.errors import InvalidError, TooLargeError, UnauthenticatedError
from tests.intake.formats.samples import JSON, parse_sample, request, sample

LEADSQUARED = LeadSquared()


def test_capture_is_one_lead_kept_as_received() -> None:
    body = sample("leadsquared_capture.json")
    assert [payload.raw for payload in LEADSQUARED.split(body, JSON)] == [body]
    assert parse_sample("leadsquared", "leadsquared_capture.json") == [
        Parsed(
            name="John Smith",
            first_name="John",
            last_name="Smith",
            email="john.smith@example.com",
            phone="8888888888",
            fields={
                "mx_City": "Bangalore",
                "mx_KYC.Status": "Pending",
                "mx_KYC.mx_CustomObject_2": "864563",
            },
        )
    ]


def test_lead_webhook() -> None:
    [parsed] = parse_sample("leadsquared", "leadsquared_webhook.json")
    own_id = "a311900c-0e56-4601-b580-f931645e7b32:2018-05-16 10:52:12.000"
    assert (parsed.name, parsed.email, parsed.phone) == ("Sachin One", "Sachinone@yopmail.com", "+91-9988776655")
    assert (parsed.stage, parsed.owner_hint, parsed.consent) == ("Initial", "agent@example.com", None)
    assert (parsed.source_own_id, parsed.occurred_at) == (own_id, datetime(2018, 5, 16, 10, 52, 11, tzinfo=UTC))
    assert parsed.fields["Source"] == "Direct Traffic"


def test_state_after_a_change_counts() -> None:
    before = {"ProspectID": "p", "EmailAddress": "old@example.com", "ModifiedOn": "1"}
    after = before | {"EmailAddress": "new@example.com", "ModifiedOn": "2", "DoNotEmail": "1"}
    parsed = LEADSQUARED.parse({"Before": before, "After": after})
    assert (parsed.email, parsed.consent, parsed.source_own_id) == ("new@example.com", False, "p:2")
    assert LEADSQUARED.find_own_id({"Before": before, "After": after}) == "p:2"
    assert LEADSQUARED.find_own_id({"Before": before, "Current": after}) == "p:2"


def test_several_leads_in_one_body() -> None:
    one = [{"Attribute": "EmailAddress", "Value": "a@example.com"}]
    body = b'[[{"Attribute":"EmailAddress","Value":"a@example.com"}],[{"Attribute":"Phone","Value":"5551234567"}]]'
    payloads = LEADSQUARED.split(body, JSON)
    assert [payload.value for payload in payloads] == [one, [{"Attribute": "Phone", "Value": "5551234567"}]]
    assert len(LEADSQUARED.split(b'[{"ProspectID":"a"},{"ProspectID":"b"}]', JSON)) == 2
    with pytest.raises(TooLargeError):
        LEADSQUARED.split(body, JSON, Limits(rows=1))
    with pytest.raises(InvalidError) as caught:
        LEADSQUARED.split(b'[[{"Attribute":"Phone","Value":"5551234567"}],3]', JSON)
    assert caught.value.problems[0].field == "rows.1"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ([{"Value": "x"}], "0.Attribute"),
        ([{"Attribute": "a", "Value": "x"}, 3], "1"),
        ([{"Attribute": "mx_A", "Fields": [{"Value": 1}]}], "0.Fields.0.Attribute"),
        ([], "email"),
        ({}, "email"),
        ("text", ""),
    ],
)
def test_missing_parts_are_named(payload: object, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        LEADSQUARED.parse(payload)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_key_header() -> None:
    LEADSQUARED.verify(request(b"[]", x_api_key="key"), "key")
    LEADSQUARED.verify(request(b"[]"), "")
    for forged in (request(b"[]"), request(b"[]", x_api_key="other")):
        with pytest.raises(UnauthenticatedError):
            LEADSQUARED.verify(forged, "key")
