"""Templates: the list, and an editor that shows the letter as a real contact would get it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.delivery import letter_templates as templates
from switchboard.delivery.letter_templates import check_letter
from switchboard.delivery.models import Letter, LetterDraft, LetterSummary, LetterVersion
from switchboard.delivery.pages_mailbox import frame_response
from switchboard.delivery.rendering import Template, TemplateError
from switchboard.kernel.errors import ConflictError, InvalidError, Problem
from switchboard.kernel.http import path_id
from switchboard.people import service as people
from switchboard.people.models import Contact, ContactSummary

LONGEST_BODY = 200_000
CONTACTS_OFFERED = 8

FIRST_SUBJECT = "A few words, {{ contact.first_name | default: 'for you' }}"


@dataclass(frozen=True, slots=True)
class TemplatesPage:
    """The templates of the workspace."""

    templates: Sequence[LetterSummary] = field(metadata={"help": "The rows, by title."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class TemplatePage:
    """One template in its editor."""

    letter: Letter | None = field(metadata={"help": "The template as it is saved, None for a new one."})
    draft: LetterDraft = field(metadata={"help": "What stands in the form."})
    problems: Sequence[Problem] = field(metadata={"help": "What is wrong with it, in the order of the form."})
    errors: Mapping[str, str] = field(metadata={"help": "The first problem of each field."})
    text: str = field(metadata={"help": "The text part as the chosen contact would get it."})
    contact: Contact | None = field(metadata={"help": "Whose letter is shown, None for an invented one."})
    search: str = field(metadata={"help": "Whom the caller looks for."})
    contacts: Sequence[ContactSummary] = field(metadata={"help": "Whom the search found."})
    versions: Sequence[LetterVersion] = field(metadata={"help": "Its texts, newest first."})
    shown_version: int = field(metadata={"help": "The version in the form, 0 for a new template."})
    may_change: bool = field(metadata={"help": "Whether the caller may save."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class CheckedLetter:
    """The part of the editor below the text."""

    problems: Sequence[Problem] = field(metadata={"help": "What is wrong."})


async def list_templates(visit: Visit) -> Response:
    """Every template in use."""
    found = await templates.list_templates(visit.tx, visit.caller)
    return await visit.render("delivery/templates.html", TemplatesPage(found, await visit.tx.now()), active="templates")


async def show_new(visit: Visit) -> Response:
    """An editor with a small letter to begin with."""
    visit.caller.require("admin")
    body = resources.files("switchboard.delivery").joinpath("library", "blank.mjml").read_text(encoding="utf-8")
    return await _render(visit, None, LetterDraft("", "", "marketing", FIRST_SUBJECT, body))


async def create(visit: Visit) -> Response:
    """Save a new template, or show the form again with what is wrong."""
    draft = _draft(visit)
    try:
        template_id = await templates.create_template(visit.tx, visit.caller, draft)
    except (InvalidError, ConflictError) as error:
        return await _render(visit, None, draft, _problems_of(error), status=error.status)
    return visit.done(f"/templates/{template_id}", "Saved. Flows can send it now.")


async def show(visit: Visit) -> Response:
    """One template, or with `version` one of its earlier texts."""
    letter = await templates.access_template(visit.tx, visit.caller, path_id(visit.request))
    draft = LetterDraft(letter.name, letter.title, letter.purpose, letter.subject, letter.body)
    wanted = visit.query("version")
    for version in await templates.list_versions(visit.tx, letter.id):
        if str(version.version) == wanted:
            draft = LetterDraft(letter.name, letter.title, letter.purpose, version.subject, version.body)
            return await _render(visit, letter, draft, shown_version=version.version)
    return await _render(visit, letter, draft)


async def save(visit: Visit) -> Response:
    """Save a template, or show the form again with what is wrong."""
    letter = await templates.access_template(visit.tx, visit.caller, path_id(visit.request))
    draft = _draft(visit)
    seen = visit.form.whole("seen_version", least=1, most=1_000_000)
    try:
        version = await templates.save_template(visit.tx, visit.caller, letter.id, draft, seen_version=seen)
    except (InvalidError, ConflictError) as error:
        return await _render(visit, letter, draft, _problems_of(error), status=error.status)
    return visit.done(f"/templates/{letter.id}", f"Saved as version {version}. What is queued keeps its own.")


async def archive(visit: Visit) -> Response:
    """Take a template out of use."""
    await templates.archive_template(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/templates", "Archived. What is queued from it still goes out.")


async def check(visit: Visit) -> Response:
    """What is wrong with the letter as it stands in the form."""
    visit.caller.require("viewer")
    return visit.render_partial("delivery/problems.html", CheckedLetter(check_letter(_draft(visit))))


async def show_preview(visit: Visit) -> Response:
    """The saved letter as `contact` would get it, for its frame."""
    letter = await templates.access_template(visit.tx, visit.caller, path_id(visit.request))
    return await _preview(visit, Template(letter.subject, letter.body), visit.query("contact"))


async def preview_draft(visit: Visit) -> Response:
    """The letter as it stands in the form, for the frame beside it."""
    visit.caller.require("viewer")
    draft = _draft(visit)
    return await _preview(visit, Template(draft.subject, draft.body), visit.form.text("contact"))


async def send_test(visit: Visit) -> Response:
    """Send the letter as it stands in the form to the caller, and say so in the frame beside it."""
    draft = _draft(visit)
    contact = await templates.find_preview_contact(visit.tx, visit.caller, visit.form.text("contact"))
    try:
        address = await templates.send_test(visit.tx, visit.caller, Template(draft.subject, draft.body), contact)
    except TemplateError as error:
        return _problems_response(visit, error)
    return frame_response(visit, visit.state.renderer.render("delivery/test_sent.html", {"address": address}))


async def _preview(visit: Visit, template: Template, contact: str) -> Response:
    chosen = await templates.find_preview_contact(visit.tx, visit.caller, contact)
    try:
        letter = await templates.preview(visit.tx, visit.caller, template, chosen)
    except TemplateError as error:
        return _problems_response(visit, error)
    return frame_response(visit, letter.html)


def _problems_response(visit: Visit, error: TemplateError) -> Response:
    shown = visit.state.renderer.render("delivery/preview_problems.html", {"problems": error.problems})
    return frame_response(visit, shown)


async def _render(
    visit: Visit,
    letter: Letter | None,
    draft: LetterDraft,
    problems: Sequence[Problem] = (),
    *,
    shown_version: int | None = None,
    status: int = 200,
) -> Response:
    search = visit.query("q")
    contact = await templates.find_preview_contact(visit.tx, visit.caller, visit.query("contact"))
    context = TemplatePage(
        letter=letter,
        draft=draft,
        problems=problems,
        errors={problem.field: problem.message for problem in reversed(problems)},
        text=await _text_of(visit, draft, contact),
        contact=contact,
        search=search,
        contacts=await people.search_contacts(visit.tx, search, CONTACTS_OFFERED) if search else [],
        versions=await templates.list_versions(visit.tx, letter.id) if letter else [],
        shown_version=shown_version or (letter.version if letter else 0),
        may_change=visit.caller.may("admin"),
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/template.html", context, active="templates", status=status)


async def _text_of(visit: Visit, draft: LetterDraft, contact: Contact | None) -> str:
    try:
        letter = await templates.preview(visit.tx, visit.caller, Template(draft.subject, draft.body), contact)
    except TemplateError:
        return ""
    return f"{letter.subject}\n\n{letter.text}"


def _draft(visit: Visit) -> LetterDraft:
    form = visit.form
    return LetterDraft(
        name=form.text("name"),
        title=form.text("title"),
        purpose=form.text("purpose"),
        subject=form.text("subject", longest=2_000),
        body=form.text("body", longest=LONGEST_BODY),
    )


def _problems_of(error: InvalidError | ConflictError) -> Sequence[Problem]:
    return error.problems or (Problem("name" if error.code == "template_name_taken" else "", error.message),)


routes = [
    Route("/templates", page(list_templates), methods=["GET"]),
    Route("/templates", action(create), methods=["POST"]),
    Route("/templates/new", page(show_new), methods=["GET"]),
    Route("/templates/check", action(check), methods=["POST"]),
    Route("/templates/preview", action(preview_draft), methods=["POST"]),
    Route("/templates/test", action(send_test), methods=["POST"]),
    Route("/templates/{id}", page(show), methods=["GET"]),
    Route("/templates/{id}", action(save), methods=["POST"]),
    Route("/templates/{id}/preview", page(show_preview), methods=["GET"]),
    Route("/templates/{id}/archive", action(archive), methods=["POST"]),
]
