"""Templates of letters: saving, which is checked against real variables, and looking at them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.accounts.service import get_workspace, list_members
from switchboard.delivery import repository_templates as repository
from switchboard.delivery.errors import TemplateNameTakenError, TemplateNotFoundError
from switchboard.delivery.letter_variables import LETTER_VARIABLES, preview_variables
from switchboard.delivery.models import Draft, Letter, LetterDraft, LetterSummary, LetterVersion
from switchboard.delivery.queueing import queue_messages
from switchboard.delivery.rendering import Rendered, Template, TemplateError, check_template, render_template
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import ConflictError, InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.people import service as people
from switchboard.people.models import Contact

MOST_VERSIONS_SHOWN = 50
PURPOSES = ("marketing", "transactional")
LONGEST_TITLE = 120

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


async def list_templates(tx: Tx, caller: Caller) -> list[LetterSummary]:
    """The templates in use, by title."""
    caller.require("viewer")
    return await repository.list_templates(tx)


async def access_template(tx: Tx, caller: Caller, template_id: UUID) -> Letter:
    """The template as it stands now; raises TemplateNotFoundError."""
    caller.require("viewer")
    found = await repository.find_template(tx, template_id)
    if found is None:
        raise TemplateNotFoundError
    return found


async def find_template_by_name(tx: Tx, caller: Caller, name: str) -> Letter | None:
    """The template in use with that name."""
    caller.require("viewer")
    found = (await repository.find_by_names(tx, [name])).get(name)
    return await repository.find_template(tx, found[0]) if found else None


async def list_versions(tx: Tx, template_id: UUID) -> list[LetterVersion]:
    """A template's texts, newest first."""
    return await repository.list_versions(tx, template_id, MOST_VERSIONS_SHOWN)


async def create_template(tx: Tx, caller: Caller, draft: LetterDraft) -> UUID:
    """Add a template; raises InvalidError with every place that is wrong, TemplateNameTakenError."""
    caller.require("admin")
    draft = _tidy(draft)
    _check(draft)
    template_id = new_id()
    if not await repository.insert_template(tx, template_id, draft):
        raise TemplateNameTakenError(draft.name)
    await repository.insert_version(tx, template_id, 1, draft, caller.user_id)
    await events.append(tx, [_event(caller, "template.created", template_id, draft.name, 1)])
    return template_id


async def save_template(tx: Tx, caller: Caller, template_id: UUID, draft: LetterDraft, *, seen_version: int) -> int:
    """Save a template and return its version: a new one when subject or body have changed.

    Messages that are queued already keep the version they were queued with. `seen_version` is the one that was
    changed. Raises InvalidError, TemplateNotFoundError, TemplateNameTakenError, and ConflictError when somebody else
    has saved meanwhile.
    """
    caller.require("admin")
    draft = _tidy(draft)
    _check(draft)
    before = await access_template(tx, caller, template_id)
    if before.version != seen_version:
        raise _changed_meanwhile()
    taken = (await repository.find_by_names(tx, [draft.name])).get(draft.name)
    if taken is not None and taken[0] != template_id:
        raise TemplateNameTakenError(draft.name)
    version = before.version + ((before.subject, before.body) != (draft.subject, draft.body))
    if not await repository.update_template(tx, template_id, draft, version):
        raise _changed_meanwhile()
    if version != before.version:
        await repository.insert_version(tx, template_id, version, draft, caller.user_id)
    await events.append(tx, [_event(caller, "template.saved", template_id, draft.name, version)])
    return version


async def apply_template(tx: Tx, caller: Caller, draft: LetterDraft) -> tuple[UUID, int]:
    """Create or save the template of that name; returns its id and version."""
    known = await repository.lock_by_name(tx, draft.name)
    if known is None:
        return await create_template(tx, caller, draft), 1
    return known.id, await save_template(tx, caller, known.id, draft, seen_version=known.version)


async def install_templates(tx: Tx, caller: Caller, letters: Sequence[tuple[str, str, str, str, str]]) -> list[UUID]:
    """Add those of these templates whose name is free: name, title, purpose, subject, body. Others are left alone."""
    caller.require("admin")
    taken = await repository.find_by_names(tx, [letter[0] for letter in letters])
    return [await create_template(tx, caller, LetterDraft(*letter)) for letter in letters if letter[0] not in taken]


async def archive_template(tx: Tx, caller: Caller, template_id: UUID) -> None:
    """Take a template out of use; messages queued from it still go. Raises TemplateNotFoundError."""
    caller.require("admin")
    if not await repository.archive_template(tx, template_id):
        raise TemplateNotFoundError
    await events.append(tx, [Event("template.archived", template_id, actor=caller.actor)])


async def preview(tx: Tx, caller: Caller, template: Template, contact: Contact | None) -> Rendered:
    """The letter as this contact would get it, or an invented one; raises TemplateError."""
    caller.require("viewer")
    return render_template(template, preview_variables(await get_workspace(tx), caller, contact))


async def find_preview_contact(tx: Tx, caller: Caller, text: str) -> Contact | None:
    """The contact that an id or an e-mail address names; None when there is none."""
    caller.require("viewer")
    try:
        contact_id: UUID | None = UUID(text)
    except ValueError:
        contact_id = await people.find_contact_by_email(tx, text) if text else None
    found = await people.load_contacts(tx, [contact_id]) if contact_id else {}
    return found.get(contact_id) if contact_id else None


async def send_test(
    tx: Tx, caller: Caller, template: Template, contact: Contact | None, *, user_id: UUID | None = None
) -> str:
    """Queue the letter to a member's address, the caller's own by default, and return the address.

    Raises TemplateError, InvalidError.
    """
    caller.require("agent")
    wanted = user_id or caller.user_id
    own = next((member for member in await list_members(tx) if member.user_id == wanted), None)
    if own is None:
        raise InvalidError("Only a member of this workspace can be sent a test.")
    letter = await preview(tx, caller, template, contact)
    draft = Draft(
        purpose="page",
        user_id=own.user_id,
        subject=f"Test: {letter.subject}",
        text=letter.text,
        html=letter.html,
        created_by=caller.user_id,
    )
    await queue_messages(tx, [draft])
    return own.email


def check_letter(draft: LetterDraft) -> list[Problem]:
    """Everything wrong with a template, before it is saved."""
    problems = []
    if not _NAME.fullmatch(draft.name):
        problems.append(Problem("name", "up to 60 small letters, digits and _, with a letter first, such as welcome"))
    if len(draft.title) > LONGEST_TITLE:
        problems.append(Problem("title", f"at most {LONGEST_TITLE} characters"))
    if draft.purpose not in PURPOSES:
        problems.append(Problem("purpose", f"expected one of {', '.join(PURPOSES)}"))
    problems += check_template(draft.subject, draft.body, LETTER_VARIABLES)
    if draft.purpose == "marketing" and "unsubscribe_url" not in draft.body:
        message = "Marketing needs a way out in the letter itself: link to {{ unsubscribe_url }}."
        problems.append(Problem("body", message))
    return problems


def _check(draft: LetterDraft) -> None:
    problems = check_letter(draft)
    if problems:
        raise TemplateError("The template cannot be saved.", problems=problems)


def _tidy(draft: LetterDraft) -> LetterDraft:
    name = draft.name.strip()
    return replace(
        draft,
        name=name,
        title=draft.title.strip() or name.replace("_", " ").capitalize(),
        body=draft.body.replace("\r\n", "\n"),
    )


def _event(caller: Caller, kind: str, template_id: UUID, name: str, version: int) -> Event:
    return Event(kind, template_id, actor=caller.actor, data={"name": name, "version": version})


def _changed_meanwhile() -> ConflictError:
    return ConflictError("Somebody else has saved this template meanwhile. Load it again, then repeat your change.")
