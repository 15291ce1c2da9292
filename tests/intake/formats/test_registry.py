import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.registry import FORMATS, get_format
from switchboard.kernel.errors import InvalidError
from tests.intake.formats.samples import NOW

KEYS = """
entry changes value field_data name values id leadgen_id created_time custom_disclaimer_responses
is_checked user_column_data column_id string_value lead_id is_test google_key properties fields
context form-submissions timestamp conversion-id subscriptionType objectId legalConsentOptions
consent form_response answers type text choices labels definition title field hidden calculated
token Attribute Value Fields After ProspectID ModifiedOn email phone budget currency created_at
page_url redirect website_url_confirm
"""
WORDS = st.sampled_from(KEYS.split())
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["a@b.c", "+4930123456", "contact.creation", "x" * 40_000, "\0", "1e999"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
RUBBISH = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)


def test_formats_are_known_by_name() -> None:
    expected = ["generic", "webform", "facebook", "google_lead_form", "hubspot", "typeform", "leadsquared"]
    assert list(FORMATS) == expected
    assert all(get_format(name).name == name and get_format(name).title for name in FORMATS)
    with pytest.raises(InvalidError, match="no such format"):
        get_format("pigeon")


def test_secrets() -> None:
    uses = {name: format_.secret_use for name, format_ in FORMATS.items()}
    assert uses == {
        "generic": "none",
        "webform": "none",
        "facebook": "required",
        "google_lead_form": "required",
        "hubspot": "optional",
        "typeform": "optional",
        "leadsquared": "optional",
    }


@pytest.mark.parametrize("name", list(FORMATS))
@given(payload=RUBBISH)
@settings(max_examples=150)
def test_rubbish_is_parsed_or_refused(name: str, payload: object) -> None:
    format_ = FORMATS[name]
    own_id = format_.find_own_id(payload)
    assert own_id is None or 0 < len(own_id) <= 200
    try:
        parsed = format_.parse(payload)
    except InvalidError as error:
        problems = error.problems
        assert problems
        return
    assert isinstance(parsed, Parsed)
    assert len(parsed.fields) <= 100
    assert parsed.occurred_at is None or parsed.occurred_at.tzinfo is NOW.tzinfo
    format_.suggested_mapping(payload)


@pytest.mark.parametrize("name", list(FORMATS))
def test_deep_nesting_is_no_danger(name: str) -> None:
    payload: object = "leaf"
    for _ in range(900):
        payload = {"a": [payload]}
    with pytest.raises(InvalidError):
        FORMATS[name].parse(payload)
