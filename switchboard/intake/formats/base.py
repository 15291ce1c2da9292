"""What a format must do, and the shape every format's payloads are read into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from switchboard.intake.formats.bodies import read_body
from switchboard.intake.formats.payloads import DEFAULT_LIMITS, Limits, Payload
from switchboard.intake.mapping import FieldMapping, Scalar

SecretUse = Literal["none", "optional", "required"]


class Utm(msgspec.Struct, frozen=True):
    """Where the visitor came from, as the five UTM parameters said."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    term: str | None = None
    content: str | None = None


class Parsed(msgspec.Struct, frozen=True):
    """What one signal says, in our words: text as received with outer blanks taken off, never normalised.

    `value_minor` is in minor units of `currency` (two decimals assumed when that is None). `source_own_id` is
    the sender's unique id of this submission. `details_id` is set when the payload only announces a lead, and
    the vendor must be asked for its details under that id. `occurred_at` is in UTC. `fields` holds at most
    100 further answers under their dotted paths, texts at most 2,000 characters long.
    """

    kind: Literal["lead"] = "lead"
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    message: str | None = None
    value_minor: int | None = None
    currency: str | None = None
    stage: str | None = None
    owner_hint: str | None = None
    utm: Utm = Utm()
    page_url: str | None = None
    consent: bool | None = None
    consent_text: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    country: str | None = None
    fields: Mapping[str, Scalar] = {}
    source_own_id: str | None = None
    details_id: str | None = None
    occurred_at: datetime | None = None
    is_test: bool = False
    junk_reason: str | None = None


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One request as it reached us: header names in lower case, `url` as the sender wrote it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Format(Protocol):
    """One sender's way of writing signals. Formats have no state and are shared between threads."""

    name: str
    title: str
    secret_use: SecretUse = "none"  # noqa: S105 - it says whether there is a secret.

    def parse(self, payload: object, mapping: FieldMapping | None = None) -> Parsed:
        """Read one decoded payload. Raises InvalidError naming each field that is wrong."""
        ...

    def suggested_mapping(self, payload: object) -> dict[str, object]:
        """A mapping, as JSON, that a person can correct: what we would read from where in this payload."""
        ...

    def split(self, body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Payload]:
        """One payload per signal, as received. Raises what `read_body` raises."""
        return read_body(body, content_type, limits)

    # The methods below have a body for the formats that carry no id, are not signed and shake no hands.

    def find_own_id(self, payload: object, mapping: FieldMapping | None = None) -> str | None:  # noqa: ARG002
        """The sender's unique id of this submission, cheap enough for the intake path; never raises."""
        return None

    def verify(self, request: InboundRequest, secret: str) -> None:  # noqa: ARG002
        """Raise UnauthenticatedError unless `request` was made by someone who holds `secret`."""
        return

    def handshake(self, query: Mapping[str, str], verify_token: str) -> str | None:  # noqa: ARG002
        """The text to answer a vendor's GET with before it sends signals; None when it asks no such thing."""
        return None
