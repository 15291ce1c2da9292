"""Typeform's `form_response` webhook."""

from collections.abc import Mapping

from switchboard.intake.formats.answers import AnswersFormat, Reading, missing, require_mapping
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.coercion import as_text
from switchboard.intake.formats.signatures import require_header, require_same, sha256_base64
from switchboard.intake.mapping import FieldMapping, Scalar

# Where an answer's type says what it is, its question's wording does not matter.
_TARGET_BY_TYPE = {"email": "email", "phone_number": "phone"}


class Typeform(AnswersFormat):
    """Answers under their question's title, hidden fields and scores beside them."""

    name = "typeform"
    title = "Typeform"
    secret_use = "optional"  # noqa: S105 - it says whether there is a secret.

    def read(self, payload: Mapping[str, object]) -> Reading:
        """The answers of one `form_response`. Raises InvalidError."""
        if payload.get("event_type", "form_response") not in {"form_response", "form_response_partial"}:
            raise missing("event_type", "Only `form_response` is read here; remove other webhooks.")
        response = require_mapping(payload.get("form_response"), "form_response")
        given = response.get("answers")
        if not isinstance(given, list):
            raise missing("form_response.answers", "The answers are not there; Typeform sends a list.")
        titles = _titles(response.get("definition"))
        answers: dict[str, object] = {}
        facts = _facts(response)
        for answer in given:
            if isinstance(answer, Mapping):
                _add(answer, titles, answers, facts)
        return Reading(_rest(response) | answers, facts)

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """The response's `token`, the same on every retry."""
        response = payload.get("form_response") if isinstance(payload, Mapping) else None
        token = response.get("token") if isinstance(response, Mapping) else None
        return as_text(token, 200) if isinstance(token, str) else None

    def verify(self, request: InboundRequest, secret: str) -> None:
        """Check `Typeform-Signature` when the source has a secret."""
        if secret:
            given = require_header(request.headers, "typeform-signature")
            require_same(given, f"sha256={sha256_base64(secret, request.body)}", "The signature")


def _titles(definition: object) -> dict[str, str]:
    """Question titles by field id."""
    fields = definition.get("fields") if isinstance(definition, Mapping) else None
    return {
        str(item.get("id")): str(item.get("title") or item.get("ref") or item.get("id"))
        for item in (fields if isinstance(fields, list) else [])
        if isinstance(item, Mapping)
    }


def _add(
    answer: Mapping[str, object],
    titles: Mapping[str, str],
    answers: dict[str, object],
    facts: dict[str, Scalar | None],
) -> None:
    question = answer.get("field")
    question = question if isinstance(question, Mapping) else {}
    value = _value(answer)
    target = _TARGET_BY_TYPE.get(str(answer.get("type")))
    if target and not facts.get(target) and isinstance(value, str):
        facts[target] = value
        return
    title = titles.get(str(question.get("id"))) or str(question.get("ref") or question.get("id") or "answer")
    # Dots in a question would read as steps of a path.
    answers[title.replace(".", "").strip() or "answer"] = value


def _value(answer: Mapping[str, object]) -> object:
    """The value stands under the name of the answer's type: text, email, boolean, choice, choices, …"""
    value = answer.get(str(answer.get("type")))
    if not isinstance(value, Mapping):
        return value
    labels = value.get("labels") or value.get("label")
    other = value.get("other")
    if isinstance(labels, list) and isinstance(other, str):
        return [*labels, other]
    return labels or other or dict(value)


def _rest(response: Mapping[str, object]) -> dict[str, object]:
    hidden, calculated = response.get("hidden"), response.get("calculated")
    score = calculated.get("score") if isinstance(calculated, Mapping) else None
    return (dict(hidden) if isinstance(hidden, Mapping) else {}) | {
        "form_id": response.get("form_id"),
        "score": score,
    }


def _facts(response: Mapping[str, object]) -> dict[str, Scalar | None]:
    token, submitted = response.get("token"), response.get("submitted_at")
    return {
        "source_own_id": token if isinstance(token, str) else None,
        "occurred_at": submitted if isinstance(submitted, str) else None,
    }
