"""The pages of contacts: the list, one contact, and its forms."""

import csv
import io
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.errors import InvalidError, NotFoundError
from switchboard.kernel.http import path_id, see_other
from switchboard.kernel.spreadsheets import guard_formula
from switchboard.people import identities, merging, pages_merging, pages_segments, segments, service, suggesting, tags
from switchboard.people.errors import AddressTakenError
from switchboard.people.models import (
    IDENTITY_KINDS,
    Consent,
    Contact,
    ContactSummary,
    Identity,
    IdentityKind,
    Merge,
    Note,
    Sighting,
    Suggestion,
)
from switchboard.people.repository_timeline import OpenedLead
from switchboard.people.segment_models import MemberOf
from switchboard.people.timeline import TimelineItem, list_opened_leads, list_timeline

TIMELINE_ROWS = 30
MOST_EXPORTED = 100_000
EXPORTED_AT_ONCE = 1_000
_FORM_FIELDS = ("name", "first_name", "last_name", "company", "country", "time_zone", "locale")
_COLUMNS = (
    "id", "name", "first_name", "last_name", "company", "email", "phone", "country", "time_zone", "locale",
    "opted_out_at", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContactListPage:
    """Contacts, newest first, or those that a search found."""

    contacts: list[ContactSummary] = field(metadata={"help": "The rows."})
    query: str = field(metadata={"help": "What was searched for, empty for all."})
    tag: str = field(metadata={"help": "The tag that all of them have, empty for any."})
    newer_href: str = field(metadata={"help": "Address of the first rows, empty when these are they."})
    older_href: str = field(metadata={"help": "Address of the next rows, empty when there are none."})
    most_exported: int = field(metadata={"help": "How many contacts a file holds at most."})
    has_suggestions: bool = field(metadata={"help": "Whether there are contacts who may be one person."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One contact."""

    contact: Contact = field(metadata={"help": "Who it is."})
    identities: list[Identity] = field(metadata={"help": "Their addresses."})
    consents: list[Consent] = field(metadata={"help": "What they said to marketing, newest first."})
    notes: list[Note] = field(metadata={"help": "What members wrote, newest first."})
    leads: list[OpenedLead] = field(metadata={"help": "Leads they opened, newest first."})
    timeline: list[TimelineItem] = field(metadata={"help": "What happened, newest first."})
    older_href: str = field(metadata={"help": "Address of earlier events, empty when there are none."})
    suggestions: list[Suggestion] = field(metadata={"help": "Others who may be the same person."})
    tags: list[str] = field(metadata={"help": "Their tags, by name."})
    known_tags: list[str] = field(metadata={"help": "Tags that are on somebody, to choose from."})
    segments: list[MemberOf] = field(metadata={"help": "The segments and lists they are in."})
    merges: list[Merge] = field(metadata={"help": "Merges into this contact that can be undone."})
    kinds: tuple[str, ...] = field(metadata={"help": "Kinds of address that can be added."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field of the page's forms."})
    typed: dict[str, str] = field(metadata={"help": "What was typed into a form that was refused."})
    taken_by: str = field(metadata={"help": "Id of the contact who has the address that was refused, or empty."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class ContactFormPage:
    """The form of a new or a known contact."""

    contact_id: str = field(metadata={"help": "Whose form it is, empty for a new contact."})
    title: str = field(metadata={"help": "What the page is called."})
    typed: dict[str, str] = field(metadata={"help": "The fields as stored, or as typed when they were refused."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field."})


async def show_contacts(visit: Visit) -> Response:
    """The list, or what a search found."""
    query, tag, before = visit.query("q"), visit.query("tag"), visit.query_id("before")
    limit = service.PAGE_ROWS + 1
    if query:
        rows = await service.search_contacts(visit.tx, query, limit, before=before)
    elif tag:
        rows = await tags.list_tagged(visit.tx, visit.caller, tag, before=before, limit=limit)
    else:
        rows = await service.list_contacts(visit.tx, visit.caller, before=before, limit=limit)
    shown = rows[: service.PAGE_ROWS]
    keep = {"q": query} if query else {"tag": tag} if tag else {}
    context = ContactListPage(
        contacts=shown,
        query=query,
        tag="" if query else tag,
        newer_href=_href("/contacts", keep) if before else "",
        most_exported=MOST_EXPORTED,
        older_href=_href("/contacts", {**keep, "before": str(shown[-1].id)}) if len(rows) > len(shown) else "",
        has_suggestions=bool(await suggesting.list_suggestions(visit.tx, visit.caller, limit=1)),
        now=await visit.tx.now(),
    )
    return await visit.render("people/list.html", context, active="people")


async def export_contacts(visit: Visit) -> Response:
    """The contacts as CSV, newest first; cells that a spreadsheet could execute are guarded."""
    visit.caller.require("agent")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    before: UUID | None = None
    for _ in range(MOST_EXPORTED // EXPORTED_AT_ONCE):
        rows = await service.list_contacts(visit.tx, visit.caller, before=before, limit=EXPORTED_AT_ONCE)
        contacts = await service.load_contacts(visit.tx, [row.id for row in rows])
        for row in rows:
            writer.writerow(guard_formula(getattr(contacts[row.id], column)) for column in _COLUMNS)
        if len(rows) < EXPORTED_AT_ONCE:
            break
        before = rows[-1].id
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"', "Cache-Control": "no-store"}
    # Without the byte order mark Excel takes the file for the local encoding.
    return Response(text.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


async def show_contact(visit: Visit) -> Response:
    """One contact; the address of one that was merged away leads to the one that is kept."""
    asked = path_id(visit.request)
    contact = await service.access_contact(visit.tx, visit.caller, asked)
    if contact.id != asked:
        return see_other(f"/contacts/{contact.id}")
    return await _contact(visit, contact)


async def show_new(visit: Visit) -> Response:
    """The empty form."""
    visit.caller.require("agent")
    return await _form(visit, "", dict.fromkeys((*_FORM_FIELDS, "email", "phone"), ""), {})


async def create(visit: Visit) -> Response:
    """Add a contact, or go to the one who has that address."""
    typed = {name: visit.form.text(name) for name in (*_FORM_FIELDS, "email", "phone")}
    try:
        contact_id, is_new = await service.create_contact(visit.tx, visit.caller, _sighting(typed))
    except InvalidError as error:
        return await _form(visit, "", typed, error.by_field())
    return visit.done(
        f"/contacts/{contact_id}", "Contact added." if is_new else "They were known: this is the contact."
    )


async def show_edit(visit: Visit) -> Response:
    """The form of one contact."""
    visit.caller.require("agent")
    contact = await service.access_contact(visit.tx, visit.caller, path_id(visit.request))
    return await _form(visit, str(contact.id), {name: getattr(contact, name) or "" for name in _FORM_FIELDS}, {})


async def save(visit: Visit) -> Response:
    """Save one contact's own columns, or show what is wrong beside each field."""
    contact_id = path_id(visit.request)
    typed = {name: visit.form.text(name) for name in _FORM_FIELDS}
    try:
        await service.update_contact(visit.tx, visit.caller, contact_id, service.ContactForm(**typed))
    except InvalidError as error:
        return await _form(visit, str(contact_id), typed, error.by_field())
    return visit.done(f"/contacts/{contact_id}", "Contact saved.")


async def add_note(visit: Visit) -> Response:
    """Write a note."""
    contact_id, form = path_id(visit.request), visit.form
    body = form.text("body", longest=service.LONGEST_NOTE)
    try:
        await service.add_note(visit.tx, visit.caller, contact_id, body, is_call=form.checked("is_call"))
    except InvalidError as error:
        return await _refused(visit, contact_id, error, {"body": body})
    return visit.done(f"/contacts/{contact_id}", "Note added.")


async def opt_out(visit: Visit) -> Response:
    """End marketing to a contact."""
    visit.caller.require("agent")
    contact = await service.access_contact(visit.tx, visit.caller, path_id(visit.request))
    await service.opt_out(visit.tx, contact.id, visit.caller.actor, f"{visit.caller.name} noted it")
    return visit.done(f"/contacts/{contact.id}", "They get no marketing any more.")


async def opt_in(visit: Visit) -> Response:
    """Begin marketing to a contact again, with the proof."""
    contact_id, proof = path_id(visit.request), visit.form.text("proof")
    try:
        await service.opt_in(visit.tx, visit.caller, contact_id, proof)
    except InvalidError as error:
        return await _refused(visit, contact_id, error, {"proof": proof})
    return visit.done(f"/contacts/{contact_id}", "They get marketing again.")


async def add_address(visit: Visit) -> Response:
    """Add an address to a contact."""
    contact_id, text = path_id(visit.request), visit.form.text("value")
    kind = _kind(visit.form.text("kind"))
    try:
        await service.access_contact(visit.tx, visit.caller, contact_id)
        await identities.add_identity(visit.tx, visit.caller, contact_id, kind, text)
    except (InvalidError, AddressTakenError) as error:
        return await _refused(visit, contact_id, error, {"kind": kind, "value": text})
    return visit.done(f"/contacts/{contact_id}", "Address added.")


async def change_address(visit: Visit) -> Response:
    """Do one of the small things that can be done with an address."""
    contact_id, identity_id = path_id(visit.request), path_id(visit.request, "identity_id")
    change = {
        "remove": (identities.remove_identity, "Address removed."),
        "first": (identities.put_first, "Messages go to that address now."),
        "share": (identities.mark_shared, "Others may have that address too."),
        "own": (identities.mark_own, "That address is theirs alone."),
    }.get(visit.request.path_params["act"])
    if change is None:
        raise NotFoundError("There is no such page. Check the address.")
    act, toast = change
    await act(visit.tx, visit.caller, identity_id)
    return visit.done(f"/contacts/{contact_id}", toast)


async def add_tags(visit: Visit) -> Response:
    """Put tags on a contact, with commas between them."""
    visit.caller.require("agent")
    contact_id, text = path_id(visit.request), visit.form.text("tags")
    try:
        await service.access_contact(visit.tx, visit.caller, contact_id)
        await tags.add_tags(visit.tx, visit.caller, [contact_id], text.split(","))
    except InvalidError as error:
        return await _refused(visit, contact_id, error, {"tags": text})
    return visit.done(f"/contacts/{contact_id}", "Tagged.")


async def remove_tag(visit: Visit) -> Response:
    """Take one tag from a contact."""
    visit.caller.require("agent")
    contact_id = path_id(visit.request)
    await service.access_contact(visit.tx, visit.caller, contact_id)
    await tags.remove_tags(visit.tx, visit.caller, [contact_id], [visit.form.text("tag")])
    return visit.done(f"/contacts/{contact_id}", "Tag removed.")


async def split_address(visit: Visit) -> Response:
    """Make an address a contact of its own."""
    identity_id = path_id(visit.request, "identity_id")
    new_id = await identities.split_identity(visit.tx, visit.caller, identity_id, visit.form.text("name"))
    return visit.done(f"/contacts/{new_id}", "They are two contacts now; this is the new one.")


async def _refused(
    visit: Visit, contact_id: UUID, error: InvalidError | AddressTakenError, typed: dict[str, str]
) -> Response:
    contact = await service.access_contact(visit.tx, visit.caller, contact_id)
    taken_by = str(error.data.get("contact_id", ""))
    return await _contact(visit, contact, errors=error.by_field("value"), typed=typed, taken_by=taken_by)


async def _contact(
    visit: Visit,
    contact: Contact,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    taken_by: str = "",
) -> Response:
    tx = visit.tx
    items = await list_timeline(tx, contact.id, visit.query_id("before"), TIMELINE_ROWS + 1)
    shown = items[:TIMELINE_ROWS]
    older = {"before": str(shown[-1].id)} if len(items) > len(shown) else None
    context = ContactPage(
        contact=contact,
        identities=await service.list_identities(tx, contact.id),
        consents=await service.list_consents(tx, contact.id),
        notes=await service.list_notes(tx, contact.id),
        leads=await list_opened_leads(tx, contact.id),
        timeline=shown,
        older_href=_href(f"/contacts/{contact.id}", older) if older else "",
        suggestions=await suggesting.list_suggestions_of(tx, contact.id),
        tags=await tags.list_tags(tx, contact.id),
        known_tags=await tags.list_known_tags(tx, visit.caller),
        segments=await segments.list_segments_of(tx, contact.id),
        merges=await merging.list_merges(tx, contact.id),
        kinds=IDENTITY_KINDS,
        errors=errors or {},
        typed=typed or {},
        taken_by=taken_by,
        now=await tx.now(),
    )
    return await visit.render("people/contact.html", context, active="people", status=422 if errors else 200)


async def _form(visit: Visit, contact_id: str, typed: dict[str, str], errors: dict[str, str]) -> Response:
    title = "Edit contact" if contact_id else "New contact"
    context = ContactFormPage(contact_id, title, typed, errors)
    return await visit.render("people/form.html", context, active="people", status=422 if errors else 200)


def _sighting(typed: dict[str, str]) -> Sighting:
    return Sighting(
        name=typed["name"],
        first_name=typed["first_name"],
        last_name=typed["last_name"],
        email=typed["email"],
        phone=typed["phone"],
        company=typed["company"],
        country=typed["country"],
        time_zone=typed["time_zone"],
        locale=typed["locale"],
    )


def _kind(text: str) -> IdentityKind:
    return next((kind for kind in IDENTITY_KINDS if kind == text), "email")


def _href(path: str, parameters: dict[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path


routes = [
    Route("/contacts", page(show_contacts), methods=["GET"]),
    Route("/contacts", action(create), methods=["POST"]),
    Route("/contacts.csv", page(export_contacts), methods=["GET"]),
    Route("/contacts/new", page(show_new), methods=["GET"]),
    Route("/contacts/{id}", page(show_contact), methods=["GET"]),
    Route("/contacts/{id}/edit", page(show_edit), methods=["GET"]),
    Route("/contacts/{id}/edit", action(save), methods=["POST"]),
    Route("/contacts/{id}/notes", action(add_note), methods=["POST"]),
    Route("/contacts/{id}/opt-out", action(opt_out), methods=["POST"]),
    Route("/contacts/{id}/opt-in", action(opt_in), methods=["POST"]),
    Route("/contacts/{id}/addresses", action(add_address), methods=["POST"]),
    Route("/contacts/{id}/addresses/{identity_id}/split", action(split_address), methods=["POST"]),
    Route("/contacts/{id}/addresses/{identity_id}/{act}", action(change_address), methods=["POST"]),
    Route("/contacts/{id}/tags", action(add_tags), methods=["POST"]),
    Route("/contacts/{id}/tags/remove", action(remove_tag), methods=["POST"]),
    *pages_merging.routes,
    *pages_segments.routes,
]
