"""The queue `steps`: moves every run that is due, the runs of one version together.

A tick has two transactions. The first holds the rows of due runs and does all steps that touch nothing else. The second
does those that change a subject (assign, set): locks on leads, on who has them and on rotas come before those on runs,
so it knows its runs by an advisory lock, locks the subjects first, and writes the rows of runs last.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import structlog

from switchboard.delivery.models import CampaignPriority
from switchboard.flows import repository, repository_campaigns, repository_runs
from switchboard.flows.actions import ACTIONS, Action
from switchboard.flows.endings import end_runs
from switchboard.flows.entering import QUEUE
from switchboard.flows.knowledge import Knowledge
from switchboard.flows.models import Ending, Run, Version, VersionKey
from switchboard.flows.subject_actions import SUBJECT_ACTIONS
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.versions import VersionShelf
from switchboard.flows.walking import Batch, Walk, begin_walk
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import SwitchboardError
from switchboard.kernel.queues import Tick, backoff
from switchboard.kernel.telemetry import STEP_LATENESS

CLAIM = 500
SUBJECT_CLAIM = 100
MOST_STEPS_A_TICK = 50
MOST_ATTEMPTS = 10
LONGEST_REASON = 500
FOLD_SECONDS = 60.0
TALLY_DAYS = timedelta(days=40)

Advance = Callable[[Batch], Awaitable[None]]

log = structlog.get_logger()


class StepLoop:
    """A transactional queue: what a step does and that it was done are committed together."""

    name = QUEUE

    def __init__(self, database: Database, kinds: SubjectKinds, *, public_url: str = "") -> None:
        self._database = database
        self._kinds = kinds
        self._public_url = public_url.rstrip("/")
        self._shelf = VersionShelf()
        self._folded: dict[UUID, float] = {}

    async def tick(self) -> Tick:
        """Move one batch of due runs."""
        async with self._database.queue_loop() as tx:
            claimed = await repository_runs.claim_due(tx, CLAIM)
            later = [run for group in _by_workspace(claimed) for run in await self._move(tx, group, subjects=False)]
        moved = len(claimed) - len(later)
        if later:
            moved += await self._change_subjects(later[:SUBJECT_CLAIM])
        return Tick(moved, has_more=moved > 0)

    async def _change_subjects(self, runs: Sequence[Run]) -> int:
        moved = 0
        async with self._database.queue_loop() as tx:
            held = await repository_runs.try_hold(tx, sorted(run.id for run in runs))
            for group in _by_workspace(run for run in runs if run.id in held):
                await tx.enter_workspace(group[0].workspace_id)
                await self._lock_subjects(tx, group)
                # Read again, because what was seen before the locks may have changed.
                due = await repository_runs.find_due(tx, [run.id for run in group])
                moved += len(due)
                if due:
                    await self._move(tx, due, subjects=True)
        return moved

    async def _lock_subjects(self, tx: Tx, runs: Sequence[Run]) -> None:
        """All of a workspace at once: contacts before leads, each kind in the order of ids."""
        for kind in sorted({run.subject_kind for run in runs}):
            if kind in self._kinds:
                await self._kinds[kind].lock(tx, sorted(run.subject_id for run in runs if run.subject_kind == kind))

    async def _move(self, tx: Tx, runs: Sequence[Run], *, subjects: bool) -> list[Run]:
        """Move the runs of one workspace; returns those whose step belongs to the other transaction."""
        await tx.enter_workspace(runs[0].workspace_id)
        runs = await _without_paused(tx, runs)
        versions = await self._shelf.load(tx, (run.version_key for run in runs))
        later = []
        for version, group in _by_version(runs, versions):
            mine = [run for run in group if (version.steps[run.step].kind in SUBJECT_ACTIONS) is subjects]
            if mine:
                await self._move_group(tx, version, mine, _change_once if subjects else _walk_on)
                await self._fold(tx, version.flow_id)
            later += [run for run in group if (version.steps[run.step].kind in SUBJECT_ACTIONS) is not subjects]
        return later

    async def _move_group(self, tx: Tx, version: Version, runs: Sequence[Run], advance: Advance) -> None:
        """All together; where that fails, one by one, so that one bad run holds nobody up."""
        try:
            async with tx.savepoint():
                await self._advance(tx, version, runs, advance)
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 whatever a step raises is kept on its run and tried again
            if len(runs) == 1:
                await _fail(tx, version, runs[0], error)
                return
            for run in runs:
                await self._move_group(tx, version, [run], advance)

    async def _advance(self, tx: Tx, version: Version, runs: Sequence[Run], advance: Advance) -> None:
        now = await tx.now()
        _observe_lateness(runs, now)
        batch = Batch(
            tx=tx,
            now=now,
            version=version,
            kinds=self._kinds,
            knowledge=Knowledge(tx, self._kinds, now),
            walks=[begin_walk(run, now) for run in runs],
            public_url=self._public_url,
            priorities=await _find_priorities(tx, runs),
        )
        await advance(batch)
        await batch.conclude()

    async def _fold(self, tx: Tx, flow_id: UUID) -> None:
        if monotonic_seconds() - self._folded.get(flow_id, 0.0) > FOLD_SECONDS:
            self._folded[flow_id] = monotonic_seconds()
            await repository.fold_tallies(tx, flow_id, TALLY_DAYS)


async def _walk_on(batch: Batch) -> None:
    """Step after step until every run rests, ends, or has come to a step of the other transaction."""
    for _ in range(MOST_STEPS_A_TICK):
        standing = _standing(batch, ACTIONS)
        if not standing:
            break
        for index, walks in sorted(standing.items()):
            step = batch.version.steps[index]
            await ACTIONS[step.kind](batch, step, walks)
    _pause_moving(batch)


async def _change_once(batch: Batch) -> None:
    """One step that changes subjects; what follows is for the other transaction."""
    for index, walks in sorted(_standing(batch, SUBJECT_ACTIONS).items()):
        step = batch.version.steps[index]
        await SUBJECT_ACTIONS[step.kind](batch, step, walks)
    _pause_moving(batch)


def _standing(batch: Batch, actions: Mapping[str, Action]) -> dict[int, list[Walk]]:
    standing: dict[int, list[Walk]] = {}
    for walk in batch.walks:
        if walk.is_moving and batch.version.steps[walk.step].kind in actions:
            standing.setdefault(walk.step, []).append(walk)
    return standing


def _pause_moving(batch: Batch) -> None:
    for walk in batch.walks:
        if walk.is_moving:
            walk.pause()


async def _without_paused(tx: Tx, runs: Sequence[Run]) -> list[Run]:
    """Runs of paused flows and of held campaigns are parked, and go on when these do."""
    paused = await repository.lock_paused(tx, sorted({run.flow_id for run in runs}))
    if paused:
        await repository_runs.park_paused(tx, [run.id for run in runs if run.flow_id in paused])
    going = [run for run in runs if run.flow_id not in paused]
    campaign_ids = sorted({run.campaign_id for run in going if run.campaign_id is not None})
    held = await repository_campaigns.lock_held(tx, campaign_ids) if campaign_ids else set()
    if held:
        await repository_runs.park_paused(tx, [run.id for run in going if run.campaign_id in held])
    return [run for run in going if run.campaign_id not in held]


async def _find_priorities(tx: Tx, runs: Sequence[Run]) -> Mapping[UUID, CampaignPriority]:
    campaign_ids = {run.campaign_id for run in runs if run.campaign_id is not None}
    return await repository_campaigns.find_priorities(tx, campaign_ids) if campaign_ids else {}


async def _fail(tx: Tx, version: Version, run: Run, error: Exception) -> None:
    reason = error.message if isinstance(error, SwitchboardError) else f"{type(error).__name__}: {error}"
    attempts = run.attempts + 1
    log.warning(
        "flow.step_failed",
        run_id=str(run.id),
        flow_id=str(run.flow_id),
        attempts=attempts,
        exc_info=None if isinstance(error, SwitchboardError) else error,
    )
    if attempts >= MOST_ATTEMPTS:
        await end_runs(tx, [Ending(run.id, "failed", reason[:LONGEST_REASON])], {version.key: version})
    else:
        await repository_runs.save_failure(tx, run.id, backoff(attempts), reason[:LONGEST_REASON])


def _observe_lateness(runs: Iterable[Run], now: datetime) -> None:
    for run in runs:
        if run.due_at is not None:
            STEP_LATENESS.observe(max((now - run.due_at).total_seconds(), 0.0))


def _by_workspace(runs: Iterable[Run]) -> list[list[Run]]:
    groups: dict[UUID, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.workspace_id, []).append(run)
    return [groups[workspace_id] for workspace_id in sorted(groups)]


def _by_version(runs: Iterable[Run], versions: Mapping[VersionKey, Version]) -> list[tuple[Version, list[Run]]]:
    groups: dict[VersionKey, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.version_key, []).append(run)
    return [(versions[key], groups[key]) for key in sorted(groups)]
