"""Flows as a workspace keeps them: saving versions, switching on and off, the library, and how runs stand."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.delivery import letter_templates
from switchboard.flows import repository, repository_runs
from switchboard.flows.definition import Flow, Known
from switchboard.flows.definition_parsing import parse_flow
from switchboard.flows.entering import CAMPAIGN_QUEUE, QUEUE
from switchboard.flows.errors import FlowNotFoundError, FlowVersionNotFoundError
from switchboard.flows.models import (
    STARTED,
    STOPPED,
    FailedRun,
    FlowSummary,
    SavedVersion,
    StandingRun,
    StepRecord,
    StoredFlow,
    Tally,
    Version,
    VersionKey,
    WholeTally,
)
from switchboard.flows.shipped import shipped_flows, shipped_templates
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.versions import compile_version
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import wake
from switchboard.routing import service as routing

MOST_COUNTED = 1_000
MOST_VERSIONS_LISTED = 50
MOST_RECORDS = 1_000
PAGE_ROWS = 50
WINDOW = timedelta(days=30)


async def save_flow(tx: Tx, caller: Caller, source: str, kinds: SubjectKinds) -> StoredFlow:
    """Check the YAML against the workspace's names and keep it as the newest version of the flow it names.

    Runs stay on the version they began with. A new flow is paused. A text equal to the newest version's is no new
    version. Raises InvalidError with line and column of each problem.
    """
    caller.require("admin")
    flow = parse_flow(source, await known_names(tx, caller, kinds))
    return await _store(tx, caller, flow, source)


async def check_flow(tx: Tx, caller: Caller, source: str, kinds: SubjectKinds, *, name: str | None = None) -> Flow:
    """Read the YAML as `save_flow` would; `name` is the flow that it must be. Raises InvalidError."""
    caller.require("viewer")
    flow = parse_flow(source, await known_names(tx, caller, kinds))
    if name is not None and flow.name != name:
        message = f"This is the flow {name}. To make another one of it, use New flow."
        raise InvalidError(message, problems=[_problem_of_name(source, message)])
    return flow


async def require_free_name(tx: Tx, name: str, source: str) -> None:
    """Raise InvalidError when there is a flow of that name, so that a new one never becomes a version of it."""
    if await repository.find_flow_by_name(tx, name) is not None:
        message = f"There is a flow {name} already. Choose another name, or change that one."
        raise InvalidError(message, problems=[_problem_of_name(source, message)])


async def known_names(tx: Tx, caller: Caller, kinds: SubjectKinds) -> Known:
    """The names that flows of this workspace may use."""
    stages = await kinds["lead"].list_stages(tx) if "lead" in kinds else None
    return Known(
        templates=frozenset(letter.name for letter in await letter_templates.list_templates(tx, caller)),
        rotas=frozenset(name for rota in await routing.list_rotas(tx) for name in (rota.name, rota.name.lower())),
        members=frozenset(member.email for member in await accounts.list_members(tx)),
        stages=stages,
    )


async def activate(tx: Tx, caller: Caller, flow_id: UUID, kinds: SubjectKinds) -> StoredFlow:
    """Let subjects enter the flow, and let those go on that rested in it.

    The newest version is checked again, because a rota or a template may be gone. Raises FlowNotFoundError,
    InvalidError.
    """
    caller.require("admin")
    flow = await access_flow(tx, caller, flow_id)
    parse_flow(await get_source(tx, caller, flow.id, flow.version), await known_names(tx, caller, kinds))
    if await repository.set_active(tx, flow.id, is_active=True):
        await repository_runs.unpark_paused(tx, flow.id)
        await events.append(tx, [_about(caller, "activated", flow)])
        await wake(tx, QUEUE)
        await wake(tx, CAMPAIGN_QUEUE)
    return flow


async def pause(tx: Tx, caller: Caller, flow_id: UUID) -> StoredFlow:
    """Let nobody enter the flow, and let those in it rest where they are. Raises FlowNotFoundError."""
    caller.require("admin")
    flow = await access_flow(tx, caller, flow_id)
    if await repository.set_active(tx, flow.id, is_active=False):
        await events.append(tx, [_about(caller, "paused", flow)])
    return flow


async def install_library(tx: Tx, caller: Caller) -> list[StoredFlow]:
    """Add the flows and letters that come with Switchboard, paused, where the workspace has none of that name."""
    caller.require("admin")
    letters = [(one.name, one.title, one.purpose, one.subject, one.mjml) for one in shipped_templates()]
    await letter_templates.install_templates(tx, caller, letters)
    return [
        await _store(tx, caller, parse_flow(source), source)
        for name, source in shipped_flows().items()
        if await repository.find_flow_by_name(tx, name) is None
    ]


async def access_flow(tx: Tx, caller: Caller, flow_id: UUID) -> StoredFlow:
    """The flow; raises FlowNotFoundError, for a stranger's too."""
    caller.require("viewer")
    flow = await repository.find_flow(tx, flow_id)
    if flow is None:
        raise FlowNotFoundError
    return flow


async def get_flow_by_name(tx: Tx, caller: Caller, name: str) -> StoredFlow:
    """The flow with that name; raises FlowNotFoundError."""
    caller.require("viewer")
    flow = await repository.find_flow_by_name(tx, name)
    if flow is None:
        raise FlowNotFoundError
    return flow


async def get_version(tx: Tx, caller: Caller, flow_id: UUID, version: int) -> tuple[str, Version]:
    """The YAML of a version and the version ready to run; raises FlowVersionNotFoundError."""
    caller.require("viewer")
    found = await repository.load_sources(tx, [(flow_id, version)])
    if not found:
        raise FlowVersionNotFoundError(version)
    return found[0].source, compile_version(found[0])


async def get_source(tx: Tx, caller: Caller, flow_id: UUID, version: int) -> str:
    """The YAML of a version; raises FlowVersionNotFoundError."""
    return (await get_version(tx, caller, flow_id, version))[0]


async def list_versions(tx: Tx, caller: Caller, flow_id: UUID) -> list[SavedVersion]:
    """The newest versions of a flow, newest first."""
    caller.require("viewer")
    return await repository.list_versions(tx, flow_id, MOST_VERSIONS_LISTED)


async def list_flows(tx: Tx, caller: Caller) -> list[FlowSummary]:
    """Every flow with how many go through it now and how runs ended in the last 30 days."""
    caller.require("viewer")
    flows = await repository.list_flows(tx)
    tallies = await repository.list_whole_tallies(tx, WINDOW)
    return [_summary(flow, [tally for tally in tallies if tally.flow_id == flow.id]) for flow in flows]


async def count_standing(tx: Tx, caller: Caller, key: VersionKey) -> dict[int, int]:
    """How many runs stand at each step of a version now, each up to MOST_COUNTED."""
    caller.require("viewer")
    return await repository_runs.count_at_steps(tx, key, MOST_COUNTED)


async def count_by_version(tx: Tx, caller: Caller, flow_id: UUID, versions: Sequence[int]) -> dict[int, int]:
    """How many runs each version has now, each up to MOST_COUNTED."""
    caller.require("viewer")
    return await repository_runs.count_by_version(tx, flow_id, versions, MOST_COUNTED)


async def list_tallies(tx: Tx, caller: Caller, key: VersionKey) -> list[Tally]:
    """How runs left each step of a version since it was saved."""
    caller.require("viewer")
    return await repository.list_step_tallies(tx, key)


async def list_standing(
    tx: Tx, caller: Caller, key: VersionKey, step: int, *, after: UUID | None = None
) -> list[StandingRun]:
    """Who stands at a step, the longest in the flow first, a page beyond the run `after`."""
    caller.require("viewer")
    return await repository_runs.list_standing(tx, key, step, after, PAGE_ROWS)


async def list_runs(
    tx: Tx, caller: Caller, *, flow_id: UUID | None = None, limit: int = PAGE_ROWS
) -> list[StandingRun]:
    """Runs that are going, of one flow or of all."""
    caller.require("viewer")
    return await repository_runs.list_of_flow(tx, flow_id, limit)


async def list_history(tx: Tx, caller: Caller, run_id: UUID) -> list[StepRecord]:
    """What a run did, step by step; empty for one that is unknown."""
    caller.require("viewer")
    return await repository_runs.list_history(tx, run_id, MOST_RECORDS)


async def forget_ended_runs(tx: Tx, before: datetime, most: int) -> int:
    """Delete runs of the workspace that had ended by then, at most so many; says how many. Their tallies stay."""
    return await repository_runs.delete_ended(tx, before, most)


async def list_failed_runs(tx: Tx, caller: Caller, *, limit: int = 10) -> list[FailedRun]:
    """Runs that cannot go on, or could not within the last 30 days, newest first: somebody should look."""
    caller.require("viewer")
    return await repository_runs.list_failed(tx, WINDOW, limit)


async def _store(tx: Tx, caller: Caller, flow: Flow, source: str) -> StoredFlow:
    before = await repository.find_flow_by_name(tx, flow.name)
    if before is not None and await get_source(tx, caller, before.id, before.version) == source:
        return before
    flow_id, version = await repository.upsert_flow(
        tx, new_id(), name=flow.name, title=flow.title, subject_kind=flow.subject
    )
    await repository.insert_version(tx, (flow_id, version), source, caller.user_id)
    stored = await access_flow(tx, caller, flow_id)
    await events.append(tx, [_about(caller, "saved", stored)])
    return stored


def _problem_of_name(source: str, message: str) -> Problem:
    line = next((number for number, text in enumerate(source.splitlines(), 1) if text.startswith("flow:")), 1)
    return Problem("flow", message, line, 1)


def _about(caller: Caller, verb: str, flow: StoredFlow) -> Event:
    data = {"name": flow.name, "version": flow.version}
    return Event(f"flow.{verb}", flow.id, actor=caller.actor, data=data)


def _summary(flow: StoredFlow, tallies: Sequence[WholeTally]) -> FlowSummary:
    lately = {tally.outcome: tally.runs_lately for tally in tallies if tally.runs_lately}
    ended = sum(tally.runs for tally in tallies if tally.outcome != STARTED)
    return FlowSummary(
        id=flow.id,
        name=flow.name,
        title=flow.title,
        subject_kind=flow.subject_kind,
        version=flow.version,
        is_active=flow.is_active,
        updated_at=flow.updated_at,
        running=sum(tally.runs for tally in tallies if tally.outcome == STARTED) - ended,
        started=lately.get(STARTED, 0),
        finished=lately.get("finished", 0),
        failed=lately.get("failed", 0),
        stopped={name.removeprefix(STOPPED): n for name, n in lately.items() if name.startswith(STOPPED)},
    )
