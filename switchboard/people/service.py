"""Contacts: finding, reading and changing them. Recognition, merging and suggestions have modules of their own."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from switchboard.accounts.models import Caller
from switchboard.accounts.service import get_workspace
from switchboard.kernel import events
from switchboard.kernel.addresses import Rejected, parse_email
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.people import repository, repository_consents, repository_search, suggesting
from switchboard.people.drafts import ConsentGiven, changed_columns
from switchboard.people.errors import ContactNotFoundError
from switchboard.people.models import Consent, Contact, ContactRow, ContactSummary, Identity, Note, Recipient, Sighting
from switchboard.people.normalising import fold, normalise, tidy
from switchboard.people.recognition import recognise, recognise_seen, refresh_words

__all__ = [
    "ContactForm",
    "access_contact",
    "add_note",
    "contact_facts",
    "create_contact",
    "find_contact_by_email",
    "find_contact_ids",
    "list_consents",
    "list_contacts",
    "list_identities",
    "list_notes",
    "load_contacts",
    "load_recipients",
    "lock_contacts",
    "opt_in",
    "opt_out",
    "recognise",
    "recognise_seen",
    "search_contacts",
    "set_custom_field",
    "update_contact",
]

PAGE_ROWS = 50
CHANNELS = ("email", "phone")
LONGEST_NOTE = 20_000
SHORTEST_SEARCH = 2
MOST_SEARCH_WORDS = 8
MOST_ALIKE = 20
_DIALLED = re.compile(r"[+(]*[0-9][0-9 ()./-]{2,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContactForm:
    """A contact's own columns as a person typed them; empty texts where nothing is known."""

    name: str
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    country: str = ""
    time_zone: str = ""
    locale: str = ""


async def load_contacts(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Contact]:
    """These contacts by id, whether merged or not; those of strangers are missing."""
    return await repository.load_contacts(tx, contact_ids) if contact_ids else {}


async def load_recipients(tx: Tx, contact_ids: Collection[UUID], asked: Collection[str]) -> dict[UUID, Recipient]:
    """The same, of what is slow to find only what is asked for among `email`, `phone` and `fields`."""
    found = await repository.load_recipients(tx, contact_ids, asked) if contact_ids else []
    return {recipient.id: recipient for recipient in found}


async def access_contact(tx: Tx, caller: Caller, contact_id: UUID) -> Contact:
    """The contact, or the one it was merged into; raises ContactNotFoundError."""
    caller.require("viewer")
    contact = await repository.find_contact(tx, contact_id)
    if contact is None:
        raise ContactNotFoundError
    return contact


async def find_contact_by_email(tx: Tx, address: str) -> UUID | None:
    """The one contact whom an e-mail address identifies; None for unknown and for shared ones."""
    value = parse_email(address)
    if isinstance(value, Rejected):
        return None
    return (await repository.find_known(tx, [("email", value)])).owners.get(("email", value))


async def list_contacts(
    tx: Tx, caller: Caller, *, before: UUID | None = None, limit: int = PAGE_ROWS
) -> list[ContactSummary]:
    """Contacts, newest first, those older than the contact `before`."""
    caller.require("viewer")
    return await repository.list_contacts(tx, before, limit)


async def search_contacts(
    tx: Tx, text: str, limit: int = PAGE_ROWS, *, before: UUID | None = None
) -> list[ContactSummary]:
    """The contacts that `find_contact_ids` finds, in its order, with what a list shows of them."""
    found = await find_contact_ids(tx, text, limit, before=before)
    contacts = await load_contacts(tx, found)
    return [ContactSummary.of(contacts[contact_id]) for contact_id in found if contact_id in contacts]


async def find_contact_ids(tx: Tx, text: str, limit: int, *, before: UUID | None = None) -> list[UUID]:
    """Contacts with words that begin with those of `text`, newest first.

    Words are of names, company and addresses; a phone number is also found without its country's prefix. When there
    are none, contacts whose words are nearly those, the nearest first, where Postgres has pg_trgm.
    """
    words = _searched_words(text)
    if not words:
        return []
    found = await repository_search.find_by_words(tx, words, before, limit)
    if not found and before is None:
        found = await repository_search.find_by_likeness(tx, " ".join(words), min(limit, MOST_ALIKE))
    return found


def contact_facts(contact: Contact | Recipient) -> dict[str, object]:
    """A contact as conditions and templates see it; the names are those of CONTACT_FIELDS."""
    return {
        "id": str(contact.id),
        "name": contact.name,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "company": contact.company,
        "email": contact.email,
        "phone": contact.phone,
        "country": contact.country or "",
        "time_zone": contact.time_zone or "",
        "locale": contact.locale or "",
        "fields": contact.fields,
        "opted_out": contact.opted_out_at is not None,
    }


async def create_contact(tx: Tx, caller: Caller, sighting: Sighting) -> tuple[UUID, bool]:
    """Add a contact by hand; the id, and False when an address of theirs is known: then that contact is extended.

    Raises InvalidError with each field that is wrong.
    """
    caller.require("agent")
    region = (await get_workspace(tx)).default_region
    normal = normalise(sighting, region)
    problems = list(normal.problems)
    if not normal.names_somebody:
        problems.append(Problem("name", "give a name, an e-mail address or a phone number"))
    if problems:
        raise InvalidError("This contact cannot be saved as it is.", problems=problems)
    (found,) = await recognise(tx, [sighting], region, [caller.actor])
    if found.contact_id is None:
        raise ContactNotFoundError
    return found.contact_id, found.is_new


async def update_contact(tx: Tx, caller: Caller, contact_id: UUID, form: ContactForm) -> None:
    """Write a contact's own columns; raises ContactNotFoundError, InvalidError with each field that is wrong."""
    caller.require("agent")
    before = await lock_contact(tx, contact_id)
    after = _after_form(before, form)
    columns = changed_columns(before, after)
    if not columns:
        return
    await repository.update_contacts(tx, [after])
    await refresh_words(tx, [after])
    await suggesting.enqueue(tx, [contact_id])
    data = {"fields": columns}
    await events.append(tx, [Event("contact.updated", contact_id, contact_id, actor=caller.actor, data=data)])


async def set_custom_field(tx: Tx, contact_ids: Sequence[UUID], name: str, value: str, actor: Actor) -> None:
    """Write one custom field of many contacts; the merged, and those that have the value already, stay as they are."""
    rows = await repository.lock_rows(tx, contact_ids)
    differing = [row for row in rows.values() if row.merged_into is None and row.fields.get(name) != value]
    if not differing:
        return
    await repository.update_contacts(tx, [replace(row, fields={**row.fields, name: value}) for row in differing])
    data = {"fields": [f"fields.{name}"]}
    await events.append(tx, [Event("contact.updated", row.id, row.id, actor=actor, data=data) for row in differing])


async def lock_contact(tx: Tx, contact_id: UUID) -> ContactRow:
    """A contact that is not merged away, held against changes by others; raises ContactNotFoundError."""
    row = (await repository.lock_rows(tx, [contact_id])).get(contact_id)
    if row is None or row.merged_into is not None:
        raise ContactNotFoundError
    return row


async def lock_contacts(tx: Tx, contact_ids: Collection[UUID]) -> None:
    """Hold contacts against changes by others until the transaction ends; merged ones too."""
    await repository.lock_rows(tx, contact_ids)


async def list_identities(tx: Tx, contact_id: UUID) -> list[Identity]:
    """A contact's addresses, the first of a kind first."""
    return await repository.list_identities(tx, [contact_id])


async def opt_out(tx: Tx, contact_id: UUID, actor: Actor, proof: str) -> None:
    """A contact wants no marketing on any channel; `proof` says how they said so.

    Safe to repeat; they have opted out since the last time.
    """
    row = (await repository.lock_rows(tx, [contact_id])).get(contact_id)
    if row is not None and row.merged_into is not None:
        contact_id = row.merged_into
        row = (await repository.lock_rows(tx, [contact_id])).get(contact_id)
    if row is None:
        raise ContactNotFoundError
    refusals = [ConsentGiven(contact_id, channel, False, proof) for channel in CHANNELS]
    await repository_consents.insert_consents(tx, refusals, is_repeated=True)
    await repository.update_contacts(tx, [replace(row, opted_out_at=await tx.now())])
    if row.opted_out_at is None:
        await events.append(tx, [Event("contact.opted_out", contact_id, contact_id, actor=actor)])


async def opt_in(tx: Tx, caller: Caller, contact_id: UUID, proof: str) -> None:
    """A contact wants marketing again; `proof` says how they said so. Raises InvalidError without one."""
    caller.require("agent")
    if not proof.strip():
        raise InvalidError("Say how they agreed.", problems=[Problem("proof", "fill this in")])
    row = await lock_contact(tx, contact_id)
    given = [ConsentGiven(contact_id, channel, True, proof.strip()) for channel in CHANNELS]
    await repository_consents.insert_consents(tx, given)
    await repository.update_contacts(tx, [replace(row, opted_out_at=None)])
    await events.append(tx, [Event("contact.opted_in", contact_id, contact_id, actor=caller.actor)])


async def list_consents(tx: Tx, contact_id: UUID) -> list[Consent]:
    """All that a contact said, newest first."""
    return await repository_consents.list_consents(tx, [contact_id])


async def add_note(tx: Tx, caller: Caller, contact_id: UUID, body: str, *, is_call: bool = False) -> UUID:
    """Write a note about a contact; `is_call` when it records a call that was made.

    The event note.added carries `note_id` and `is_call`. Raises ContactNotFoundError, InvalidError.
    """
    caller.require("agent")
    text = body.strip().replace("\x00", "")
    if not 1 <= len(text) <= LONGEST_NOTE:
        problem = Problem("body", f"write something, at most {LONGEST_NOTE} characters")
        raise InvalidError("This note cannot be saved.", problems=[problem])
    await lock_contact(tx, contact_id)
    note = Note(new_id(), contact_id, caller.user_id or caller.workspace_id, text, is_call, await tx.now())
    await repository_consents.insert_note(tx, note)
    data = {"note_id": note.id, "is_call": is_call}
    await events.append(tx, [Event("note.added", note.id, contact_id, actor=caller.actor, data=data)])
    return note.id


async def list_notes(tx: Tx, contact_id: UUID, limit: int = PAGE_ROWS) -> list[Note]:
    """A contact's notes, newest first."""
    return await repository_consents.list_notes(tx, contact_id, limit)


def _searched_words(text: str) -> Sequence[str]:
    if _DIALLED.fullmatch(text.strip()):
        # A number is kept as one word without blanks, signs and leading zeros, however it is typed.
        text = "".join(filter(str.isdecimal, text)).lstrip("0")
    words = list(dict.fromkeys(fold(text).split()))
    # One lone letter begins a word of nearly everybody; beside others it narrows the search.
    is_enough = any(len(word) >= SHORTEST_SEARCH or not word.isascii() for word in words)
    return words[:MOST_SEARCH_WORDS] if is_enough else []


def _after_form(before: ContactRow, form: ContactForm) -> ContactRow:
    sighting = Sighting(
        name=form.name,
        first_name=form.first_name,
        last_name=form.last_name,
        company=form.company,
        country=form.country,
        time_zone=form.time_zone,
        locale=form.locale,
    )
    normal = normalise(sighting, "")
    if normal.problems:
        raise InvalidError("This contact cannot be saved as it is.", problems=normal.problems)
    return replace(
        before,
        name=tidy(form.name) or normal.name,
        first_name=normal.first_name,
        last_name=normal.last_name,
        company=normal.company,
        country=normal.country or None,
        time_zone=normal.time_zone or None,
        locale=normal.locale or None,
    )
