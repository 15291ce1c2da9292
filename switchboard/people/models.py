"""What the people room speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from switchboard.kernel.errors import Problem
from switchboard.kernel.expressions import FieldType

IdentityKind = Literal["email", "phone", "handle"]
Key = tuple[str, str]
"""Kind and normal form of an address, such as `("email", "ann@x.example")`."""

# In this order an address decides whose a sighting is.
IDENTITY_KINDS: tuple[IdentityKind, ...] = ("email", "phone", "handle")

CONTACT_FIELDS: Mapping[str, FieldType] = {
    "id": FieldType.STRING,
    "name": FieldType.STRING,
    "first_name": FieldType.STRING,
    "last_name": FieldType.STRING,
    "company": FieldType.STRING,
    "email": FieldType.STRING,
    "phone": FieldType.STRING,
    "country": FieldType.STRING,
    "time_zone": FieldType.STRING,
    "locale": FieldType.STRING,
    "fields": FieldType.STRING_MAP,
    "opted_out": FieldType.BOOL,
}


class Sighting(msgspec.Struct, frozen=True):
    """What one signal says about a person, as it was written; nothing here is normalised yet.

    `consent` is what the person said to marketing, None when they were not asked; `consent_text` is the wording.
    """

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    country: str = ""
    time_zone: str = ""
    locale: str = ""
    fields: Mapping[str, object] = {}
    consent: bool | None = None
    consent_text: str = ""
    handle: str = ""


class Recognised(msgspec.Struct, frozen=True):
    """Whose sighting it was. `contact_id` is None when it names nobody; `problems` says what could not be used."""

    contact_id: UUID | None
    is_new: bool
    matched_by: tuple[str, ...]
    problems: tuple[Problem, ...]


class Contact(msgspec.Struct, frozen=True):
    """A person. `email` and `phone` are the first of theirs, in normal form, empty when there is none."""

    id: UUID
    name: str
    first_name: str
    last_name: str
    company: str
    email: str
    phone: str
    time_zone: str | None
    country: str | None
    locale: str | None
    fields: dict[str, object]
    opted_out_at: datetime | None
    created_at: datetime

    @property
    def title(self) -> str:
        """What to call them on a page: the name, else an address, else that they have neither."""
        return self.name or self.email or self.phone or "Nameless contact"


class Recipient(msgspec.Struct, frozen=True):
    """A contact as letters, and the rules about sending them, see it.

    `email`, `phone` and `fields` as those of a contact; empty where nobody asked for them.
    """

    id: UUID
    name: str
    first_name: str
    last_name: str
    company: str
    time_zone: str | None
    country: str | None
    locale: str | None
    opted_out_at: datetime | None
    email: str = ""
    phone: str = ""
    fields: dict[str, object] = {}


class ContactRow(msgspec.Struct, frozen=True):
    """The columns of a contact that recognition and merging change, with where it went if it was merged away."""

    id: UUID
    name: str
    first_name: str
    last_name: str
    company: str
    time_zone: str | None
    country: str | None
    locale: str | None
    fields: dict[str, object]
    opted_out_at: datetime | None
    merged_into: UUID | None


@dataclass(frozen=True, slots=True)
class Identity:
    """One address of a contact; `is_shared` when several people are known to use it."""

    id: UUID
    contact_id: UUID
    kind: IdentityKind
    value: str
    raw: str
    is_shared: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """What a contact said at one time to one channel and purpose."""

    id: UUID
    contact_id: UUID
    channel: str
    purpose: str
    is_granted: bool
    proof: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """What a member wrote about a contact; `is_call` when it records a call they made."""

    id: UUID
    contact_id: UUID
    author_id: UUID
    body: str
    is_call: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground for or against two contacts being one person; `points` are added to the score.

    `kind` and `value` name the address it rests on, empty when it rests on none.
    """

    text: str
    points: int
    kind: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two contacts who may be one person, with a score from 0 to 100 and its reasons."""

    id: UUID
    first_id: UUID
    second_id: UUID
    first_title: str
    second_title: str
    first_detail: str
    second_detail: str
    score: int
    reasons: Sequence[Reason]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge, in force until `undone_at`."""

    id: UUID
    kept_id: UUID
    lost_id: UUID
    merged_by: UUID | None
    merged_at: datetime
    undone_at: datetime | None
    moved: dict[str, object]


@dataclass(frozen=True, slots=True)
class ContactSummary:
    """A contact as a row of a list."""

    id: UUID
    name: str
    company: str
    email: str
    phone: str
    opted_out_at: datetime | None
    created_at: datetime

    @property
    def title(self) -> str:
        """What to call them on a page."""
        return self.name or self.email or self.phone or "Nameless contact"

    @classmethod
    def of(cls, contact: Contact) -> "ContactSummary":
        """The row of a whole contact."""
        return cls(
            contact.id,
            contact.name,
            contact.company,
            contact.email,
            contact.phone,
            contact.opted_out_at,
            contact.created_at,
        )
