"""Logs carry no personal data, whoever writes them."""

from switchboard.kernel.logs import mask, redact


def test_personal_fields_are_emptied_and_addresses_in_texts_masked() -> None:
    line = redact(None, "", {"event": "x.failed", "email": "a@b.example", "detail": "to a@b.example, +49 151 1234567"})
    assert line == {"event": "x.failed", "email": "[redacted]", "detail": "to [email], [phone]"}


def test_ids_times_and_versions_are_left_alone() -> None:
    text = "01a1f787-e600-7712-bd62-2a70938438e6 at 2026-11-20T05:57:33 v18.6"
    assert mask(text) == text
