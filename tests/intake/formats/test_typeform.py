import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.typeform import Typeform
from switchboard.intake.mapping import FieldMapping
from switchboard.kernel.errors import InvalidError, UnauthenticatedError
from tests.intake.formats.samples import JSON, parse_sample, request, sample

TYPEFORM = Typeform()
SECRET = "secret"


def test_response() -> None:
    assert parse_sample("typeform", "typeform_response.json") == [
        Parsed(
            name="Laura Palmer",
            email="laura@example.com",
            phone="+34600000000",
            utm=Utm(source="twitter", campaign="launch"),
            fields={
                "form_id": "lT4Z3j",
                "score": 9,
                "Have you ever been to Spain?": True,
                "When would you like to come?": "2005-10-15",
                "How would you rate us?": 5,
                "Which topics?": "London, Sydney, Oslo",
                "Which of these is your favourite?": "London",
            },
            source_own_id="a3a12ec67a1365927098a606107fac15",
            occurred_at=datetime(2018, 1, 18, 18, 17, 2, tzinfo=UTC),
        )
    ]


def test_own_id_is_the_response_token() -> None:
    [payload] = TYPEFORM.split(sample("typeform_response.json"), JSON)
    assert TYPEFORM.find_own_id(payload.value) == "a3a12ec67a1365927098a606107fac15"


def test_a_mapping_reads_answers_by_their_question() -> None:
    [payload] = TYPEFORM.split(sample("typeform_response.json"), JSON)
    mapping = FieldMapping.from_json({"stage": "Which of these is your favourite?"})
    assert TYPEFORM.parse(payload.value, mapping).stage == "London"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "form_response"),
        ({"form_response": {}}, "form_response.answers"),
        ({"event_type": "other", "form_response": {"answers": []}}, "event_type"),
        ({"form_response": {"answers": []}}, "email"),
        (None, ""),
    ],
)
def test_missing_parts_are_named(payload: object, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        TYPEFORM.parse(payload)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_signature() -> None:
    body = sample("typeform_response.json")
    good = "sha256=" + base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    TYPEFORM.verify(request(body, typeform_signature=good), SECRET)
    TYPEFORM.verify(request(body), "")
    for wrong in ("sha256=", good.lower(), good[7:]):
        with pytest.raises(UnauthenticatedError):
            TYPEFORM.verify(request(body, typeform_signature=wrong), SECRET)
    with pytest.raises(UnauthenticatedError, match="typeform-signature"):
        TYPEFORM.verify(request(body), SECRET)
