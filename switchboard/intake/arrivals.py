"""Requests that need nothing but their commit: small, plain, and to a source that was looked up a moment ago."""

from collections.abc import Mapping
from typing import NamedTuple

from switchboard.intake.formats.bodies import media_type
from switchboard.intake.formats.forms import FORM_TYPE, MULTIPART_TYPE
from switchboard.intake.models import Door

# Such a body arrives in one or two pieces, and is held by a connection before anybody has looked at it.
MOST_BYTES = 64 * 1024
_FORMS = frozenset({FORM_TYPE, MULTIPART_TYPE})


class Arrival(NamedTuple):
    """The head of such a request. `started` is the instant it was there, by the process's own clock."""

    door: Door
    content_type: str
    idempotency_key: str
    started: float


def find_arrival(door: Door, headers: Mapping[bytes, bytes], started: float) -> Arrival | None:
    """What the head says, by its names in lower case; None for what is signed, long, or a browser's form."""
    length = headers.get(b"content-length", b"")
    if needs_signature(door) or not length.isdigit() or int(length) > MOST_BYTES:
        return None
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if is_browser_form(content_type, headers.get(b"accept", b"").decode("latin-1")):
        return None
    return Arrival(door, content_type, headers.get(b"idempotency-key", b"").decode("latin-1"), started)


def needs_signature(door: Door) -> bool:
    """Whether what is sent here has to be signed."""
    return bool(door.signing_secret) or door.format.secret_use == "required"  # noqa: S105 - whether there is one.


def is_browser_form(content_type: str, accept: str) -> bool:
    """Whether a person has sent a form and looks at a page next."""
    return "text/html" in accept and media_type(content_type) in _FORMS
