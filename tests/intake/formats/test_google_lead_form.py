from datetime import UTC, datetime

import pytest

from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.google_lead_form import GoogleLeadForm
from switchboard.kernel.errors import InvalidError, UnauthenticatedError
from tests.intake.formats.samples import parse_sample, request, sample

GOOGLE = GoogleLeadForm()
LEAD_ID = "TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdefghijklmnopqrstuvwxyz-0123456789-AaBbCcDdEeFfGgHhIiJjKkLl"


def test_test_lead() -> None:
    assert parse_sample("google_lead_form", "google_lead_form_test.json") == [
        Parsed(
            name="FirstName LastName",
            email="test@example.com",
            phone="+16505550123",
            company="CompanyName",
            utm=Utm(source="google", medium="cpc"),
            fields={
                "when_do_you_want_to_start?": "Next month",
                "gcl_id": "TeSter-123",
                "form_id": 40000000000,
                "campaign_id": 123456,
                "adgroup_id": 20000000000,
                "creative_id": 30000000000,
            },
            source_own_id=LEAD_ID,
            occurred_at=datetime(2024, 9, 26, 12, 30, tzinfo=UTC),
            is_test=True,
        )
    ]
    assert GOOGLE.find_own_id({"lead_id": LEAD_ID}) == LEAD_ID


def test_answers_are_required() -> None:
    with pytest.raises(InvalidError) as caught:
        GOOGLE.parse({"lead_id": "1"})
    assert caught.value.problems[0].field == "user_column_data"


def test_key_in_the_payload() -> None:
    body = sample("google_lead_form_test.json")
    GOOGLE.verify(request(body), "a-key-of-ours")
    for wrong in (body.replace(b"a-key-of-ours", b"other"), b"{}", b'{"google_key":null}', b"[]"):
        with pytest.raises(UnauthenticatedError):
            GOOGLE.verify(request(wrong), "a-key-of-ours")
    with pytest.raises(UnauthenticatedError):
        GOOGLE.verify(request(b'{"google_key":""}'), "")
