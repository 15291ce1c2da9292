"""Taking due jobs: the most urgent first, and behind those that are done already."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.low_water import Look, LowWater

PRIORITIES = range(10)
"""A smaller one goes first."""

# Whether a job is due, of whatever kind; by the partial index job_due, a range a priority.
IS_DUE = f"""EXISTS (
        SELECT FROM app.job WHERE priority IN ({", ".join(map(str, PRIORITIES))}) AND failed_at IS NULL
            AND due_at <= app.now())"""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed row of `app.job`."""

    id: UUID
    workspace_id: UUID
    kind: str
    payload: dict[str, object]
    attempts: int
    priority: int
    due_at: datetime


class JobClaims:
    """The claims of one process for the kinds that it knows, with a low-water mark for each priority."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = sorted(kinds)
        self._marks = {priority: LowWater() for priority in PRIORITIES}

    async def claim(self, tx: Tx, most: int) -> list[Job]:
        """Hold at most `most` due jobs until the transaction ends, in the order in which they should run."""
        looks = {priority: mark.begin() for priority, mark in self._marks.items()}
        jobs = await self._look(tx, looks, most)
        if not jobs and any(mark.look_again(looks[priority]) for priority, mark in self._marks.items()):
            self.reset()
            jobs = await self._look(tx, {priority: mark.begin() for priority, mark in self._marks.items()}, most)
        return jobs

    def give_back(self, jobs: Sequence[Job]) -> None:
        """These were claimed and are left as they were."""
        for job in jobs:
            self._marks[job.priority].go_back_to(job.due_at)

    def reset(self) -> None:
        """Look at everything next time: a claim was rolled back."""
        for mark in self._marks.values():
            mark.reset()

    async def _look(self, tx: Tx, looks: Mapping[int, Look], most: int) -> list[Job]:
        since = {priority: look.since for priority, look in looks.items()}
        now, jobs = await _claim(tx, self._kinds, since, most)
        self._conclude(looks, jobs, most, now)
        return jobs

    def _conclude(self, looks: Mapping[int, Look], jobs: Sequence[Job], most: int, now: datetime) -> None:
        """Move the mark of each priority that was looked at: behind its last row where that was all, else to now."""
        found = Counter(job.priority for job in jobs)
        last = {job.priority: job.due_at for job in jobs}
        for priority, mark in self._marks.items():
            if most <= 0:
                return
            mark.conclude(looks[priority], now, last[priority] if found[priority] >= most else None)
            most -= found[priority]


async def _claim(tx: Tx, kinds: Sequence[str], since: Mapping[int, datetime], most: int) -> tuple[datetime, list[Job]]:
    # Walks the partial index job_due, one priority after the other until there are enough; a priority that is not
    # reached is not looked at, and nothing of it locked.
    rows = await tx.fetch_tuples(
        """
        SELECT app.now(), due.* FROM (SELECT) AS one LEFT JOIN (
            SELECT job.* FROM unnest(%(priorities)s::smallint[], %(since)s::timestamptz[]) AS lane (priority, since)
            CROSS JOIN LATERAL (
                SELECT id, workspace_id, kind, payload, attempts, priority, due_at FROM app.job
                WHERE priority = lane.priority AND due_at >= lane.since AND due_at <= app.now()
                  AND failed_at IS NULL AND kind = ANY(%(kinds)s)
                ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
            ) AS job LIMIT %(most)s
        ) AS due ON true
        """,
        {"priorities": list(since), "since": list(since.values()), "kinds": kinds, "most": most},
    )
    jobs = [Job(*row[1:]) for row in rows if row[1] is not None]
    return rows[0][0], sorted(jobs, key=lambda job: (job.priority, job.due_at))
