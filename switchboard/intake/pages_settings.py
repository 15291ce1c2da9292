"""The settings of a source: name, signature, where a form may lead, a new address, pause."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.intake import service
from switchboard.intake.errors import SourceNameTakenError
from switchboard.intake.formats.base import Format
from switchboard.intake.formats.registry import get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import Source
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.http import path_id


@dataclass(frozen=True, slots=True)
class SourceSettingsPage:
    """The settings of one source."""

    source: Source = field(metadata={"help": "Whose settings they are."})
    format: Format = field(metadata={"help": "How its payloads are written."})
    honeypot: str = field(metadata={"help": "Name of the form field that only robots fill in."})
    typed: Mapping[str, str] = field(metadata={"help": "The fields as stored, or as typed when they were refused."})
    errors: Mapping[str, str] = field(metadata={"help": "What is wrong, by field."})


async def show_settings(visit: Visit) -> Response:
    """The form of a source's name, hosts and signing secret."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    visit.caller.require("admin")
    hosts = source.settings.get("redirect_hosts")
    lines = "\n".join(str(host) for host in hosts) if isinstance(hosts, list) else ""
    return await _render(visit, source, {"name": source.name, "redirect_hosts": lines}, {})


async def save_settings(visit: Visit) -> Response:
    """Save name, hosts and, where one was typed or taken away, the secret: all of it or nothing."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    visit.caller.require("admin")
    typed = {
        "name": visit.form.text("name"),
        "redirect_hosts": visit.form.text("redirect_hosts", longest=10_000),
        "signing_secret": visit.form.text("signing_secret", longest=1_000),
    }
    try:
        async with visit.tx.savepoint():
            await _save(visit, source, typed)
    except InvalidError as error:
        wrong = {problem.field: problem.message for problem in error.problems}
        return await _render(visit, source, typed, wrong, status=422)
    except SourceNameTakenError as error:
        return await _render(visit, source, typed, {"name": error.message}, status=422)
    return visit.done(f"/sources/{source.id}/settings", "Saved.")


async def _save(visit: Visit, source: Source, typed: Mapping[str, str]) -> None:
    tx, caller = visit.tx, visit.caller
    if typed["name"] != source.name:
        await service.rename_source(tx, caller, source.id, typed["name"])
    await service.set_redirect_hosts(tx, caller, source.id, typed["redirect_hosts"].split())
    if typed["signing_secret"] or visit.form.checked("no_secret"):
        await service.set_signing_secret(tx, caller, source.id, typed["signing_secret"])


async def rotate_token(visit: Visit) -> Response:
    """Give the source a new address."""
    source = await service.rotate_token(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(f"/sources/{source.id}", "The source has a new address. The old one takes nothing more.")


async def pause(visit: Visit) -> Response:
    """Take nothing more; the toast takes it back."""
    source = await service.pause_source(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(
        f"/sources/{source.id}", f"{source.name} takes nothing more.", undo=f"/sources/{source.id}/resume"
    )


async def resume(visit: Visit) -> Response:
    """Take signals again."""
    source = await service.resume_source(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(f"/sources/{source.id}", f"{source.name} takes signals again.")


async def _render(
    visit: Visit, source: Source, typed: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200
) -> Response:
    honeypot = FieldMapping.from_json(source.mapping).honeypot
    context = SourceSettingsPage(source, get_format(source.format), honeypot, typed, errors)
    return await visit.render("intake/settings.html", context, active="sources", status=status)


routes = [
    Route("/sources/{id}/settings", page(show_settings), methods=["GET"]),
    Route("/sources/{id}/settings", action(save_settings), methods=["POST"]),
    Route("/sources/{id}/token", action(rotate_token), methods=["POST"]),
    Route("/sources/{id}/pause", action(pause), methods=["POST"]),
    Route("/sources/{id}/resume", action(resume), methods=["POST"]),
]
