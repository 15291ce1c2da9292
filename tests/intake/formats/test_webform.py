import pytest

from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.bodies import read_body
from switchboard.intake.formats.webform import WebForm, find_redirect
from switchboard.intake.mapping import FieldMapping
from tests.intake.formats.samples import parse_sample

FORM = "application/x-www-form-urlencoded"
WEBFORM = WebForm()
HOSTS = {"example.de"}


def test_form_as_a_browser_posts_it() -> None:
    assert parse_sample("webform", "webform_contact.txt", FORM) == [
        Parsed(
            name="Jürgen Müller",
            email="jm@example.de",
            message="Bitte um Rückruf",
            fields={"menu": "a, b"},
        )
    ]


def test_a_filled_trap_makes_junk_and_says_so() -> None:
    parsed = WEBFORM.parse({"email": "a@example.com", "website_url_confirm": "http://spam.example"})
    assert (parsed.email, parsed.fields) == ("a@example.com", {})
    assert parsed.junk_reason == "The hidden field `website_url_confirm` was filled in."
    assert WEBFORM.parse({"website_url_confirm": "x"}).junk_reason is not None


def test_a_blank_that_was_the_plus_of_a_phone_number_is_kept_for_its_reader() -> None:
    (payload,) = read_body(b"name=+Ann&phone=+44+20+7946+0018&rooms=+5&order=+12345678", FORM)
    parsed = WEBFORM.parse(payload.value)
    assert (parsed.name, parsed.phone) == ("Ann", " 44 20 7946 0018")
    assert parsed.fields == {"rooms": "5", "order": "12345678"}


def test_the_trap_may_have_another_name() -> None:
    mapping = FieldMapping.from_json({"options": {"honeypot": "fax"}})
    parsed = WEBFORM.parse({"email": "a@example.com", "fax": "1"}, mapping)
    assert parsed.junk_reason == "The hidden field `fax` was filled in."
    assert WEBFORM.parse({"email": "a@example.com", "fax": ""}, mapping).junk_reason is None


def test_redirect_to_a_page_of_ours() -> None:
    assert find_redirect({"redirect": "https://example.de/danke"}, HOSTS) == "https://example.de/danke"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "https://example.de@evil.example/",
        "https://evil.example\\@example.de/",
        "https://example.de/\r\nSet-Cookie: a=b",
        "https://[",
        "/danke",
        ["https://example.de/"],
        None,
    ],
)
def test_no_redirect_elsewhere(target: object) -> None:
    assert find_redirect({"redirect": target}, HOSTS) is None
