"""What delivery brings into a process: its loops, with the channels that the settings choose."""

from collections.abc import Collection

from switchboard.delivery.channels.registry import build_channels
from switchboard.delivery.letters import Letterhead
from switchboard.delivery.models import PATIENT_LANES, URGENT_LANES, LoadLeadFacts
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.pacing import Pace
from switchboard.delivery.queueing import OUTBOX, OUTBOX_URGENT
from switchboard.delivery.reaping import ReaperLoop
from switchboard.kernel.db import Database
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings

# Of the connections that the settings allow, how many only pages and people's answers use.
SLOTS_FOR_URGENT = 2


def build_loops(settings: Settings, database: Database, load_lead_facts: LoadLeadFacts) -> list[Loop]:
    """The outbox, its fast lane and its reaper; raises ConfigurationError for settings that cannot be used.

    Pages and people's answers have a loop and connections of their own, so that no batch of others keeps them waiting.
    """
    letterhead = Letterhead.of(settings)
    rate = settings.email_rate_per_minute
    paces = {"email": Pace(rate)} if rate else {}

    def build_outbox(name: str, slots: int, lanes: Collection[int]) -> OutboxLoop:
        channels = build_channels(settings, database, connections=slots)
        return OutboxLoop(
            database, channels, letterhead, load_lead_facts, name=name, slots=slots, lanes=lanes, paces=paces
        )

    urgent = build_outbox(OUTBOX_URGENT, SLOTS_FOR_URGENT, URGENT_LANES)
    return [
        urgent,
        build_outbox(OUTBOX, settings.email_connections - SLOTS_FOR_URGENT, PATIENT_LANES),
        ReaperLoop(database),
    ]
