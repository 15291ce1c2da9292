"""One lead in each format's own shape, for the button that sends a test."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

_MESSAGE = "A test from Switchboard"


def sample_payload(format_name: str, *, name: str, email: str, unique: str) -> object:
    """A lead as a sender of that format would write it; `unique` keeps it apart from other tests."""
    return _SAMPLES[format_name](name, email, unique)


def _plain(name: str, email: str, unique: str) -> object:
    return {"name": name, "email": email, "message": _MESSAGE, "test_number": unique}


def _facebook(name: str, email: str, unique: str) -> object:
    answers = {"full_name": name, "email": email, "message": _MESSAGE}
    return {"id": unique, "field_data": [{"name": key, "values": [value]} for key, value in answers.items()]}


def _google_lead_form(name: str, email: str, unique: str) -> object:
    answers = {"FULL_NAME": name, "EMAIL": email}
    columns = [{"column_id": key, "string_value": value} for key, value in answers.items()]
    return {"lead_id": unique, "api_version": "1.0", "form_id": 1, "user_column_data": columns}


def _hubspot(name: str, email: str, unique: str) -> object:
    answers = {"firstname": name, "email": email, "message": _MESSAGE, "test_number": unique}
    return {"fields": [{"name": key, "value": value} for key, value in answers.items()]}


def _typeform(name: str, email: str, unique: str) -> object:
    answers = [
        {"type": "text", "text": name, "field": {"id": "name", "type": "short_text", "ref": "name"}},
        {"type": "email", "email": email, "field": {"id": "email", "type": "email", "ref": "email"}},
    ]
    return {"event_type": "form_response", "form_response": {"token": unique, "answers": answers}}


def _leadsquared(name: str, email: str, unique: str) -> object:
    answers = {"FirstName": name, "EmailAddress": email, "Notes": _MESSAGE, "TestNumber": unique}
    return [{"Attribute": key, "Value": value} for key, value in answers.items()]


_SAMPLES: Mapping[str, Callable[[str, str, str], object]] = MappingProxyType(
    {
        "generic": _plain,
        "webform": _plain,
        "facebook": _facebook,
        "google_lead_form": _google_lead_form,
        "hubspot": _hubspot,
        "typeform": _typeform,
        "leadsquared": _leadsquared,
    }
)
