import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.bodies import read_body
from switchboard.intake.formats.facebook import Facebook
from switchboard.kernel.errors import InvalidError, UnauthenticatedError
from tests.intake.formats.samples import JSON, parse_sample, request, sample

FACEBOOK = Facebook()
SECRET = "app-secret"


def test_webhook_gives_one_signal_a_change_whose_details_are_still_to_come() -> None:
    ids = {"page_id": "153125381133", "form_id": "12312312312", "ad_id": "12312312312"}
    assert parse_sample("facebook", "facebook_webhook.json") == [
        Parsed(
            utm=Utm(source="facebook"),
            fields=ids,
            source_own_id="123123123123",
            details_id="123123123123",
            occurred_at=datetime(2015, 8, 21, 1, 26, 24, tzinfo=UTC),
        ),
        Parsed(
            utm=Utm(source="facebook"),
            fields=ids,
            source_own_id="123123123124",
            details_id="123123123124",
            occurred_at=datetime(2015, 8, 21, 1, 26, 25, tzinfo=UTC),
        ),
    ]


def test_lead_with_its_answers() -> None:
    assert parse_sample("facebook", "facebook_lead.json") == [
        Parsed(
            name="Joe Example",
            email="joe@example.com",
            phone="+15005550006",
            utm=Utm(source="facebook", campaign="Spring"),
            consent=True,
            fields={
                "car_make": "Honda",
                "selected_dealer": "99213450",
                "form_id": "123456789",
                "ad_id": "6012607368999",
            },
            source_own_id="6012607368234",
            occurred_at=datetime(2015, 2, 28, 8, 49, 14, tzinfo=UTC),
        )
    ]


def test_own_id_is_the_same_in_webhook_and_lead() -> None:
    payloads = FACEBOOK.split(sample("facebook_webhook.json"), JSON)
    assert [FACEBOOK.find_own_id(payload.value) for payload in payloads] == ["123123123123", "123123123124"]
    assert FACEBOOK.find_own_id({"id": 123123123123, "field_data": []}) == "123123123123"


def test_a_single_change_is_kept_as_received() -> None:
    body = b'{"entry": [{"changes":[ {"field":"leadgen","value":{"leadgen_id":"7"}} ]}]}'
    assert FACEBOOK.split(body, JSON) == read_body(body, JSON)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "leadgen_id"),
        ({"entry": []}, "entry.0.changes.0.value"),
        ({"entry": [{"changes": [{"value": 3}]}]}, "entry.0.changes.0.value"),
        ({"field_data": [{"name": "email", "values": ["a@b.c"]}]}, "leadgen_id"),
        ({"id": "1", "field_data": [{"name": "email", "values": ["nobody"]}]}, "email"),
        ([], ""),
    ],
)
def test_missing_parts_are_named(payload: object, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        FACEBOOK.parse(payload)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_signature() -> None:
    body = sample("facebook_webhook.json")
    good = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    FACEBOOK.verify(request(body, x_hub_signature_256=good), SECRET)
    for wrong in (good[:-1] + "x", good.removeprefix("sha256="), "sha256=é"):
        with pytest.raises(UnauthenticatedError):
            FACEBOOK.verify(request(body, x_hub_signature_256=wrong), SECRET)
    with pytest.raises(UnauthenticatedError, match="x-hub-signature-256"):
        FACEBOOK.verify(request(body), SECRET)
    with pytest.raises(UnauthenticatedError):
        FACEBOOK.verify(request(body + b" ", x_hub_signature_256=good), SECRET)
    with pytest.raises(UnauthenticatedError, match="no secret yet"):
        FACEBOOK.verify(request(body, x_hub_signature_256=good), "")


def test_handshake_echoes_the_challenge_to_who_knows_the_token() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "token"}
    assert FACEBOOK.handshake(query, "token") == "1158201444"
    with pytest.raises(UnauthenticatedError):
        FACEBOOK.handshake(query, "other")
    with pytest.raises(UnauthenticatedError):
        FACEBOOK.handshake(query | {"hub.verify_token": ""}, "")
    assert FACEBOOK.handshake({}, "token") is None
