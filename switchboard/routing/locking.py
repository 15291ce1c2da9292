"""Holding subjects against changes by others, in the one order that all rooms keep: lead, assignment, rota.

A lead's row belongs to a room above, which will write to it when it hears of the assignment. Locked only then, after
the rota, it would close a ring with a batch of signals that joins the lead and then waits for the rota.
"""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.routing import repository
from switchboard.routing.models import Assignment

# Told to the rooms above and not kept: whoever keeps rows of these subjects locks them, in the order of their ids.
SUBJECT_LOCKING = "subject.locking"


async def lock_subjects(tx: Tx, subject_ids: Sequence[UUID]) -> dict[UUID, Assignment]:
    """Lock the subjects and then their assignments; those that were never routed have none."""
    await tx.hub.deliver(tx, [Event(SUBJECT_LOCKING, subject_id=subject_id) for subject_id in sorted(subject_ids)])
    return await repository.lock_assignments(tx, subject_ids)
