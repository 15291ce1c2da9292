from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.generic import Generic
from switchboard.intake.mapping import FieldMapping
from tests.intake.formats.samples import JSON, parse_sample, sample

GENERIC = Generic()


def test_nested_payload_is_read_by_its_names() -> None:
    assert parse_sample("generic", "generic_nested.json") == [
        Parsed(
            name="Ada Lovelace",
            email="Ada@Example.com",
            phone="+44 20 7946 0958",
            company="Analytical Engines",
            message="Hallo 👋 مرحبا",
            value_minor=120050,
            currency="EUR",
            owner_hint="rep@example.com",
            utm=Utm(source="google", campaign="spring"),
            page_url="https://example.com/p?utm_campaign=spring&utm_source=bing",
            consent=True,
            fields={"form.name": "Pricing", "form.id": 7, "tags": "vip, uk"},
            source_own_id="991",
        )
    ]


def test_suggested_mapping_says_what_would_be_guessed_and_can_be_used() -> None:
    [payload] = GENERIC.split(sample("generic_nested.json"), JSON)
    suggested = GENERIC.suggested_mapping(payload.value)
    assert suggested["email"] == "Contact.E-Mail Address"
    assert suggested["value"] == "deal_value"
    mapped = GENERIC.parse(payload.value, FieldMapping.from_json(suggested))
    assert mapped == GENERIC.parse(payload.value)


def test_own_id_by_name_or_by_mapping_but_never_by_a_bare_id() -> None:
    assert GENERIC.find_own_id({"submissionId": 7, "id": 8}) == "7"
    assert GENERIC.find_own_id({"id": 8}) is None
    assert GENERIC.find_own_id({"id": 8}, FieldMapping.from_json({"source_own_id": "id"})) == "8"
    assert GENERIC.find_own_id({"submission_id": {"a": 1}}) is None
    assert GENERIC.find_own_id([1]) is None
