import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.hubspot import HubSpot
from switchboard.kernel.errors import InvalidError, UnauthenticatedError
from tests.intake.formats.samples import NOW, parse_sample, request, sample

HUBSPOT = HubSpot()
SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://sb.example/in/token?x=a%2Fb%20c"


def _sign(body: bytes, stamp: int) -> str:
    content = b"POST" + b"https://sb.example/in/token?x=a/b%20c" + body + str(stamp).encode()
    return base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()


def test_workflow_webhook() -> None:
    assert parse_sample("hubspot", "hubspot_workflow.json") == [
        Parsed(
            name="Codey Huang",
            first_name="Codey",
            last_name="Huang",
            email="testingapis@hubspot.com",
            phone="+1 617 555 0100",
            company="HubSpot",
            stage="NEW",
            owner_hint="71",
            utm=Utm(source="newsletter", campaign="fall"),
            page_url="https://example.com/contact?utm_source=newsletter&utm_campaign=fall",
            fields={
                "hubspot_owner_id": "71",
                "hs_lead_status": "NEW",
                "form_title": "Contact us",
                "form_id": "4b7a2c1d",
            },
            source_own_id="0c9b8c35-6b4d-4d77-9e1a-1d8a3f4f1b11",
            occurred_at=datetime(2014, 9, 26, 16, 31, 25, tzinfo=UTC),
        )
    ]


def test_form_submission_with_its_consent() -> None:
    assert parse_sample("hubspot", "hubspot_form.json") == [
        Parsed(
            name="Jeff",
            first_name="Jeff",
            email="example@example.com",
            page_url="https://www.example.com/example-page",
            consent=True,
            consent_text="I agree to allow Example Company to store and process my personal data.",
            fields={"favourite_colour": "blue", "page_name": "Example page"},
            occurred_at=datetime(2018, 2, 6, 14, 26, 14, tzinfo=UTC),
        )
    ]


def test_new_contact_is_announced_and_other_events_are_refused() -> None:
    [announced] = parse_sample("hubspot", "hubspot_events.json")
    assert announced == Parsed(
        fields={"subscriptionType": "contact.creation", "portalId": 62515},
        source_own_id="1:123:1564113600000",
        details_id="123",
        occurred_at=datetime(2019, 7, 26, 4, 0, tzinfo=UTC),
    )
    for event in ("contact.deletion", "company.creation", "object.creation"):
        with pytest.raises(InvalidError):
            HUBSPOT.parse({"subscriptionType": event, "objectId": 1})


def test_own_id_survives_a_retry() -> None:
    event = {"subscriptionType": "contact.creation", "eventId": 1, "objectId": 2, "occurredAt": 3}
    assert HUBSPOT.find_own_id(event | {"attemptNumber": 0}) == "1:2:3"
    assert HUBSPOT.find_own_id(event | {"attemptNumber": 1}) == "1:2:3"


def test_signature_and_its_age() -> None:
    body = sample("hubspot_form.json")
    now = int(NOW.timestamp() * 1000)
    for stamp in (now, now - 299_000, now + 299_000):
        signed = request(
            body, url=URL, x_hubspot_signature_v3=_sign(body, stamp), x_hubspot_request_timestamp=str(stamp)
        )
        HUBSPOT.verify(signed, SECRET)
    for stamp in (now - 301_000, now + 301_000):
        replayed = request(
            body, url=URL, x_hubspot_signature_v3=_sign(body, stamp), x_hubspot_request_timestamp=str(stamp)
        )
        with pytest.raises(UnauthenticatedError, match="five minutes"):
            HUBSPOT.verify(replayed, SECRET)


@pytest.mark.parametrize(
    ("signature", "stamp", "url"),
    [("wrong", None, URL), (None, "rubbish", URL), (None, None, URL + "&more=1")],
)
def test_wrong_signatures_are_refused(signature: str | None, stamp: str | None, url: str) -> None:
    body = sample("hubspot_form.json")
    now = int(NOW.timestamp() * 1000)
    forged = request(
        body,
        url=url,
        x_hubspot_signature_v3=signature or _sign(body, now),
        x_hubspot_request_timestamp=stamp or str(now),
    )
    with pytest.raises(UnauthenticatedError):
        HUBSPOT.verify(forged, SECRET)


def test_a_source_without_a_secret_takes_unsigned_webhooks() -> None:
    HUBSPOT.verify(request(b"{}"), "")
    with pytest.raises(UnauthenticatedError, match="x-hubspot-signature-v3"):
        HUBSPOT.verify(request(b"{}"), SECRET)
