"""Telling its owner by mail that a campaign needs them: it paused itself, or could not start."""

from collections.abc import Sequence

from switchboard.delivery.models import Draft
from switchboard.delivery.service import queue_messages
from switchboard.flows import repository_campaigns
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event

HEARD = ("campaign.paused", "campaign.not_started")
_SUBJECTS = {"campaign.paused": "{} has paused itself", "campaign.not_started": "{} could not start"}


async def hear(tx: Tx, told: Sequence[Event]) -> None:
    """Write to whoever made the campaign, where nobody paused it by hand."""
    await queue_messages(
        tx, [draft for event in told if event.actor.kind == "system" and (draft := await _draft(tx, event))]
    )


async def _draft(tx: Tx, event: Event) -> Draft | None:
    campaign = await repository_campaigns.find_campaign(tx, event.subject_id) if event.subject_id else None
    if campaign is None or campaign.created_by is None:
        return None
    return Draft(
        user_id=campaign.created_by,
        purpose="transactional",
        subject=_SUBJECTS[event.kind].format(campaign.title),
        text=f"{event.data.get('reason', '')}\n\nThe campaign is {campaign.name}; it stands as {campaign.state}.\n",
    )
