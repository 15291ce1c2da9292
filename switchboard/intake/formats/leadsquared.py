"""LeadSquared: what one would post to its Lead.Capture API, and what its webhooks post to us.

A captured lead is an array of `{"Attribute": ..., "Value": ...}`; several are an array of such arrays. A webhook
is one flat object, or one with the lead's state `Before` and `After` the change.
"""

from collections.abc import Mapping, Sequence

import msgspec

from switchboard.intake.formats.answers import AnswersFormat, Reading, missing, require_mapping
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.bodies import json_text, read_body
from switchboard.intake.formats.payloads import DEFAULT_LIMITS, Limits, Payload, check_rows, check_size, read_payload
from switchboard.intake.formats.signatures import require_header, require_same
from switchboard.intake.mapping import FieldMapping, Scalar

_STATES = ("After", "Current")
# Directions to LeadSquared's own API, not facts about the person.
_DIRECTIONS = frozenset({"SearchBy", "LeadUpdateBehavior"})
_OPTED_OUT = frozenset({"1", "true"})


class LeadSquared(AnswersFormat):
    """Lead capture arrays and lead webhooks."""

    name = "leadsquared"
    title = "LeadSquared"
    secret_use = "optional"  # noqa: S105 - it says whether there is a secret.

    def split(self, body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Payload]:
        """One payload per lead: an array of attributes is one lead, not as many as it has attributes."""
        if not body.lstrip().startswith(b"["):
            return read_body(body, content_type, limits)
        check_size(body, limits.batch_bytes)
        whole = read_payload(json_text(body, content_type), limits)
        leads = whole.value
        if not isinstance(leads, list) or _is_capture(leads):
            check_size(body, limits.body_bytes)
            return [whole]
        check_rows(len(leads), limits.rows)
        return [Payload(msgspec.json.encode(lead), _require_lead(lead, row)) for row, lead in enumerate(leads)]

    def read_any(self, payload: object) -> Reading:
        """The answers of a capture array or of a webhook. Raises InvalidError."""
        if isinstance(payload, list):
            return self.read(_attributes(payload, ""))
        webhook = require_mapping(payload, "")
        states = [webhook[key] for key in _STATES if isinstance(webhook.get(key), Mapping)]
        return self.read(require_mapping(states[0], _STATES[0]) if states else webhook)

    def read(self, payload: Mapping[str, object]) -> Reading:
        """A lead as a flat object of LeadSquared's schema names."""
        answers = {name: value for name, value in payload.items() if name not in _DIRECTIONS}
        return Reading(answers, _facts(answers))

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """The lead's id with the time of its change, as one lead is sent again whenever it changes."""
        state = payload.get("After") or payload.get("Current") or payload if isinstance(payload, Mapping) else None
        if not isinstance(state, Mapping):
            return None
        lead, changed = state.get("ProspectID"), state.get("ModifiedOn")
        return f"{lead}:{changed}"[:200] if isinstance(lead, str) and isinstance(changed, str) else None

    def verify(self, request: InboundRequest, secret: str) -> None:
        """LeadSquared signs nothing; its webhooks carry custom headers, of which `x-api-key` must be the secret."""
        if secret:
            require_same(require_header(request.headers, "x-api-key"), secret, "The x-api-key")


def _is_capture(items: Sequence[object]) -> bool:
    return any(isinstance(item, Mapping) and "Attribute" in item for item in items)


def _require_lead(lead: object, row: int) -> object:
    if not isinstance(lead, list | dict) or not lead:
        raise missing(f"rows.{row}", "Expected an array of attributes or an object.")
    return lead


def _attributes(items: Sequence[object], place: str) -> dict[str, object]:
    """Attribute and value pairs as one object; a field set's own attributes nest under its name."""
    answers: dict[str, object] = {}
    for index, item in enumerate(items):
        path = f"{place}.{index}".lstrip(".")
        attribute = require_mapping(item, path)
        name, nested = attribute.get("Attribute"), attribute.get("Fields")
        if not isinstance(name, str) or not name:
            raise missing(f"{path}.Attribute", "Expected the schema name of a lead field.")
        if isinstance(nested, list) and not place:
            answers[name] = _attributes(nested, f"{path}.Fields")
        else:
            answers[name] = attribute.get("Value")
    return answers


def _facts(answers: Mapping[str, object]) -> dict[str, Scalar | None]:
    lead, changed, created = (answers.get(name) for name in ("ProspectID", "ModifiedOn", "CreatedOn"))
    stage, opted_out = answers.get("ProspectStage"), answers.get("DoNotEmail")
    phone = answers.get("Phone") or answers.get("Mobile")
    return {
        "source_own_id": f"{lead}:{changed}" if isinstance(lead, str) and isinstance(changed, str) else None,
        "stage": stage if isinstance(stage, str) else None,
        "phone": phone if isinstance(phone, str | int) else None,
        "occurred_at": created if isinstance(created, str) else None,
        "consent": False if str(opted_out).lower() in _OPTED_OUT else None,
    }
