"""The pages of flows: the list, the editor with its picture, and who stands where."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, WebState, action, page
from switchboard.flows import pages_campaigns, pages_people, service
from switchboard.flows.compiled import CompiledStep, compile_flow
from switchboard.flows.definition_parsing import parse_flow
from switchboard.flows.drawing import Drawing, StepNumbers, count_steps, draw
from switchboard.flows.models import FlowSummary, SavedVersion, StandingRun, StoredFlow, Version
from switchboard.flows.shipped import shipped_flows
from switchboard.flows.subjects import SubjectKinds
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id
from switchboard.kernel.ids import find_id
from switchboard.people import service as people
from switchboard.people.wording import STOPPED_BY

LONGEST_SOURCE = 256 * 1024
MOST_STEP_DIGITS = 4

BLANK = """\
flow: my_flow
title: My flow
subject: lead

starts:
  - on: lead.created
    where: "!lead.junk"

stops:
  - on: message.replied

reentry: never

steps:
  - wait: 1d
  - notify: owner
    text: This lead has been here for a day.
"""


class FlowState(WebState, Protocol):
    """What the application's state offers to these pages besides."""

    subject_kinds: SubjectKinds


@dataclass(frozen=True, slots=True)
class FlowListPage:
    """Every flow of the workspace."""

    flows: list[FlowSummary] = field(metadata={"help": "The rows, by title."})
    now: datetime = field(metadata={"help": "The request's time."})
    reasons: Mapping[str, str] = field(
        default_factory=lambda: STOPPED_BY, metadata={"help": "Why runs stopped, by the event that stopped them."}
    )


@dataclass(frozen=True, slots=True)
class MarkedProblem:
    """One problem with the line of the text that it is in."""

    problem: Problem = field(metadata={"help": "What is wrong, with line and column."})
    text: str = field(metadata={"help": "That line as typed, empty when there is none."})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who stands at a step."""

    run: StandingRun = field(metadata={"help": "The run."})
    name: str = field(metadata={"help": "What to call them."})
    href: str = field(metadata={"help": "The page of the lead or contact."})


@dataclass(frozen=True, slots=True)
class StepView:
    """One step with the people at it."""

    step: CompiledStep = field(metadata={"help": "The step."})
    numbers: StepNumbers = field(metadata={"help": "Here now, passed, and left by reason."})
    people: list[Person] = field(metadata={"help": "Who is here, the longest in the flow first."})
    next_href: str = field(metadata={"help": "The next page of people, empty on the last."})
    reasons: Mapping[str, str] = field(
        default_factory=lambda: STOPPED_BY, metadata={"help": "Why runs stopped, by the event that stopped them."}
    )


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version in the list of versions."""

    saved: SavedVersion = field(metadata={"help": "Number, time and who saved it."})
    here: int = field(metadata={"help": "Runs in it now, counted up to a bound."})


@dataclass(frozen=True, slots=True)
class EditorPage:
    """The text of a flow with what is wrong in it and its picture."""

    flow: StoredFlow | None = field(metadata={"help": "The flow, None for a new one."})
    version: int = field(metadata={"help": "The version shown, 0 for a new flow."})
    source: str = field(metadata={"help": "The YAML."})
    problems: list[MarkedProblem] = field(metadata={"help": "What is wrong, in the order of the text."})
    drawing: Drawing | None = field(metadata={"help": "The picture, None while the text cannot be read."})
    selected: StepView | None = field(metadata={"help": "The step that was asked for."})
    versions: list[VersionView] = field(metadata={"help": "The newest versions, newest first."})
    library: list[str] = field(metadata={"help": "Names of shipped flows to begin with."})
    most_counted: int = field(metadata={"help": "Numbers this large mean at least so many."})
    may_change: bool = field(metadata={"help": "Whether the caller may save."})
    now: datetime = field(metadata={"help": "The request's time."})


async def list_flows(visit: Visit) -> Response:
    """Which flows there are, who is in them, and how the last 30 days went."""
    flows = await service.list_flows(visit.tx, visit.caller)
    return await visit.render("flows/list.html", FlowListPage(flows, await visit.tx.now()), active="flows")


async def install_library(visit: Visit) -> Response:
    """Add what comes with Switchboard."""
    added = await service.install_library(visit.tx, visit.caller)
    return visit.done("/flows", f"{len(added)} flows added, all paused." if added else "All of them are here already.")


async def show_new_flow(visit: Visit) -> Response:
    """An editor with a shipped flow, or a small one to begin with."""
    visit.caller.require("admin")
    source = shipped_flows().get(visit.query("from"), BLANK)
    return await _render_new(visit, source, await _find_problems(visit, source))


async def create_flow(visit: Visit) -> Response:
    """Save a new flow, or show the text again with what is wrong."""
    visit.caller.require("admin")
    source = _source(visit)
    problems = await _find_problems(visit, source, is_new=True)
    if problems:
        return await _render_new(visit, source, problems, status=422)
    flow = await service.save_flow(visit.tx, visit.caller, source, _kinds(visit))
    return visit.done(f"/flows/{flow.id}", "Saved. It is paused: nobody enters before you activate it.")


async def check_source(visit: Visit) -> Response:
    """What is wrong with the text as it stands in the editor, and its picture."""
    source = _source(visit)
    problems = await _find_problems(visit, source, name=visit.form.text("name") or None)
    context = await _editor(visit, None, 0, source, problems)
    return visit.render_partial("flows/check.html", context)


async def show_flow(visit: Visit) -> Response:
    """The flow, in its newest version unless another is asked for."""
    flow = await service.access_flow(visit.tx, visit.caller, path_id(visit.request))
    number = _number(visit.query("version")) or flow.version
    source, version = await service.get_version(visit.tx, visit.caller, flow.id, number)
    is_newest = number == flow.version
    problems = await _find_problems(visit, source) if is_newest else []
    context = await _with_numbers(visit, await _editor(visit, flow, number, source, problems), flow, version)
    return await visit.render("flows/flow.html", context, active="flows")


async def save_flow(visit: Visit) -> Response:
    """Save a new version, or show the text again with what is wrong."""
    visit.caller.require("admin")
    flow = await service.access_flow(visit.tx, visit.caller, path_id(visit.request))
    source = _source(visit)
    problems = _find_collision(visit, flow) or await _find_problems(visit, source, name=flow.name)
    if problems:
        context = await _editor(visit, flow, flow.version, source, problems)
        return await visit.render("flows/flow.html", context, active="flows", status=422)
    saved = await service.save_flow(visit.tx, visit.caller, source, _kinds(visit))
    if saved.version == flow.version:
        return visit.done(f"/flows/{flow.id}", "Nothing has changed.")
    return visit.done(f"/flows/{flow.id}", f"Version {saved.version} saved. Who is in the flow stays on the old one.")


async def activate(visit: Visit) -> Response:
    """Let people in, or show why the flow cannot run."""
    flow_id = path_id(visit.request)
    try:
        flow = await service.activate(visit.tx, visit.caller, flow_id, _kinds(visit))
    except InvalidError as error:
        flow = await service.access_flow(visit.tx, visit.caller, flow_id)
        source = await service.get_source(visit.tx, visit.caller, flow.id, flow.version)
        context = await _editor(visit, flow, flow.version, source, _marked(source, error))
        return await visit.render("flows/flow.html", context, active="flows", status=422)
    return visit.done(f"/flows/{flow.id}", f"{flow.title} is active.", undo=f"/flows/{flow.id}/pause")


async def pause(visit: Visit) -> Response:
    """Let nobody in, and let those inside rest."""
    flow = await service.pause(visit.tx, visit.caller, path_id(visit.request))
    text = f"{flow.title} is paused. Whoever is in it rests."
    return visit.done(f"/flows/{flow.id}", text, undo=f"/flows/{flow.id}/activate")


async def _render_new(visit: Visit, source: str, problems: list[MarkedProblem], *, status: int = 200) -> Response:
    context = await _editor(visit, None, 0, source, problems)
    return await visit.render("flows/new.html", context, active="flows", status=status)


async def _editor(
    visit: Visit, flow: StoredFlow | None, version: int, source: str, problems: list[MarkedProblem]
) -> EditorPage:
    """The page without numbers."""
    return EditorPage(
        flow=flow,
        version=version,
        source=source,
        problems=problems,
        drawing=_draw_text(source),
        selected=None,
        versions=await _versions(visit, flow) if flow else [],
        library=list(shipped_flows()),
        most_counted=service.MOST_COUNTED,
        may_change=visit.caller.may("admin"),
        now=await visit.tx.now(),
    )


async def _with_numbers(visit: Visit, context: EditorPage, flow: StoredFlow, version: Version) -> EditorPage:
    """The page with how many are where, and the people at the step that was asked for."""
    here = await service.count_standing(visit.tx, visit.caller, version.key)
    numbers = count_steps(here, await service.list_tallies(visit.tx, visit.caller, version.key))
    index = _number(visit.query("step"))
    selected = None
    if index is not None and index < len(version.steps):
        selected = await _step_view(visit, version, index, numbers.get(index, StepNumbers()))
    return replace(context, flow=flow, drawing=draw(version.steps, numbers), selected=selected)


async def _step_view(visit: Visit, version: Version, index: int, numbers: StepNumbers) -> StepView:
    after = find_id(visit.query("after"))
    runs = await service.list_standing(visit.tx, visit.caller, version.key, index, after=after)
    contacts = await people.load_contacts(visit.tx, {run.contact_id for run in runs if run.contact_id is not None})
    standing = []
    for run in runs:
        contact = contacts.get(run.contact_id) if run.contact_id else None
        href = f"/leads/{run.lead_id}" if run.lead_id else f"/contacts/{run.contact_id}"
        standing.append(Person(run, contact.title if contact else "Nameless contact", href))
    next_href = ""
    if len(runs) == service.PAGE_ROWS:
        next_href = f"/flows/{version.flow_id}?version={version.version}&step={index}&after={runs[-1].id}"
    return StepView(version.steps[index], numbers, standing, next_href)


async def _versions(visit: Visit, flow: StoredFlow) -> list[VersionView]:
    saved = await service.list_versions(visit.tx, visit.caller, flow.id)
    here = await service.count_by_version(visit.tx, visit.caller, flow.id, [one.version for one in saved])
    return [VersionView(one, here.get(one.version, 0)) for one in saved]


async def _find_problems(
    visit: Visit, source: str, *, name: str | None = None, is_new: bool = False
) -> list[MarkedProblem]:
    try:
        flow = await service.check_flow(visit.tx, visit.caller, source, _kinds(visit), name=name)
        if is_new:
            await service.require_free_name(visit.tx, flow.name, source)
    except InvalidError as error:
        return _marked(source, error)
    return []


def _find_collision(visit: Visit, flow: StoredFlow) -> list[MarkedProblem]:
    """Somebody else has saved since this text was opened; shown once, so that saving again is a decision."""
    seen = _number(visit.form.text("seen"))
    if seen is None or seen == flow.version:
        return []
    message = f"Somebody has saved version {flow.version} meanwhile. Look at it first, or save again to replace it."
    return [MarkedProblem(Problem("source", message), "")]


def _marked(source: str, error: InvalidError) -> list[MarkedProblem]:
    lines = source.splitlines()
    problems = error.problems or (Problem("", error.message),)
    return [
        MarkedProblem(one, lines[one.line - 1].strip() if one.line and one.line <= len(lines) else "")
        for one in problems
    ]


def _draw_text(source: str) -> Drawing | None:
    try:
        return draw(compile_flow(parse_flow(source)), {})
    except InvalidError:
        return None


def _source(visit: Visit) -> str:
    # Browsers send line ends as CR LF; the text is kept as files have it.
    return visit.form.text("source", longest=LONGEST_SOURCE).replace("\r\n", "\n") + "\n"


def _kinds(visit: Visit) -> SubjectKinds:
    state: FlowState = visit.request.app.state
    return state.subject_kinds


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_STEP_DIGITS else None


routes = [
    Route("/flows", page(list_flows)),
    Route("/flows/library", action(install_library), methods=["POST"]),
    Route("/flows/check", action(check_source), methods=["POST"]),
    Route("/flows/new", page(show_new_flow)),
    Route("/flows/new", action(create_flow), methods=["POST"]),
    Route("/flows/{id}", page(show_flow)),
    Route("/flows/{id}", action(save_flow), methods=["POST"]),
    Route("/flows/{id}/activate", action(activate), methods=["POST"]),
    Route("/flows/{id}/pause", action(pause), methods=["POST"]),
    *pages_people.routes,
    *pages_campaigns.routes,
]
