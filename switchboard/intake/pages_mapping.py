"""The mapping of a source, tried on what it has really sent while it is written."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.intake import service
from switchboard.intake.mapping import TARGETS
from switchboard.intake.models import Source
from switchboard.intake.trial import Trial, suggest_mapping, try_mapping
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id

LONGEST_MAPPING = 50_000
MOST_SHOWN = 25


@dataclass(frozen=True, slots=True)
class MappingPage:
    """The editor and its trial."""

    source: Source = field(metadata={"help": "Whose mapping it is."})
    text: str = field(metadata={"help": "The mapping as it stands in the editor."})
    problems: tuple[Problem, ...] = field(metadata={"help": "Why it cannot be saved."})
    trial: Trial | None = field(
        metadata={"help": "What the last payloads become under it; None when it cannot be used."}
    )
    suggested: str = field(metadata={"help": "A mapping guessed from the newest payload, as JSON."})
    targets: tuple[str, ...] = field(metadata={"help": "The fields that can be mapped to."})
    most_shown: int = field(metadata={"help": "How many payloads of the trial are listed."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_mapping(visit: Visit) -> Response:
    """The editor of a source's mapping, beside payloads that came in to try it on."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    return await _render(visit, source, _indented(source.mapping))


async def try_typed(visit: Visit) -> Response:
    """The trial of what is typed; nothing is saved."""
    visit.caller.require("admin")
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    return await _render(visit, source, visit.form.text("mapping", longest=LONGEST_MAPPING))


async def save_mapping(visit: Visit) -> Response:
    """Save the mapping, or show what is wrong with it."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    text = visit.form.text("mapping", longest=LONGEST_MAPPING)
    try:
        saved = await service.save_mapping(visit.tx, visit.caller, source.id, _decoded(text))
    except InvalidError:
        return await _render(visit, source, text, status=422)
    return visit.done(f"/sources/{source.id}/mapping", f"Saved as version {saved.mapping_version}.")


async def _render(visit: Visit, source: Source, text: str, *, status: int = 200) -> Response:
    problems: tuple[Problem, ...] = ()
    trial = None
    try:
        trial = await try_mapping(visit.tx, visit.caller, source.id, _decoded(text))
    except InvalidError as error:
        problems = error.problems or (Problem("", error.message),)
    context = MappingPage(
        source=source,
        text=text,
        problems=problems,
        trial=trial,
        suggested=_indented(await suggest_mapping(visit.tx, visit.caller, source.id)),
        targets=TARGETS,
        most_shown=MOST_SHOWN,
        now=await visit.tx.now(),
    )
    if visit.is_partial:
        return visit.render_partial("intake/trial.html", context)
    return await visit.render("intake/mapping.html", context, active="sources", status=status)


def _decoded(text: str) -> object:
    try:
        return json.loads(text or "{}")
    except ValueError as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        problem = Problem("", f"This is not JSON: {error}.", line, column)
        raise InvalidError("The mapping is not JSON.", problems=[problem]) from error


def _indented(mapping: object) -> str:
    return json.dumps(mapping, indent=2, ensure_ascii=False)


routes = [
    Route("/sources/{id}/mapping", page(show_mapping), methods=["GET"]),
    Route("/sources/{id}/mapping", action(save_mapping), methods=["POST"]),
    Route("/sources/{id}/mapping/try", action(try_typed), methods=["POST"]),
]
