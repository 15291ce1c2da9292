"""What a letter may speak of, and believable values of it for checks and previews."""

from collections.abc import Mapping
from uuid import UUID

from switchboard.accounts.models import Caller, Workspace
from switchboard.people.models import CONTACT_FIELDS, Contact
from switchboard.people.service import contact_facts

_PREVIEW_LINK = "https://example.org/unsubscribe"

_CONTACT: Mapping[str, object] = {
    **dict.fromkeys(CONTACT_FIELDS, ""),
    "id": str(UUID(int=0)),
    "name": "Ada Lovelace",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "company": "Analytical Engines",
    "email": "ada@example.org",
    "phone": "+442071234567",
    "country": "GB",
    "time_zone": "Europe/London",
    "locale": "en",
    "fields": {},
    "opted_out": False,
}
_LEAD: Mapping[str, object] = {
    "id": str(UUID(int=0)),
    "title": "A new engine",
    "stage": "new",
    "outcome": "",
    "owner": "olga@example.org",
    "source": "Website",
    "value": 120_000,
    "currency": "EUR",
    "signals": 1,
    "junk": False,
    "fields": {},
    "utm": {},
}

# Every name that a template may use; an empty mapping takes any name.
LETTER_VARIABLES: Mapping[str, object] = {
    "contact": _CONTACT,
    "lead": _LEAD,
    "source": {"id": str(UUID(int=0)), "name": "Website"},
    "owner": {"name": "Olga Owner", "email": "olga@example.org"},
    "workspace": {"name": "Acme", "email": "hello@example.org"},
    "unsubscribe_url": _PREVIEW_LINK,
}


def preview_variables(workspace: Workspace, caller: Caller, contact: Contact | None) -> dict[str, object]:
    """Variables for looking at a template: this contact, or an invented one, with the caller as owner."""
    return {
        **LETTER_VARIABLES,
        "contact": contact_facts(contact) if contact else _CONTACT,
        "owner": {"name": caller.name, "email": workspace.mail_from},
        "workspace": {"name": workspace.name, "email": workspace.mail_from},
    }
