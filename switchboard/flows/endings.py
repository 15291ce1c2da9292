"""Ending runs: the one place where a run leaves, with its history, its counts and its event."""

from collections import Counter
from collections.abc import Mapping, Sequence

from switchboard.delivery.service import drop_queued
from switchboard.flows import repository, repository_runs
from switchboard.flows.models import LEFT, STOPPED, WHOLE, EndedRun, Ending, Tally, Version, VersionKey
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event

RUN_STOPPED = "run stopped"


async def stop_runs(tx: Tx, endings: Sequence[Ending], versions: Mapping[VersionKey, Version]) -> list[EndedRun]:
    """End runs because of something that happened: what they have queued is dropped, before it can be sent."""
    if not endings:
        return []
    ended = await end_runs(tx, endings, versions)
    await drop_queued(tx, [ending.run_id for ending in endings], RUN_STOPPED)
    return ended


async def end_runs(tx: Tx, endings: Sequence[Ending], versions: Mapping[VersionKey, Version]) -> list[EndedRun]:
    """End runs as they say; returns those that were still going. Messages that are queued go out."""
    if not endings:
        return []
    ended = await repository_runs.end_runs(tx, endings)
    await _count(tx, ended)
    await events.append(tx, [ended_event(run, versions[run.flow_id, run.version]) for run in ended])
    return ended


def ended_event(run: EndedRun, version: Version) -> Event:
    """`run.finished`, `run.stopped` or `run.failed`, with the flow's title, the step and the reason."""
    step = version.steps[run.step].title if run.step < len(version.steps) else ""
    data = {"flow": version.flow.title, "step": step, "reason": run.reason, "run_id": run.id}
    if run.campaign_id is not None:
        data["campaign_id"] = run.campaign_id
    return Event(f"run.{run.outcome}", run.id, run.contact_id, run.lead_id, actor=Actor("flow", run.flow_id), data=data)


def whole_outcome(run: EndedRun) -> str:
    """What the flow's own tally counts: stopped runs by reason, failed ones together."""
    return f"{STOPPED}{run.reason}" if run.outcome == "stopped" else run.outcome


def step_outcome(run: EndedRun) -> str:
    """What the tally of the last step counts; a run that finished has passed it."""
    return f"{LEFT}{run.reason}" if run.outcome == "stopped" else "failed"


async def _count(tx: Tx, ended: Sequence[EndedRun]) -> None:
    by_version: dict[VersionKey, list[EndedRun]] = {}
    for run in ended:
        by_version.setdefault((run.flow_id, run.version), []).append(run)
    for key in sorted(by_version):
        await repository.insert_tallies(tx, key, as_tallies(count_endings(by_version[key])))


def count_endings(ended: Sequence[EndedRun]) -> Counter[tuple[int, str]]:
    """What the end of these runs of one version adds to its tallies, by step and outcome."""
    counts = Counter((WHOLE, whole_outcome(run)) for run in ended)
    counts.update((run.step, step_outcome(run)) for run in ended if run.outcome != "finished")
    return counts


def as_tallies(counts: Mapping[tuple[int, str], int]) -> list[Tally]:
    """Counts by step and outcome as rows."""
    return [Tally(step, outcome, runs) for (step, outcome), runs in sorted(counts.items())]
