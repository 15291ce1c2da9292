"""HubSpot: a contact as a workflow's webhook sends it, a form submission, and CRM object events.

The workflow webhook sends the whole contact, with each property's value and versions and the forms it filled in.
A form submission has `fields` of name and value with a `context`. Events of the webhooks API only announce that
a contact was created under an `objectId`, so that its properties have to be asked for.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from switchboard.intake.formats.answers import AnswersFormat, Reading, missing, require_mapping
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.coercion import as_instant, as_text
from switchboard.intake.formats.signatures import require_header, require_same, sha256_base64
from switchboard.intake.mapping import FieldMapping, Scalar
from switchboard.kernel.errors import UnauthenticatedError

_MAX_AGE = timedelta(minutes=5)
# HubSpot signs the address with these characters decoded, and no others.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}


class HubSpot(AnswersFormat):
    """Contacts, form submissions and contact events."""

    name = "hubspot"
    title = "HubSpot form"
    secret_use = "optional"  # noqa: S105 - it says whether there is a secret.

    def read(self, payload: Mapping[str, object]) -> Reading:
        """The person in any of the three shapes. Raises InvalidError."""
        if isinstance(payload.get("properties"), Mapping):
            return _read_contact(payload)
        if isinstance(payload.get("fields"), list):
            return _read_submission(payload)
        if "subscriptionType" in payload:
            return _read_event(payload)
        raise missing("properties", "There is neither a contact (`properties`) nor a form (`fields`).")

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """The id of the form's conversion or of the event; None where HubSpot gives a submission no id."""
        if not isinstance(payload, Mapping):
            return None
        return _event_id(payload) if "subscriptionType" in payload else _conversion_id(payload)

    def verify(self, request: InboundRequest, secret: str) -> None:
        """Check `X-HubSpot-Signature-v3`, and that the request was signed within the last five minutes."""
        if not secret:
            return
        given = require_header(request.headers, "x-hubspot-signature-v3")
        timestamp = require_header(request.headers, "x-hubspot-request-timestamp")
        _require_fresh(timestamp, request.received_at)
        content = f"{request.method}{_decoded(request.url)}".encode() + request.body + timestamp.encode()
        require_same(given, sha256_base64(secret, content), "The signature")


def _require_fresh(timestamp: str, now: datetime) -> None:
    signed_at = as_instant(timestamp)
    if signed_at is None or abs(now - signed_at) > _MAX_AGE:
        raise UnauthenticatedError("The request was signed more than five minutes ago; check the clocks.")


def _decoded(url: str) -> str:
    for code, character in _DECODED.items():
        url = url.replace(code, character).replace(code.lower(), character)
    return url


def _read_contact(payload: Mapping[str, object]) -> Reading:
    properties = require_mapping(payload["properties"], "properties")
    answers = {name: _property(value) for name, value in properties.items()}
    form = _latest_form(payload)
    return Reading(
        answers | {"form_title": form.get("title"), "form_id": form.get("form-id")},
        {
            "source_own_id": _conversion_id(payload),
            "page_url": _text(form.get("page-url")),
            "occurred_at": _time(form.get("timestamp")) or _time(payload.get("createdAt")),
            "stage": _text(answers.get("hs_lead_status")),
            "owner_hint": _text(answers.get("hubspot_owner_id")),
        },
    )


def _read_submission(payload: Mapping[str, object]) -> Reading:
    fields = payload["fields"]
    answers = {
        str(field.get("name") or ""): field.get("value")
        for field in (fields if isinstance(fields, list) else [])
        if isinstance(field, Mapping)
    }
    context = payload.get("context")
    context = context if isinstance(context, Mapping) else {}
    given, text = _consent(payload.get("legalConsentOptions"))
    facts: dict[str, Scalar | None] = {
        "page_url": _text(context.get("pageUri")),
        "occurred_at": _time(payload.get("submittedAt")),
        "consent": given,
        "consent_text": text,
    }
    return Reading(answers | {"page_name": context.get("pageName")}, facts)


def _read_event(payload: Mapping[str, object]) -> Reading:
    details_id = _id(payload.get("objectId"))
    if not _is_new_contact(payload) or not details_id:
        raise missing("subscriptionType", "Only `contact.creation` with an `objectId` is read; drop other events.")
    kept = {key: payload.get(key) for key in ("subscriptionType", "propertyName", "propertyValue", "portalId")}
    facts: dict[str, Scalar | None] = {
        "source_own_id": _event_id(payload),
        "occurred_at": _time(payload.get("occurredAt")),
    }
    return Reading(kept, facts, details_id=details_id)


def _is_new_contact(payload: Mapping[str, object]) -> bool:
    """Generic events name no object; `0-1` is HubSpot's type of contacts."""
    event = payload.get("subscriptionType")
    return event == "contact.creation" or (event == "object.creation" and payload.get("objectTypeId") == "0-1")


def _property(value: object) -> object:
    """The workflow webhook wraps each value with its history, the CRM API does not."""
    return value.get("value") if isinstance(value, Mapping) else value


def _latest_form(payload: Mapping[str, object]) -> Mapping[str, object]:
    forms = payload.get("form-submissions")
    known = [form for form in (forms if isinstance(forms, list) else []) if isinstance(form, Mapping)]
    return max(known, key=lambda form: _number(form.get("timestamp")), default={})


def _conversion_id(payload: Mapping[str, object]) -> str | None:
    return _id(_latest_form(payload).get("conversion-id"))


def _event_id(payload: Mapping[str, object]) -> str | None:
    """HubSpot does not promise that `eventId` is unique, and counts `attemptNumber` up on a retry."""
    parts = [_id(payload.get(key)) for key in ("eventId", "objectId", "occurredAt")]
    return ":".join(part or "" for part in parts)[:200] if all(parts) else None


def _consent(options: object) -> tuple[bool | None, str | None]:
    """Of the two kinds of consent that a HubSpot form collects, the explicit one counts."""
    consent = options.get("consent") if isinstance(options, Mapping) else None
    if not isinstance(consent, Mapping):
        return None, None
    given = consent.get("consentToProcess")
    return given if isinstance(given, bool) else None, _text(consent.get("text"))


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> str | int | None:
    return value if isinstance(value, str | int) else None


def _id(value: object) -> str | None:
    return as_text(value, 200) if isinstance(value, str | int) else None
