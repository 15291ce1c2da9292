"""Putting a process together: which room hears which events, which pages there are, and which loops run."""

from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID

from starlette.routing import Route

from switchboard.accounts import pages as accounts_pages
from switchboard.accounts.models import Caller
from switchboard.delivery import pages as delivery_pages
from switchboard.delivery import wiring as delivery_wiring
from switchboard.delivery.holder import MessageHolder
from switchboard.delivery.models import LeadFacts
from switchboard.flows import campaign_work
from switchboard.flows import pages as flows_pages
from switchboard.flows import wiring as flows_wiring
from switchboard.flows.campaign_holder import RecipientHolder
from switchboard.flows.contacts import ContactKind, RunHolder
from switchboard.flows.stepper import StepLoop
from switchboard.flows.subjects import SubjectKind, SubjectKinds
from switchboard.inbox import pages as inbox_pages
from switchboard.inbox import service as inbox
from switchboard.inbox import wiring as inbox_wiring
from switchboard.inbox.holder import ConversationHolder
from switchboard.inbox.listener import MailListener
from switchboard.intake import pages as intake_pages
from switchboard.intake import wiring as intake_wiring
from switchboard.intake.recognition import RecognitionLoop
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings
from switchboard.leads import numbers as leads_numbers
from switchboard.leads import pages as leads_pages
from switchboard.leads import wiring as leads_wiring
from switchboard.leads.holder import LeadHolder
from switchboard.leads.subject import LeadKind
from switchboard.ops import housekeeping
from switchboard.people import pages as people_pages
from switchboard.people import wiring as people_wiring
from switchboard.people.merging import ContactHolder
from switchboard.people.segment_vocabulary import Vocabulary
from switchboard.routing import pages as routing_pages
from switchboard.routing.holder import AssignmentHolder
from switchboard.routing.waiting import WaitingLoop

# Rooms whose templates pages may name, as in `leads/list.html`.
ROOMS_WITH_PAGES: tuple[str, ...] = ("accounts", "people", "routing", "delivery", "flows", "leads", "inbox", "intake")


def build_hub() -> Hub:
    """Everything that travels upwards between rooms, wired in one place."""
    hub = Hub()
    people_wiring.subscribe(hub)
    leads_wiring.subscribe(hub)
    inbox_wiring.subscribe(hub)
    flows_wiring.subscribe(hub, subject_kinds())
    intake_wiring.subscribe(hub)
    housekeeping.subscribe(hub)
    return hub


def page_routes() -> list[Route]:
    """The pages of every room."""
    return [
        *accounts_pages.routes,
        *people_pages.routes,
        *routing_pages.routes,
        *delivery_pages.routes,
        *flows_pages.routes,
        *leads_pages.routes,
        *inbox_pages.routes,
        *intake_pages.routes,
    ]


def contact_holders() -> Sequence[ContactHolder]:
    """The rooms that hold rows of a contact, which a merge moves and an undo moves back."""
    return (LeadHolder(), AssignmentHolder(), RunHolder(), ConversationHolder(), MessageHolder(), RecipientHolder())


def subject_kinds() -> SubjectKinds:
    """What flows can be about."""
    kinds: list[SubjectKind] = [ContactKind(), LeadKind()]
    return {kind.kind: kind for kind in kinds}


async def load_letter_facts(tx: Tx, lead_ids: Sequence[UUID]) -> Mapping[UUID, LeadFacts]:
    """What letters may say of these leads."""
    return {lead_id: facts.values for lead_id, facts in (await LeadKind().load_facts(tx, lead_ids)).items()}


@cache
def segment_vocabulary() -> Vocabulary:
    """What conditions of segments may speak of: people's own columns and rows, and those of the rooms above."""
    return people_wiring.make_vocabulary(leads_wiring.segment_relations())


def build_loops(settings: Settings, database: Database) -> list[Loop]:
    """Every queue of one process, in the order of a signal's life."""
    vocabulary = segment_vocabulary()
    handlers = {
        **people_wiring.job_handlers(vocabulary),
        **intake_wiring.job_handlers(database),
        **inbox_wiring.job_handlers(settings),
        **campaign_work.job_handlers(),
        **housekeeping.job_handlers(settings),
    }
    jobs = JobLoop(database, handlers, together=people_wiring.job_handlers_together(), alone=[housekeeping.KIND])
    segments = people_wiring.build_loops(database, vocabulary)
    mail = MailListener.from_settings(settings, database)
    steps = [
        StepLoop(database, subject_kinds(), of_campaigns=of_campaigns, public_url=settings.public_url)
        for of_campaigns in (False, True)
    ]
    sending = delivery_wiring.build_loops(settings, database, load_letter_facts)
    kept = intake_wiring.build_loops(settings, database)
    return [*kept, RecognitionLoop(database), WaitingLoop(database), *segments, *steps, *sending, jobs, mail]


async def shell_counts(tx: Tx, _caller: Caller) -> Mapping[str, int]:
    """The numbers in the rail of every page: leads and conversations that wait for an answer."""
    return {"waiting": await leads_numbers.count_overdue(tx), "inbox": await inbox.count_waiting(tx)}
