"""What sightings add to a contact, and what the contact is found by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from switchboard.kernel.addresses import national_part
from switchboard.people.likeness import blocking_keys_of
from switchboard.people.models import ContactRow, Key
from switchboard.people.normalising import NormalSighting, fold

LONGEST_WORD = 60
MOST_WORDS = 60


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """What a contact said to marketing on one channel, to be written when it differs from what is known."""

    contact_id: UUID
    channel: str
    is_granted: bool
    proof: str


def blank_row(contact_id: UUID) -> ContactRow:
    """A contact of whom nothing is known yet."""
    return ContactRow(contact_id, "", "", "", "", None, None, None, {}, None, None)


def fold_in(row: ContactRow, sightings: Iterable[NormalSighting]) -> ContactRow:
    """The contact after these sightings, oldest first.

    What is known stays: only empty columns are filled, the three parts of a name together. Custom fields are answers
    to a question asked again, so there the newest answer that is not empty counts.
    """
    for seen in sightings:
        named = row if row.name else seen
        row = replace(
            row,
            name=named.name,
            first_name=named.first_name,
            last_name=named.last_name,
            company=row.company or seen.company,
            country=row.country or seen.country or None,
            time_zone=row.time_zone or seen.time_zone or None,
            locale=row.locale or seen.locale or None,
            fields={**row.fields, **seen.fields} if seen.fields else row.fields,
        )
    return row


def changed_columns(before: ContactRow, after: ContactRow) -> list[str]:
    """Names of the columns in which they differ."""
    return [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]


def blocking_keys(row: ContactRow) -> tuple[str, str]:
    """The keys by which contacts who may be the same person are found: of the name, and of company and initials."""
    return blocking_keys_of(row.name, row.company)


def search_words(row: ContactRow, keys: Iterable[Key]) -> str:
    """The words a contact is found by: of the names, the company, and each address with its parts."""
    is_sum = row.name == f"{row.first_name} {row.last_name}"
    texts = [row.name, row.company] if is_sum else [row.name, row.first_name, row.last_name, row.company]
    words = dict.fromkeys(" ".join(map(fold, texts)).split())
    for kind, value in keys:
        words |= dict.fromkeys(_digits_of_phone(value) if kind == "phone" else fold(value).split())
    if len(words) > MOST_WORDS or max(map(len, words), default=0) > LONGEST_WORD:
        words = dict.fromkeys(list(dict.fromkeys([word[:LONGEST_WORD] for word in words]))[:MOST_WORDS])
    return " ".join(words)


def given_consents(contact_ids: Sequence[UUID | None], seen: Sequence[NormalSighting]) -> list[ConsentGiven]:
    """The last word of each contact on each channel.

    A yes counts for the channels whose addresses came with it, a no for all.
    """
    last: dict[tuple[UUID, str], ConsentGiven] = {}
    for contact_id, sighting in zip(contact_ids, seen, strict=True):
        if contact_id is None or sighting.consent is None:
            continue
        channels = {address.key[0] for address in sighting.addresses} if sighting.consent else {"email", "phone"}
        proof = sighting.consent_text or "As the source sent it"
        for channel in channels:
            last[contact_id, channel] = ConsentGiven(contact_id, channel, sighting.consent, proof)
    return [last[key] for key in sorted(last)]


def _digits_of_phone(value: str) -> list[str]:
    # People look a number up as they dial it at home, or by its end: it is found without the prefix of its country,
    # and by its last seven digits. Each of these words is one more entry of an index that nobody else shares.
    digits = value.removeprefix("+")
    return [digits, national_part(value), digits[-7:]]
