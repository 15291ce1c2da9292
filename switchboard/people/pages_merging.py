"""The pages on which contacts are made one, and kept apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.errors import NotFoundError
from switchboard.kernel.http import path_id
from switchboard.people import identities, merging, service, suggesting
from switchboard.people.merging import ContactHolder
from switchboard.people.models import Contact, ContactSummary, Suggestion
from switchboard.people.previewing import MergePreview, preview

PAGE_ROWS = 50
MOST_CHOICES = 20


@dataclass(frozen=True, slots=True)
class MergePage:
    """Two contacts side by side, and the one that will remain."""

    preview: MergePreview = field(metadata={"help": "Both contacts, the result, and how many rows of each kind move."})


@dataclass(frozen=True, slots=True)
class MergeChoicePage:
    """Finding the other contact of a merge."""

    contact: Contact = field(metadata={"help": "The contact that will be kept."})
    query: str = field(metadata={"help": "What was searched for."})
    choices: list[ContactSummary] = field(metadata={"help": "Others whom the search found."})
    suggestions: list[Suggestion] = field(metadata={"help": "Others who may be the same person."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class SuggestionsPage:
    """Contacts who may be one person, the surest first."""

    suggestions: list[Suggestion] = field(metadata={"help": "The rows."})
    older_href: str = field(metadata={"help": "Address of the next rows, empty when there are none."})
    is_first: bool = field(metadata={"help": "Whether these are the first rows."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_choice(visit: Visit) -> Response:
    """Search for the contact to merge into this one."""
    visit.caller.require("agent")
    contact = await service.access_contact(visit.tx, visit.caller, path_id(visit.request))
    query = visit.query("q")
    found = await service.search_contacts(visit.tx, query, MOST_CHOICES) if query else []
    context = MergeChoicePage(
        contact=contact,
        query=query,
        choices=[row for row in found if row.id != contact.id],
        suggestions=await suggesting.list_suggestions_of(visit.tx, contact.id),
        now=await visit.tx.now(),
    )
    return await visit.render("people/merge_choice.html", context, active="people")


async def show_merge(visit: Visit) -> Response:
    """What a merge would do."""
    kept_id, lost_id = path_id(visit.request), path_id(visit.request, "other_id")
    found = await preview(visit.tx, visit.caller, kept_id, lost_id, _holders(visit))
    return await visit.render("people/merge.html", MergePage(found), active="people")


async def merge(visit: Visit) -> Response:
    """Make one contact of two."""
    kept_id, lost_id = path_id(visit.request), path_id(visit.request, "other_id")
    merge_id = await merging.merge(visit.tx, visit.caller, kept_id, lost_id, _holders(visit))
    return visit.done(f"/contacts/{kept_id}", "The two are one contact now.", undo=f"/merges/{merge_id}/undo")


async def undo(visit: Visit) -> Response:
    """Make two contacts of one again."""
    done = await merging.undo(visit.tx, visit.caller, path_id(visit.request), _holders(visit))
    return visit.done(f"/contacts/{done.kept_id}", "The merge is undone: they are two contacts again.")


async def show_suggestions(visit: Visit) -> Response:
    """Contacts who may be one person."""
    after = _cursor(visit.query("after"))
    rows = await suggesting.list_suggestions(visit.tx, visit.caller, after, PAGE_ROWS + 1)
    shown = rows[:PAGE_ROWS]
    context = SuggestionsPage(
        suggestions=shown,
        older_href=f"/suggestions?after={shown[-1].score}-{shown[-1].id}" if len(rows) > len(shown) else "",
        is_first=after is None,
        now=await visit.tx.now(),
    )
    return await visit.render("people/suggestions.html", context, active="people")


async def dismiss(visit: Visit) -> Response:
    """They are two people, and share nothing."""
    await suggesting.dismiss(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/suggestions", "They stay two contacts.")


async def keep_apart(visit: Visit) -> Response:
    """They are two people who share an address."""
    await identities.keep_apart(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/suggestions", "They stay two contacts; what they share is marked as shared.")


def _holders(visit: Visit) -> Sequence[ContactHolder]:
    holders: Sequence[ContactHolder] = visit.request.app.state.contact_holders
    return holders


def _cursor(text: str) -> tuple[int, UUID] | None:
    if not text:
        return None
    score, _, last_id = text.partition("-")
    try:
        return int(score), UUID(last_id)
    except ValueError:
        raise NotFoundError("There is no such page. Check the address.") from None


routes = [
    Route("/contacts/{id}/merge", page(show_choice), methods=["GET"]),
    Route("/contacts/{id}/merge/{other_id}", page(show_merge), methods=["GET"]),
    Route("/contacts/{id}/merge/{other_id}", action(merge), methods=["POST"]),
    Route("/merges/{id}/undo", action(undo), methods=["POST"]),
    Route("/suggestions", page(show_suggestions), methods=["GET"]),
    Route("/suggestions/{id}/dismiss", action(dismiss), methods=["POST"]),
    Route("/suggestions/{id}/keep-apart", action(keep_apart), methods=["POST"]),
]
