"""Facebook lead ads: the page's leadgen webhook, and a lead as the Graph API hands it out.

The webhook only announces that there is a lead under a `leadgen_id`; its answers are in `field_data`, which comes
from the Graph API or from a relay that has put them into the webhook's `value` already.
"""

from collections.abc import Iterator, Mapping

import msgspec

from switchboard.intake.formats.answers import AnswersFormat, Reading, missing, require_mapping
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.bodies import read_body
from switchboard.intake.formats.coercion import as_flag, as_text
from switchboard.intake.formats.payloads import DEFAULT_LIMITS, Limits, Payload, check_rows
from switchboard.intake.formats.signatures import require_header, require_same, require_secret, sha256_hex
from switchboard.intake.mapping import FieldMapping, Scalar

_KEPT_IDS = ("page_id", "form_id", "ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "platform")


class Facebook(AnswersFormat):
    """`entry[].changes[]` of field `leadgen`, or a lead object with `id` and `field_data`."""

    name = "facebook"
    title = "Facebook lead ads"
    secret_use = "required"  # noqa: S105 - it says whether there is a secret.

    def split(self, body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Payload]:
        """One payload per change: a webhook with several is taken apart, everything else stays as received."""
        payloads = [part for payload in read_body(body, content_type, limits) for part in _split_changes(payload)]
        check_rows(len(payloads), limits.rows)
        return payloads

    def read(self, payload: Mapping[str, object]) -> Reading:
        """The lead in a payload that holds one. Raises InvalidError."""
        lead = _lead(payload)
        own_id = _own_id(lead)
        answers = _answers(lead)
        if not own_id:
            raise missing("leadgen_id", "Facebook's id of the lead is not there.")
        return Reading(
            answers | {key: lead[key] for key in _KEPT_IDS if key in lead},
            _facts(lead, own_id),
            details_id=None if answers else own_id,
        )

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """The `leadgen_id`, the same in the webhook and in the Graph API."""
        change = _first_change(payload)
        return _own_id(payload if change is None else change) if isinstance(payload, Mapping) else None

    def verify(self, request: InboundRequest, secret: str) -> None:
        """Check `X-Hub-Signature-256` against the app secret."""
        require_secret(secret, "the Facebook app secret")
        given = require_header(request.headers, "x-hub-signature-256")
        require_same(given, f"sha256={sha256_hex(secret, request.body)}", "The signature")

    def handshake(self, query: Mapping[str, str], verify_token: str) -> str | None:
        """The challenge to echo when Facebook asks whether we want its webhooks."""
        if query.get("hub.mode") != "subscribe":
            return None
        require_secret(verify_token, "a verify token")
        require_same(query.get("hub.verify_token", ""), verify_token, "The verify token")
        return query.get("hub.challenge", "")


def _split_changes(payload: Payload) -> Iterator[Payload]:
    value = payload.value
    entries = value.get("entry") if isinstance(value, dict) else None
    changes = [
        (entry, change)
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        for change in (entry["changes"] if isinstance(entry.get("changes"), list) else [])
    ]
    if not isinstance(value, dict) or len(changes) < 2:
        yield payload
        return
    for entry, change in changes:
        single = {**value, "entry": [{**entry, "changes": [change]}]}
        yield Payload(msgspec.json.encode(single), single)


def _first_change(payload: object) -> object:
    """`entry[0].changes[0].value`, or None where the payload is not of that shape."""
    step = payload
    for key in ("entry", 0, "changes", 0, "value"):
        if isinstance(key, str):
            step = step.get(key) if isinstance(step, Mapping) else None
        else:
            step = step[0] if isinstance(step, list) and step else None
    return step


def _lead(payload: Mapping[str, object]) -> Mapping[str, object]:
    if "entry" not in payload:
        return payload
    value = _first_change(payload)
    if value is None:
        raise missing("entry.0.changes.0.value", "The webhook holds no change; subscribe the page to `leadgen`.")
    return require_mapping(value, "entry.0.changes.0.value")


def _own_id(lead: object) -> str | None:
    if not isinstance(lead, Mapping):
        return None
    value = lead.get("leadgen_id") or lead.get("id")
    return as_text(value, 200) if isinstance(value, str | int) else None


def _answers(lead: Mapping[str, object]) -> dict[str, object]:
    data = lead.get("field_data")
    return {
        str(answer["name"]): answer.get("values")
        for answer in (data if isinstance(data, list) else [])
        if isinstance(answer, Mapping) and answer.get("name")
    }


def _facts(lead: Mapping[str, object], own_id: str) -> dict[str, Scalar | None]:
    created, campaign = lead.get("created_time"), lead.get("campaign_name")
    boxes = lead.get("custom_disclaimer_responses")
    checked = [
        as_flag(str(box.get("is_checked", "")))
        for box in (boxes if isinstance(boxes, list) else [])
        if isinstance(box, Mapping)
    ]
    return {
        "source_own_id": own_id,
        "occurred_at": created if isinstance(created, str | int) else None,
        "utm_campaign": campaign if isinstance(campaign, str) else None,
        "utm_source": "facebook",
        "consent": all(checked) if checked else None,
    }
