"""What the flows room hears: every event that may begin, stop or wake a run."""

from switchboard.flows.definition import EVENTS
from switchboard.flows.subjects import SubjectKinds
from switchboard.flows.triggers import FlowTriggers
from switchboard.kernel.events import Hub


def subscribe(hub: Hub, kinds: SubjectKinds) -> None:
    """Hear the events that flows may name."""
    hub.subscribe(EVENTS, FlowTriggers(kinds).hear)
