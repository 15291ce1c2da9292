"""What delivery brings into a process: its loops, with the channels that the settings choose."""

from switchboard.delivery.channels.registry import build_channels
from switchboard.delivery.letters import Letterhead
from switchboard.delivery.models import LoadLeadFacts
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.pacing import Pace
from switchboard.delivery.reaping import ReaperLoop
from switchboard.kernel.db import Database
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings


def build_loops(settings: Settings, database: Database, load_lead_facts: LoadLeadFacts) -> list[Loop]:
    """The outbox and its reaper; raises ConfigurationError when links cannot be signed."""
    letterhead = Letterhead.of(settings)
    channels = build_channels(settings, database)
    rate = settings.email_rate_per_minute
    paces = {"email": Pace(rate)} if rate else {}
    outbox = OutboxLoop(database, channels, letterhead, load_lead_facts, slots=settings.email_connections, paces=paces)
    return [outbox, ReaperLoop(database)]
