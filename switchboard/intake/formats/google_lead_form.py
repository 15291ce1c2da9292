"""Google Ads lead forms: `user_column_data`, with the key that the advertiser chose inside the payload."""

from collections.abc import Mapping

from switchboard.intake.formats.answers import AnswersFormat, Reading, missing
from switchboard.intake.formats.base import InboundRequest
from switchboard.intake.formats.bodies import read_one
from switchboard.intake.formats.coercion import as_text
from switchboard.intake.formats.signatures import require_same, require_secret
from switchboard.intake.mapping import FieldMapping, Scalar

_KEPT_IDS = ("gcl_id", "form_id", "campaign_id", "adgroup_id", "creative_id", "asset_group_id", "lead_stage")


class GoogleLeadForm(AnswersFormat):
    """The webhook of a Google Ads lead form asset."""

    name = "google_lead_form"
    title = "Google lead form"
    secret_use = "required"  # noqa: S105 - it says whether there is a secret.

    def read(self, payload: Mapping[str, object]) -> Reading:
        """Answers by column id (`EMAIL`), or by column name where Google sends no id."""
        columns = payload.get("user_column_data")
        if not isinstance(columns, list):
            raise missing("user_column_data", "The answers are not there; Google sends them as a list.")
        answers = {
            str(column.get("column_id") or column.get("column_name") or ""): column.get("string_value")
            for column in columns
            if isinstance(column, Mapping)
        }
        kept = {key: payload[key] for key in _KEPT_IDS if key in payload}
        return Reading(answers | kept, _facts(payload))

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """Google's `lead_id`, unique across all forms."""
        value = payload.get("lead_id") if isinstance(payload, Mapping) else None
        return as_text(value, 200) if isinstance(value, str | int) else None

    def verify(self, request: InboundRequest, secret: str) -> None:
        """Compare `google_key` with the key of this source."""
        require_secret(secret, "the key you entered at Google")
        payload = read_one(request.body, request.headers.get("content-type", "")).value
        given = payload.get("google_key") if isinstance(payload, dict) else None
        require_same(given if isinstance(given, str) else "", secret, "The google_key")


def _facts(payload: Mapping[str, object]) -> dict[str, Scalar | None]:
    own_id, test, submitted = payload.get("lead_id"), payload.get("is_test"), payload.get("lead_submit_time")
    return {
        "source_own_id": own_id if isinstance(own_id, str | int) else None,
        "is_test": test if isinstance(test, bool) else None,
        "occurred_at": submitted if isinstance(submitted, str) else None,
        "utm_source": "google",
        "utm_medium": "cpc",
    }
