"""What the flows room hears: every event that may begin, stop or wake a run, or happens to a campaign's recipient."""

from switchboard.flows import campaign_alerts, campaign_ledger, first_steps
from switchboard.flows.definition import EVENTS
from switchboard.flows.first_steps import FirstSteps
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.triggers import FlowTriggers
from switchboard.kernel.events import Hub


def subscribe(hub: Hub, kinds: SubjectKinds) -> None:
    """Hear the events that flows may name, and what becomes of the recipients of campaigns."""
    hub.subscribe(EVENTS, FlowTriggers(kinds).hear)
    hub.subscribe(first_steps.HEARD, FirstSteps(kinds).hear, is_late=True)
    hub.subscribe(
        campaign_ledger.HEARD_OF_CAMPAIGNS,
        campaign_ledger.hear,
        naming=campaign_ledger.CAMPAIGN,
        alike=campaign_ledger.hear_alike,
    )
    hub.subscribe(campaign_ledger.HEARD_OF_PERSONS, campaign_ledger.hear)
    hub.subscribe(campaign_alerts.HEARD, campaign_alerts.hear)
