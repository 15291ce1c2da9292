"""The queues `steps` and `campaign-steps`: move every run that is due, those that stand alike together.

A tick has two transactions. The first holds the rows of due runs and does all steps that touch nothing else: for whole
cohorts at once where it can (see `trails`), run by run where it must. The second does those that change a subject
(assign, set): locks on leads, on who has them and on rotas come before those on runs, so it knows its runs by an
advisory lock, locks the subjects first, and writes the rows of runs last. While there is a backlog, two ticks' worth go
side by side: one in Postgres, while the other is in Python or at its commit.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from switchboard.delivery.models import CampaignPriority
from switchboard.flows import repository, repository_campaigns, repository_cohorts, repository_runs
from switchboard.flows.actions import ACTIONS, Action
from switchboard.flows.cohorts import Cohort
from switchboard.flows.endings import end_runs
from switchboard.flows.entering import CAMPAIGN_QUEUE, QUEUE
from switchboard.flows.knowledge import Knowledge
from switchboard.flows.models import Ending, Run, Version, VersionKey
from switchboard.flows.subject_actions import SUBJECT_ACTIONS
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.trails import FindTrail, find_trail, go_together, stand_in
from switchboard.flows.versions import VersionShelf
from switchboard.flows.walking import MOST_STEPS_A_TICK, Batch, Walk, begin_walk
from switchboard.kernel.clock import monotonic_seconds
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import SwitchboardError
from switchboard.kernel.low_water import LowWater
from switchboard.kernel.queues import Tick, backoff, concerns_batch, one_by_one
from switchboard.kernel.telemetry import STEP_LATENESS

CLAIM = 1_000
# What is walked run by run takes Python's time, while rows are held and others wait.
ALONE_CLAIM = 500
SUBJECT_CLAIM = 100
SIDE_BY_SIDE = 2
# A cohort costs some statements, whatever its size: a few runs of one version at many steps walk together instead.
FEWEST_ALIKE = 8
MOST_ATTEMPTS = 10
LONGEST_REASON = 500
FOLD_SECONDS = 60.0
TALLY_DAYS = timedelta(days=40)

Advance = Callable[[Batch], Awaitable[None]]
Held = TypeVar("Held", Run, Cohort)

log = structlog.get_logger()


class StepLoop:
    """A transactional queue: what a step does and that it was done are committed together.

    One moves the runs that events began, another those of campaigns (`of_campaigns`). `find_trail` says which cohorts
    move as one; a test that wants every run to walk by itself gives another.
    """

    def __init__(
        self,
        database: Database,
        kinds: SubjectKinds,
        *,
        of_campaigns: bool = False,
        public_url: str = "",
        find_trail: FindTrail = find_trail,
    ) -> None:
        self.name = CAMPAIGN_QUEUE if of_campaigns else QUEUE
        self.due = repository_cohorts.is_due(of_campaigns=of_campaigns)
        self._of_campaigns = of_campaigns
        self._database = database
        self._kinds = kinds
        self._public_url = public_url.rstrip("/")
        self._find_trail = find_trail
        self._shelf = VersionShelf()
        self._folded: dict[UUID, float] = {}
        self._mark = LowWater()
        self._claiming = asyncio.Lock()
        self._has_backlog = False
        self._leaves_some_due = False
        self._left_from: list[datetime] = []

    async def tick(self) -> Tick:
        """Move one batch of due runs, or two while there are more than one takes."""
        self._leaves_some_due, self._left_from = False, []
        batches = SIDE_BY_SIDE if self._has_backlog else 1
        done = await asyncio.gather(*(self._batch() for _ in range(batches)), return_exceptions=True)
        if self._left_from:
            # Only now are they free: a claim beside this one has passed them by.
            self._mark.go_back_to(min(self._left_from))
        moved = [one for one in done if isinstance(one, int)]
        for failure in done:
            if isinstance(failure, BaseException):
                self._mark.reset()
                raise failure
        # Whatever becomes due by something else brings a notice along: no look that finds nothing stands in its way.
        return Tick(sum(moved), has_more=self._has_backlog or self._leaves_some_due)

    async def _batch(self) -> int:
        moved, later = 0, list[Run]()
        async with self._database.queue_loop(keeps_plans=True) as tx:
            now, cohorts = await self._claim(tx)
            await tx.expect(sum(cohort.runs for cohort in cohorts))
            for group in _by_workspace(cohorts):
                await tx.enter_workspace(group[0].workspace_id)
                with tx.remembering():
                    done, left = await self._move(tx, group, now)
                moved, later = moved + done, later + left
        if later:
            moved += await self._change_subjects(later[:SUBJECT_CLAIM])
        return moved

    async def _claim(self, tx: Tx) -> tuple[datetime, list[Cohort]]:
        """What is due; one after the other, so that each claim begins where the last has come to."""
        async with self._claiming:
            look = self._mark.begin()
            now, cohorts = await repository_cohorts.claim(tx, look.since, CLAIM, of_campaigns=self._of_campaigns)
            if not cohorts and self._mark.look_again(look):
                self._mark.reset()
                look = self._mark.begin()
                now, cohorts = await repository_cohorts.claim(tx, look.since, CLAIM, of_campaigns=self._of_campaigns)
            self._has_backlog = sum(cohort.runs for cohort in cohorts) >= CLAIM
            last_due = max(cohort.last_due for cohort in cohorts) if self._has_backlog else None
            self._mark.conclude(look, now, last_due)
        for cohort in cohorts:
            STEP_LATENESS.observe(max((now - cohort.first_due).total_seconds(), 0.0))
        return now, cohorts

    async def _move(self, tx: Tx, cohorts: Sequence[Cohort], now: datetime) -> tuple[int, list[Run]]:
        """Move the runs of one workspace; says how many, and which are for the other transaction."""
        cohorts = await _without_paused(tx, cohorts)
        versions = await self._shelf.load(tx, (cohort.version_key for cohort in cohorts))
        of_version = Counter(cohort.version_key for cohort in cohorts)
        moved, alone, later = 0, list[Cohort](), list[Cohort]()
        for cohort in sorted(cohorts, key=lambda one: (one.version_key, one.step, one.phase, one.has_contact)):
            version = versions[cohort.version_key]
            is_worth_it = cohort.runs >= FEWEST_ALIKE or of_version[cohort.version_key] == 1
            if version.steps[cohort.step].kind in SUBJECT_ACTIONS:
                later.append(cohort)
            elif is_worth_it and await self._go_together(tx, version, cohort, now):
                moved += cohort.runs
            else:
                alone.append(cohort)
        moved += await self._go_alone(tx, versions, alone, now)
        for flow_id in sorted({cohort.flow_id for cohort in cohorts}):
            await self._fold(tx, flow_id)
        return moved, await self._load(tx, later, SUBJECT_CLAIM)

    async def _go_together(self, tx: Tx, version: Version, cohort: Cohort, now: datetime) -> bool:
        """Let one go ahead and all others follow, where they can."""
        batch = await self._batch_of(tx, version, [stand_in(cohort)], now)
        if not await go_together(cohort, batch, self._find_trail):
            return False
        self._note_left(batch)
        return True

    async def _go_alone(
        self, tx: Tx, versions: Mapping[VersionKey, Version], cohorts: Sequence[Cohort], now: datetime
    ) -> int:
        """Let each run walk by itself, those of a version side by side."""
        runs = await self._load(tx, cohorts, ALONE_CLAIM)
        for version, group in _by_version(runs, versions):
            await self._move_group(tx, version, group, now, _walk_on)
        return len(runs)

    async def _load(self, tx: Tx, cohorts: Sequence[Cohort], most: int) -> list[Run]:
        """Their runs as objects, the longest overdue first; what is beyond `most` is left for the next tick."""
        if not cohorts:
            return []
        if sum(cohort.runs for cohort in cohorts) > most:
            self._leaves_some_due = True
            self._left_from.append(min(cohort.first_due for cohort in cohorts))
        return await repository_cohorts.load_runs(tx, [cohort.places for cohort in cohorts], most)

    async def _change_subjects(self, runs: Sequence[Run]) -> int:
        moved = 0
        async with self._database.queue_loop(keeps_plans=True) as tx:
            await tx.expect(len(runs))
            held = await repository_runs.try_hold(tx, sorted(run.id for run in runs))
            for group in _by_workspace([run for run in runs if run.id in held]):
                moved += await self._change_subjects_of(tx, group)
        return moved

    async def _change_subjects_of(self, tx: Tx, runs: Sequence[Run]) -> int:
        await tx.enter_workspace(runs[0].workspace_id)
        await self._lock_subjects(tx, runs)
        # Read again, because what was seen before the locks may have changed; what rests by now, the next tick parks.
        due = await repository_runs.find_due(tx, [run.id for run in runs])
        versions = await self._shelf.load(tx, (run.version_key for run in due))
        now = await tx.now()
        for version, group in _by_version(due, versions):
            mine = [run for run in group if version.steps[run.step].kind in SUBJECT_ACTIONS]
            if mine:
                await self._move_group(tx, version, mine, now, _change_once)
        return len(due)

    async def _lock_subjects(self, tx: Tx, runs: Sequence[Run]) -> None:
        """All of a workspace at once: contacts before leads, each kind in the order of ids."""
        for kind in sorted({run.subject_kind for run in runs}):
            if kind in self._kinds:
                await self._kinds[kind].lock(tx, sorted(run.subject_id for run in runs if run.subject_kind == kind))

    async def _move_group(self, tx: Tx, version: Version, runs: Sequence[Run], now: datetime, advance: Advance) -> None:
        """All together; where that fails, one by one, so that one bad run holds nobody up."""
        try:
            async with tx.savepoint():
                batch = await self._batch_of(tx, version, runs, now)
                await advance(batch)
                await batch.conclude()
            self._note_left(batch)
        except Exception as error:
            if concerns_batch(error):
                raise
            # Whatever a step raises is kept on its run and tried again.
            if len(runs) == 1:
                await _fail(tx, version, runs[0], error)
                return
            for run in one_by_one(runs):
                await self._move_group(tx, version, [run], now, advance)

    def _note_left(self, batch: Batch) -> None:
        self._leaves_some_due = self._leaves_some_due or any(walk.stays_due(batch.now) for walk in batch.walks)

    async def _batch_of(self, tx: Tx, version: Version, runs: Sequence[Run], now: datetime) -> Batch:
        return Batch(
            tx=tx,
            now=now,
            version=version,
            kinds=self._kinds,
            knowledge=Knowledge(tx, self._kinds, now),
            walks=[begin_walk(run, now) for run in runs],
            public_url=self._public_url,
            priorities=await _find_priorities(tx, runs),
        )

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


async def _without_paused(tx: Tx, cohorts: Sequence[Cohort]) -> list[Cohort]:
    """Runs of paused flows and of held campaigns are parked, and go on when these do."""
    paused = await repository.lock_paused(tx, sorted({cohort.flow_id for cohort in cohorts}))
    campaign_ids = sorted({cohort.campaign_id for cohort in cohorts if cohort.campaign_id is not None})
    held = await repository_campaigns.lock_held(tx, campaign_ids) if campaign_ids else set()
    going, resting = list[Cohort](), list[Cohort]()
    for cohort in cohorts:
        (resting if cohort.flow_id in paused or cohort.campaign_id in held else going).append(cohort)
    if resting:
        await repository_cohorts.park(tx, [cohort.places for cohort in resting])
    return going


async def _find_priorities(tx: Tx, runs: Iterable[Run]) -> Mapping[UUID, CampaignPriority]:
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


def _by_workspace(held: Iterable[Held]) -> list[list[Held]]:
    groups: dict[UUID, list[Held]] = {}
    for one in held:
        groups.setdefault(one.workspace_id, []).append(one)
    return [groups[workspace_id] for workspace_id in sorted(groups)]


def _by_version(runs: Iterable[Run], versions: Mapping[VersionKey, Version]) -> list[tuple[Version, list[Run]]]:
    groups: dict[VersionKey, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.version_key, []).append(run)
    return [(versions[key], groups[key]) for key in sorted(groups)]
