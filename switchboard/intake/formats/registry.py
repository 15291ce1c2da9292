"""All formats by name."""

from collections.abc import Mapping
from types import MappingProxyType

from switchboard.intake.formats.base import Format
from switchboard.intake.formats.facebook import Facebook
from switchboard.intake.formats.generic import Generic
from switchboard.intake.formats.google_lead_form import GoogleLeadForm
from switchboard.intake.formats.hubspot import HubSpot
from switchboard.intake.formats.leadsquared import LeadSquared
from switchboard.intake.formats.typeform import Typeform
from switchboard.intake.formats.webform import WebForm
from switchboard.kernel.errors import InvalidError, Problem

_ALL: tuple[Format, ...] = (
    Generic(),
    WebForm(),
    Facebook(),
    GoogleLeadForm(),
    HubSpot(),
    Typeform(),
    LeadSquared(),
)
FORMATS: Mapping[str, Format] = MappingProxyType({format_.name: format_ for format_ in _ALL})


def get_format(name: str) -> Format:
    """The format of that name. Raises InvalidError that lists those there are."""
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise InvalidError("There is no such format.", problems=[Problem("format", f"Use one of {known}.")])
    return FORMATS[name]
