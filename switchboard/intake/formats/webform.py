"""A form on somebody's own web site, posted straight to us by the browser."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from switchboard.intake.formats.answers import AnswersFormat, Reading, assemble, require_mapping
from switchboard.intake.formats.base import Parsed
from switchboard.intake.mapping import DEFAULT_MAPPING, FieldMapping

_REDIRECT = "redirect"


class WebForm(AnswersFormat):
    """Form fields, with a trap field for robots and a page to go to afterwards."""

    name = "webform"
    title = "Web form"

    def read(self, payload: Mapping[str, object]) -> Reading:
        """Every field that is an answer; the redirect is for us."""
        return Reading({name: value for name, value in payload.items() if name != _REDIRECT})

    def parse(self, payload: object, mapping: FieldMapping | None = None) -> Parsed:
        """As every format; a filled trap field makes the lead junk instead of refusing it, so robots learn nothing."""
        mapping = mapping or DEFAULT_MAPPING
        form = require_mapping(payload, "")
        reading = self.read({name: value for name, value in form.items() if name != mapping.honeypot})
        if form.get(mapping.honeypot):
            reading = replace(reading, junk_reason=f"The hidden field `{mapping.honeypot}` was filled in.")
        return assemble(reading, mapping)


def find_redirect(payload: object, allowed_hosts: Collection[str]) -> str | None:
    """Where the browser wants to go after the form; None unless it is a page of one of `allowed_hosts`."""
    target = payload.get(_REDIRECT) if isinstance(payload, Mapping) else None
    if not isinstance(target, str) or len(target) > 2_000 or not target.isprintable() or "\\" in target:
        return None
    try:
        parts = urlsplit(target)
        host = parts.hostname
    except ValueError:
        return None
    is_page = parts.scheme in {"http", "https"} and "@" not in parts.netloc
    return target if is_page and host in allowed_hosts else None
