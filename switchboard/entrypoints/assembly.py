"""Putting a process together: which room hears which events, which pages there are, and which loops run."""

from collections.abc import Mapping, Sequence

from starlette.routing import Route

from switchboard.accounts import pages as accounts_pages
from switchboard.accounts.models import Caller
from switchboard.intake import wiring as intake_wiring
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings
from switchboard.leads import wiring as leads_wiring
from switchboard.leads.holder import LeadHolder
from switchboard.leads.subject import LeadKind
from switchboard.people import pages as people_pages
from switchboard.people import suggesting
from switchboard.people.merging import ContactHolder

# Rooms whose templates pages may name, as in `leads/list.html`.
ROOMS_WITH_PAGES: tuple[str, ...] = ("accounts", "people")


def build_hub() -> Hub:
    """Everything that travels upwards between rooms, wired in one place."""
    hub = Hub()
    leads_wiring.subscribe(hub)
    return hub


def page_routes() -> list[Route]:
    """The pages of every room."""
    return [*accounts_pages.routes, *people_pages.routes]


def contact_holders() -> Sequence[ContactHolder]:
    """The rooms that hold rows of a contact, which a merge moves and an undo moves back."""
    return (LeadHolder(),)


def subject_kinds() -> Mapping[str, object]:
    """What flows can be about."""
    kinds = [LeadKind()]
    return {kind.kind: kind for kind in kinds}


def build_loops(_settings: Settings, database: Database) -> list[Loop]:
    """Every queue of one process, in the order of a signal's life."""
    jobs = JobLoop(database, {suggesting.JOB: suggesting.suggest, **intake_wiring.job_handlers()})
    return [RecognitionLoop(database), jobs]


async def shell_counts(_tx: Tx, _caller: Caller) -> Mapping[str, int]:
    """The numbers in the rail of every page."""
    return {}
