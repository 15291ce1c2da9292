import pytest

from switchboard.intake.formats.answers import Reading, assemble
from switchboard.intake.formats.base import Parsed
from switchboard.intake.mapping import FieldMapping
from switchboard.kernel.errors import InvalidError, Problem


def _parse(answers: dict[str, object], mapping: dict[str, object] | None = None) -> Parsed:
    return assemble(Reading({"email": "a@example.com"} | answers), FieldMapping.from_json(mapping or {}))


def test_nobody_to_reach() -> None:
    with pytest.raises(InvalidError) as nothing:
        assemble(Reading({"name": "Ada"}))
    assert nothing.value.problems == (
        Problem("email", "No e-mail address or phone number; send `email` or `phone`, or map them."),
    )
    with pytest.raises(InvalidError) as malformed:
        assemble(Reading({"email": "ada at example", "phone": "n/a"}))
    assert [problem.field for problem in malformed.value.problems] == ["email", "phone"]
    assert "`ada at example` is not an e-mail address" in malformed.value.problems[0].message


def test_an_address_that_cannot_be_one_is_kept_beside_one_that_can() -> None:
    parsed = _parse({"phone": "none"})
    assert (parsed.phone, parsed.fields) == (None, {"phone": "none"})


def test_texts_are_cut_and_fields_are_bounded() -> None:
    answers: dict[str, object] = {f"q{number}": "x" * 5_000 for number in range(150)}
    parsed = _parse(answers | {"name": "n" * 999, "message": "m" * 20_000})
    assert (len(parsed.name or ""), len(parsed.message or ""), len(parsed.fields)) == (200, 10_000, 100)
    assert {len(str(value)) for value in parsed.fields.values()} == {2_000}


def test_what_does_not_fit_its_type_stays_readable_as_a_field() -> None:
    parsed = _parse({"budget": "10k to 20k", "created_at": "yesterday", "currency": "bananas"})
    assert (parsed.value_minor, parsed.occurred_at, parsed.currency) == (None, None, None)
    assert parsed.fields == {"value": "10k to 20k", "occurred_at": "yesterday", "currency": "bananas"}


def test_the_sentence_agreed_to_is_the_proof() -> None:
    parsed = _parse({"consent": "Yes, send me offers"})
    assert (parsed.consent, parsed.consent_text) == (None, "Yes, send me offers")
    assert _parse({"consent": "no"}).consent is False
    assert _parse({"consent": "on", "consent_text": "I agree"}).consent_text == "I agree"


def test_mapping_outranks_facts_and_facts_outrank_guesses() -> None:
    reading = Reading({"email": "guess@example.com", "other": "map@example.com"}, {"email": "fact@example.com"})
    assert assemble(reading).email == "fact@example.com"
    assert assemble(reading).fields == {"email": "guess@example.com", "other": "map@example.com"}
    assert assemble(reading, FieldMapping.from_json({"email": "other"})).email == "map@example.com"


def test_ignored_and_renamed_fields() -> None:
    mapping: dict[str, object] = {"fields.size": "q1", "options": {"ignore": ["q2"]}}
    assert _parse({"q1": 3, "q2": 4, "q3": 5}, mapping).fields == {"size": 3, "q3": 5}
