"""Cohorts: runs that are due and stand alike, so that what one of them does, all do."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.delivery.service import Recipients
from switchboard.flows.models import Phase, VersionKey
from switchboard.kernel.columns import Column


@dataclass(frozen=True, slots=True)
class Cohort:
    """Claimed runs of one version at one step, in one phase, of one campaign or of none, with contacts or without.

    The columns are in one order. `places` are where the rows lie, which holds while the transaction holds them: by
    those they are found again without any index. Their moments are from `first_due` to `last_due`.
    """

    workspace_id: UUID
    flow_id: UUID
    version: int
    step: int
    phase: Phase
    campaign_id: UUID | None
    has_contact: bool
    runs: int
    first_due: datetime
    last_due: datetime
    places: Column
    run_ids: Column
    revisions: Column
    contact_ids: Column
    lead_ids: Column
    due_ats: Column

    @property
    def version_key(self) -> VersionKey:
        """Flow and version."""
        return (self.flow_id, self.version)

    @property
    def recipients(self) -> Recipients:
        """The runs, as those who write a letter."""
        return Recipients(self.run_ids, self.revisions, self.contact_ids, self.lead_ids, self.due_ats)
