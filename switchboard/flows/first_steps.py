"""First steps: those of runs that begin for newcomers are taken where they begin, in the same transaction.

Whoever asks for a call waits for a chain of commits, and this makes it shorter by one. Nobody else can see a newcomer
or their run yet, so nobody is kept waiting for its row; whatever needs code for each run is left to the stepper.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from switchboard.flows import repository_cohorts
from switchboard.flows.knowledge import Knowledge
from switchboard.flows.models import NewRun
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.trails import go_together, go_unguarded, stand_in
from switchboard.flows.versions import VersionShelf
from switchboard.flows.walking import Batch, begin_walk
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.kernel.queues import wake

HEARD = ("run.started",)
QUEUE = "steps"
# More than these are a backlog: then the stepper takes them side by side with recognition.
MOST_AT_ONCE = 50


def are_taken(tx: Tx, begun: Iterable[NewRun]) -> bool:
    """Whether the first steps of these runs are taken at the end of what this transaction gathers."""
    return tx.gathered_events is not None and all(run.contact_id in tx.newcomers for run in begun)


class FirstSteps:
    """The subscriber of one process, told late: of all runs that a batch has begun."""

    def __init__(self, kinds: SubjectKinds) -> None:
        self._kinds = kinds
        self._shelf = VersionShelf()

    async def hear(self, tx: Tx, told: Sequence[Event]) -> None:
        """Move those runs that stand alike; whatever is due afterwards is the stepper's."""
        run_ids = [event.subject_id for event in told if event.subject_id and event.contact_id in tx.newcomers]
        if not run_ids:
            return
        if len(run_ids) > MOST_AT_ONCE or not await self._go(tx, run_ids):
            await wake(tx, QUEUE)

    async def _go(self, tx: Tx, run_ids: Sequence[UUID]) -> bool:
        """Whether nothing of them is due any more."""
        now = await tx.now()
        cohorts = await repository_cohorts.find_begun(tx, run_ids)
        versions = await self._shelf.load(tx, (cohort.version_key for cohort in cohorts))
        # What fails undoes the whole batch, which is then taken again within savepoints.
        go = go_together if tx.savepoints else go_unguarded
        is_done = True
        for cohort in cohorts:
            walk = begin_walk(stand_in(cohort), now)
            batch = Batch(
                tx=tx,
                now=now,
                version=versions[cohort.version_key],
                kinds=self._kinds,
                knowledge=Knowledge(tx, self._kinds, now),
                walks=[walk],
                public_url="",
            )
            is_done &= await go(cohort, batch) and not walk.stays_due(now)
        return is_done
