"""JSON of any shape: read by the source's mapping, and by good guesses where that is silent."""

from collections.abc import Mapping
from functools import lru_cache

from switchboard.intake.formats.answers import AnswersFormat, Reading
from switchboard.intake.formats.coercion import as_text
from switchboard.intake.mapping import FieldMapping, flatten, guess_targets


class Generic(AnswersFormat):
    """Any JSON object, or a form's fields."""

    name = "generic"
    title = "JSON or form data"

    def read(self, payload: Mapping[str, object]) -> Reading:
        """The whole payload is the answers."""
        return Reading(payload)

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:
        """By the mapping, or a top-level name that can mean nothing but one submission.

        An `id` alone is not enough: it may be the person's, whose second enquiry must not be dropped.
        """
        rule = mapping.rules.get("source_own_id") if mapping else None
        if rule:
            return as_text(rule.read(flatten(payload)), 200)
        if not isinstance(payload, dict):
            return None
        key = _own_id_key(tuple(payload))
        value = payload.get(key) if key else None
        return as_text(value, 200) if isinstance(value, str | int) else None


# A source's payloads nearly always have the same keys; this is on the intake path.
@lru_cache(maxsize=2_048)
def _own_id_key(keys: tuple[str, ...]) -> str | None:
    return guess_targets(keys).get("source_own_id")
