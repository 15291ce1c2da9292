"""The pages of segments: all of them, one with its members, and the form with its condition checked while typing."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id
from switchboard.kernel.ids import find_id
from switchboard.people import crowds, segments
from switchboard.people.errors import (
    ContactNotFoundError,
    SegmentBeingFilledError,
    SegmentNameTakenError,
    SegmentNotFoundError,
)
from switchboard.people.segment_models import Crowd, Preview, Segment, SegmentForm, SegmentMember
from switchboard.people.segment_previews import preview
from switchboard.people.segment_vocabulary import CONTACT, Vocabulary
from switchboard.people.service import find_contact_by_email

LATELY_ROWS = 10


class SegmentState(Protocol):
    """What these pages need of the application's state."""

    segment_vocabulary: Vocabulary


@dataclass(frozen=True, slots=True)
class SegmentListPage:
    """Segments in use, newest first."""

    segments: list[Segment] = field(metadata={"help": "The rows."})
    newer_href: str = field(metadata={"help": "Address of the first rows, empty when these are they."})
    older_href: str = field(metadata={"help": "Address of the next rows, empty when there are none."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class SegmentPage:
    """One segment and a page of its members."""

    segment: Segment = field(metadata={"help": "Which segment it is."})
    members: list[SegmentMember] = field(
        metadata={"help": "Who is in it, in the order in which they were added to us."}
    )
    entered: list[SegmentMember] = field(metadata={"help": "Who entered last."})
    first_href: str = field(metadata={"help": "Address of the first members, empty when these are they."})
    next_href: str = field(metadata={"help": "Address of the next members, empty when there are none."})
    error: str = field(metadata={"help": "Why nobody could be put into the list, or empty."})
    typed: str = field(metadata={"help": "Who was to be put into the list when that was refused."})
    fill_error: str = field(metadata={"help": "Why the list could not be filled, or empty."})
    crowd: Crowd = field(metadata={"help": "With whom it was to be filled when that was refused."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class SegmentFormPage:
    """The form of a new or a known segment."""

    segment_id: str = field(metadata={"help": "Whose form it is, empty for a new one."})
    is_list: bool = field(metadata={"help": "Whether it is a list, which has no condition."})
    typed: dict[str, str] = field(metadata={"help": "Title, name and condition as stored or as typed."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field."})
    problems: list[Problem] = field(metadata={"help": "What is wrong with the condition, with line and column."})
    preview: Preview | None = field(metadata={"help": "How many meet the condition; None where there is none."})
    fields: list[tuple[str, str]] = field(metadata={"help": "Names a condition knows, with what they hold."})
    crowd: Crowd = field(metadata={"help": "With whom a new list is to be filled; empty for nobody."})


@dataclass(frozen=True, slots=True)
class ConditionPreview:
    """What the form shows below the condition while it is typed."""

    problems: list[Problem] = field(metadata={"help": "What is wrong, with line and column; none when it is fine."})
    preview: Preview | None = field(metadata={"help": "How many meet the condition, and some of them."})


async def show_segments(visit: Visit) -> Response:
    """The list, with each one's size."""
    before = visit.query_id("before")
    rows = await segments.list_segments(visit.tx, visit.caller, before=before, limit=segments.PAGE_ROWS + 1)
    shown = rows[: segments.PAGE_ROWS]
    context = SegmentListPage(
        segments=shown,
        newer_href="/segments" if before else "",
        older_href=_href("/segments", "before", shown[-1].id) if len(rows) > len(shown) else "",
        now=await visit.tx.now(),
    )
    return await visit.render("people/segments.html", context, active="segments")


async def show_segment(visit: Visit) -> Response:
    """One segment."""
    return await _segment(visit, path_id(visit.request))


async def show_new_segment(visit: Visit) -> Response:
    """An empty form; `?list` for a list."""
    visit.caller.require("agent")
    return await _form(
        visit, None, {"condition": visit.query("condition")}, is_list="list" in visit.request.query_params
    )


async def create_segment(visit: Visit) -> Response:
    """Add a segment, or show what is wrong beside each field."""
    visit.caller.require("agent")
    typed, is_list = _typed(visit), visit.form.checked("is_list")
    try:
        form = _read(typed, is_list=is_list)
        async with visit.tx.savepoint():
            made = await segments.create_segment(visit.tx, visit.caller, form, _vocabulary(visit))
            if is_list and (crowd := _crowd(visit)).kind:
                await crowds.fill_list(visit.tx, visit.caller, made.id, crowd, _vocabulary(visit))
    except (InvalidError, SegmentNameTakenError, SegmentNotFoundError) as error:
        return await _form(visit, None, typed, is_list=is_list, error=error)
    return visit.done(f"/segments/{made.id}", "List added." if made.is_list else "Segment added; it is being filled.")


async def show_edit(visit: Visit) -> Response:
    """The form of one segment."""
    visit.caller.require("agent")
    segment = await segments.get_segment(visit.tx, visit.caller, path_id(visit.request))
    typed = {"title": segment.title, "name": segment.name, "condition": segment.condition or ""}
    return await _form(visit, segment.id, typed, is_list=segment.is_list)


async def save_segment(visit: Visit) -> Response:
    """Save a segment, or show what is wrong beside each field."""
    visit.caller.require("agent")
    segment_id, typed = path_id(visit.request), _typed(visit)
    segment = await segments.get_segment(visit.tx, visit.caller, segment_id)
    try:
        form = _read(typed, is_list=segment.is_list)
        saved = await segments.update_segment(visit.tx, visit.caller, segment_id, form, _vocabulary(visit))
    except (InvalidError, SegmentNameTakenError) as error:
        return await _form(visit, segment_id, typed, is_list=segment.is_list, error=error)
    changed = saved.generation != segment.generation
    return visit.done(f"/segments/{segment_id}", "Segment saved; it is filled anew." if changed else "Segment saved.")


async def archive_segment(visit: Visit) -> Response:
    """Take a segment out of use."""
    await segments.archive_segment(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/segments", "Segment archived.")


async def preview_condition(visit: Visit) -> Response:
    """What is wrong with a condition, or how many meet it, for the form while it is typed."""
    visit.caller.require("agent")
    text = visit.request.query_params.get("condition", "")
    problems, found = await _preview(visit, text)
    return visit.render_partial("people/segment_preview.html", ConditionPreview(problems, found))


async def add_member(visit: Visit) -> Response:
    """Put somebody into a list, by id or e-mail address."""
    visit.caller.require("agent")
    segment_id, text = path_id(visit.request), visit.form.text("contact").strip()
    contact_id = find_id(text) or await find_contact_by_email(visit.tx, text)
    if contact_id is None:
        return await _segment(visit, segment_id, error="Nobody has this address. Give an e-mail address.", typed=text)
    if not await segments.add_members(visit.tx, visit.caller, segment_id, [contact_id]):
        return await _segment(visit, segment_id, error="They are in the list already, or unknown.", typed=text)
    return visit.done(f"/segments/{segment_id}", "Added to the list.")


async def fill_list(visit: Visit) -> Response:
    """Put everybody of an import, a segment or a tag into a list."""
    segment_id = path_id(visit.request)
    try:
        await crowds.fill_list(visit.tx, visit.caller, segment_id, _crowd(visit), _vocabulary(visit))
    except (InvalidError, SegmentBeingFilledError, SegmentNotFoundError) as error:
        await segments.get_open_list(visit.tx, visit.caller, segment_id)
        why = next(iter(error.by_field().values()), error.message)
        return await _segment(visit, segment_id, fill_error=why)
    return visit.done(f"/segments/{segment_id}", "The list is being filled.")


async def tag_crowd(visit: Visit) -> Response:
    """Put a tag on everybody of a segment or with another tag."""
    crowd, words = _crowd(visit), visit.form.required("tag").split(",")
    await crowds.tag_crowd(visit.tx, visit.caller, crowd, words, _vocabulary(visit))
    back = f"/segments/{crowd.of}" if crowd.kind == "segment" else _href("/contacts", "tag", crowd.of)
    return visit.done(back, "They are being tagged.")


async def remove_member(visit: Visit) -> Response:
    """Take somebody out of a list."""
    visit.caller.require("agent")
    segment_id, contact_id = path_id(visit.request), find_id(visit.form.text("contact_id"))
    if contact_id is None:
        raise ContactNotFoundError
    await segments.remove_members(visit.tx, visit.caller, segment_id, [contact_id])
    return visit.done(f"/segments/{segment_id}", "Removed from the list.")


async def _segment(
    visit: Visit, segment_id: UUID, *, error: str = "", typed: str = "", fill_error: str = ""
) -> Response:
    tx, caller, after = visit.tx, visit.caller, visit.query_id("after")
    segment = await segments.get_segment(tx, caller, segment_id)
    rows = await segments.list_members(tx, caller, segment_id, after=after, limit=segments.PAGE_ROWS + 1)
    shown = rows[: segments.PAGE_ROWS]
    here = f"/segments/{segment_id}"
    context = SegmentPage(
        segment=segment,
        members=shown,
        entered=await segments.list_entered(tx, caller, segment_id, LATELY_ROWS),
        first_href=here if after else "",
        next_href=_href(here, "after", shown[-1].contact.id) if len(rows) > len(shown) else "",
        error=error,
        typed=typed,
        fill_error=fill_error,
        crowd=_crowd(visit),
        now=await tx.now(),
    )
    status = 422 if error or fill_error else 200
    return await visit.render("people/segment.html", context, active="segments", status=status)


async def _form(
    visit: Visit,
    segment_id: UUID | None,
    typed: dict[str, str],
    *,
    is_list: bool,
    error: InvalidError | SegmentNameTakenError | SegmentNotFoundError | None = None,
) -> Response:
    problems, found = await _preview(visit, typed.get("condition", ""))
    context = SegmentFormPage(
        segment_id=str(segment_id or ""),
        is_list=is_list,
        typed=typed,
        errors=error.by_field() if error else {},
        problems=problems,
        preview=found,
        fields=[] if is_list else _fields(_vocabulary(visit)),
        crowd=_crowd(visit) if is_list else Crowd("", ""),
    )
    return await visit.render("people/segment_form.html", context, active="segments", status=422 if error else 200)


async def _preview(visit: Visit, text: str) -> tuple[list[Problem], Preview | None]:
    if not text.strip():
        return [], None
    try:
        return [], await preview(visit.tx, visit.caller, text, _vocabulary(visit))
    except InvalidError as error:
        return list(error.problems), None


def _read(typed: dict[str, str], *, is_list: bool) -> SegmentForm:
    if not is_list and not typed["condition"].strip():
        problem = Problem("condition", "write a condition, or make a list instead")
        raise InvalidError("This segment cannot be saved as it is.", problems=[problem])
    return SegmentForm(typed["title"], typed["name"], "" if is_list else typed["condition"])


def _typed(visit: Visit) -> dict[str, str]:
    return {name: visit.form.text(name) for name in ("title", "name", "condition")}


def _crowd(visit: Visit) -> Crowd:
    """Whom a form means, or the address that leads to it; empty for nobody."""
    return Crowd(visit.form.text("from") or visit.query("from"), visit.form.text("of") or visit.query("of"))


def _vocabulary(visit: Visit) -> Vocabulary:
    state: SegmentState = visit.request.app.state
    return state.segment_vocabulary


def _fields(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    rows = [(f"{CONTACT}.{name}", column.type.words) for name, column in vocabulary.contact.items()]
    for relation in vocabulary.relations.values():
        rows.append((relation.name, "many: exists(x, …)"))
        rows += [
            (f"x.{name}", f"of {relation.name}: {column.type.words}")
            for name, column in relation.columns.items()
            if name
        ]
    return rows


def _href(path: str, name: str, value: object) -> str:
    return f"{path}?{urlencode({name: str(value)})}"


routes = [
    Route("/segments", page(show_segments), methods=["GET"]),
    Route("/segments", action(create_segment), methods=["POST"]),
    Route("/segments/new", page(show_new_segment), methods=["GET"]),
    Route("/segments/preview", page(preview_condition), methods=["GET"]),
    Route("/segments/tag", action(tag_crowd), methods=["POST"]),
    Route("/segments/{id}", page(show_segment), methods=["GET"]),
    Route("/segments/{id}/edit", page(show_edit), methods=["GET"]),
    Route("/segments/{id}/edit", action(save_segment), methods=["POST"]),
    Route("/segments/{id}/archive", action(archive_segment), methods=["POST"]),
    Route("/segments/{id}/fill", action(fill_list), methods=["POST"]),
    Route("/segments/{id}/members", action(add_member), methods=["POST"]),
    Route("/segments/{id}/members/remove", action(remove_member), methods=["POST"]),
]
