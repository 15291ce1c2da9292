"""What can be done from the inbox: answer, note, assign, put off, close."""

from collections.abc import Awaitable
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service as accounts
from switchboard.accounts.web import Visit, action
from switchboard.inbox import service
from switchboard.inbox.pages_views import (
    read_body,
    read_view,
    render_conversation,
    render_of_contact,
    write_local,
)
from switchboard.inbox.snoozing import read_snooze
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.http import no_content, path_id
from switchboard.kernel.ids import new_id
from switchboard.people import service as people


async def reply(visit: Visit) -> Response:
    """Send the answer; with `then=close` the conversation is done and the next one opens."""
    conversation_id = path_id(visit.request)
    key = visit.form.optional_id("key") or new_id()
    sending = service.reply(visit.tx, visit.caller, conversation_id, body=read_body(visit), key=key)
    error = await _refusal(visit, sending)
    if error:
        return await _again(visit, conversation_id, error)
    if visit.form.text("then") == "close":
        await service.close(visit.tx, visit.caller, conversation_id)
        return visit.done(_next_path(visit), "Sent and closed.", undo=f"/inbox/{conversation_id}/reopen")
    return visit.done(_path(visit, conversation_id), "Your answer is on its way.")


async def write_note(visit: Visit) -> Response:
    """Keep the composer's text as a note; the draft it was is gone."""
    conversation_id = path_id(visit.request)
    error = await _refusal(visit, service.note(visit.tx, visit.caller, conversation_id, read_body(visit)))
    if error:
        return await _again(visit, conversation_id, error)
    await service.save_draft(visit.tx, visit.caller, conversation_id, "")
    return visit.done(_path(visit, conversation_id), "Note saved. Only your team sees it.")


async def keep_draft(visit: Visit) -> Response:
    """Keep what is typed so far; a script asks for this as the person writes."""
    conversation_id = path_id(visit.request)
    await service.save_draft(visit.tx, visit.caller, conversation_id, read_body(visit))
    return no_content() if visit.is_partial else visit.done(_path(visit, conversation_id), "Draft kept.")


async def assign(visit: Visit) -> Response:
    """Give it to a member, or to nobody."""
    conversation_id = path_id(visit.request)
    owner_id = visit.form.optional_id("owner_id")
    before = await service.access_conversation(visit.tx, visit.caller, conversation_id)
    await service.assign(visit.tx, visit.caller, conversation_id, owner_id)
    names = {member.user_id: member.name for member in await accounts.list_members(visit.tx)}
    done = f"Given to {names.get(owner_id, 'somebody')}." if owner_id else "Nobody has it now."
    undo = f"/inbox/{conversation_id}/assign-back/{before.owner_id or 'nobody'}"
    return visit.done(_path(visit, conversation_id), done, undo=undo)


async def assign_back(visit: Visit) -> Response:
    """Take an assignment back: the owner before is in the path."""
    conversation_id = path_id(visit.request)
    former = visit.request.path_params["owner_id"]
    owner_id = None if former == "nobody" else path_id(visit.request, "owner_id")
    await service.assign(visit.tx, visit.caller, conversation_id, owner_id)
    return visit.done(f"/inbox/{conversation_id}", "Taken back.")


async def snooze(visit: Visit) -> Response:
    """Put it off and open the next one."""
    conversation_id = path_id(visit.request)
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    until = read_snooze(visit.form.text("until"), await visit.tx.now(), zone)
    await service.snooze(visit.tx, visit.caller, conversation_id, until)
    toast = f"It comes back {write_local(until, zone)}."
    return visit.done(_next_path(visit), toast, undo=f"/inbox/{conversation_id}/reopen")


async def close(visit: Visit) -> Response:
    """Done with it; the next one opens."""
    conversation_id = path_id(visit.request)
    await service.close(visit.tx, visit.caller, conversation_id)
    return visit.done(_next_path(visit), "Closed.", undo=f"/inbox/{conversation_id}/reopen")


async def reopen(visit: Visit) -> Response:
    """There is something to do after all."""
    conversation_id = path_id(visit.request)
    await service.reopen(visit.tx, visit.caller, conversation_id)
    return visit.done(f"/inbox/{conversation_id}", "Open again.")


async def reply_to_contact(visit: Visit) -> Response:
    """Write to a contact from the lead's page, in the conversation with them or the first one."""
    contact_id = path_id(visit.request, "contact_id")
    sending = service.reply_to_contact(
        visit.tx,
        visit.caller,
        contact_id,
        body=read_body(visit),
        subject=visit.form.text("subject", longest=300),
        key=visit.form.optional_id("key") or new_id(),
        lead_id=visit.form.optional_id("lead_id"),
    )
    error = await _refusal(visit, sending)
    if error:
        return await render_of_contact(visit, error=error, status=422)
    return await _done_with_contact(visit, contact_id, "Your message is on its way.")


async def note_on_contact(visit: Visit) -> Response:
    """Keep the composer's text as a note on the contact."""
    contact_id = path_id(visit.request, "contact_id")
    error = await _refusal(visit, people.add_note(visit.tx, visit.caller, contact_id, read_body(visit)))
    if error:
        return await render_of_contact(visit, error=error, status=422)
    conversation = await service.find_of_contact(visit.tx, visit.caller, contact_id)
    if conversation is not None:
        await service.save_draft(visit.tx, visit.caller, conversation.id, "")
    return await _done_with_contact(visit, contact_id, "Note saved. Only your team sees it.")


async def _refusal(visit: Visit, work: Awaitable[object]) -> str:
    """What was wrong with the form, in words, with everything undone that was begun; empty when it was done."""
    try:
        async with visit.tx.savepoint():
            await work
    except InvalidError as error:
        return " ".join([error.message, *(f"{_sentence(problem.message)}" for problem in error.problems)])
    return ""


async def _again(visit: Visit, conversation_id: UUID, error: str) -> Response:
    conversation = await service.access_conversation(visit.tx, visit.caller, conversation_id)
    return await render_conversation(visit, conversation, error=error, body=read_body(visit), status=422)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _path(visit: Visit, conversation_id: UUID) -> str:
    return f"/inbox/{conversation_id}?view={read_view(visit)}"


def _next_path(visit: Visit) -> str:
    following = visit.form.optional_id("next")
    return _path(visit, following) if following else f"/inbox?view={read_view(visit)}"


async def _done_with_contact(visit: Visit, contact_id: UUID, toast: str) -> Response:
    """The region anew where the form stood in one; else the lead's page, or the page of the talk."""
    if visit.is_partial:
        return await render_of_contact(visit, toast=toast)
    lead_id = visit.form.optional_id("lead_id")
    return visit.done(f"/leads/{lead_id}?tab=talk" if lead_id else f"/inbox/of-contact/{contact_id}", toast)


routes = [
    Route("/inbox/of-contact/{contact_id}/reply", action(reply_to_contact), methods=["POST"]),
    Route("/inbox/of-contact/{contact_id}/note", action(note_on_contact), methods=["POST"]),
    Route("/inbox/{id}/reply", action(reply), methods=["POST"]),
    Route("/inbox/{id}/note", action(write_note), methods=["POST"]),
    Route("/inbox/{id}/draft", action(keep_draft), methods=["POST"]),
    Route("/inbox/{id}/assign", action(assign), methods=["POST"]),
    Route("/inbox/{id}/assign-back/{owner_id}", action(assign_back), methods=["POST"]),
    Route("/inbox/{id}/snooze", action(snooze), methods=["POST"]),
    Route("/inbox/{id}/close", action(close), methods=["POST"]),
    Route("/inbox/{id}/reopen", action(reopen), methods=["POST"]),
]
