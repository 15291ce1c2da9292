"""The demo's campaigns: one that ran to a segment of customers, and one with a test that is still a draft."""

from datetime import date, time, timedelta
from importlib import resources
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery import letter_templates
from switchboard.delivery.models import LetterDraft
from switchboard.flows import campaigns
from switchboard.flows import service as flows
from switchboard.flows.campaign_models import CampaignForm
from switchboard.flows.subjects import SubjectKinds
from switchboard.kernel.db import Tx
from switchboard.people import segments
from switchboard.people.segment_models import SegmentForm

LETTERS = (
    ("spring_news", "Spring news", "What is new this spring, {{ contact.first_name | default: 'in short' }}"),
    ("spring_question", "Spring question", "One question, {{ contact.first_name | default: 'if you have a minute' }}"),
)
FLOW = """\
flow: {name}
title: {title}
subject: contact
stops: [message.replied, contact.opted_out]
reentry: {{after: 30d}}
steps:
  - send: {name}
"""
SEGMENT = SegmentForm("People in Germany", "people_in_germany", 'contact.country == "DE"')
SHARE = 10


async def add_segment(tx: Tx, caller: Caller) -> UUID:
    """Whom the campaign goes to; the queues fill it."""
    return (await segments.create_segment(tx, caller, SEGMENT)).id


async def is_filled(tx: Tx, caller: Caller, segment_id: UUID) -> bool:
    """Whether everybody of the segment is in it."""
    return not (await segments.get_segment(tx, caller, segment_id)).is_building


async def run_one_and_draft_one(tx: Tx, caller: Caller, segment_id: UUID, kinds: SubjectKinds, today: date) -> None:
    """Start the one, at a pace that can be watched, and leave the other for somebody to look at."""
    sent = [await _add_flow(tx, caller, kinds, letter) for letter in LETTERS]
    ran = CampaignForm(
        name="spring_news",
        title="Spring news",
        variants=[(sent[0], 100)],
        audience_id=segment_id,
        throttle_per_minute=600,
    )
    await campaigns.start_campaign(tx, caller, (await campaigns.create_campaign(tx, caller, ran)).id)
    draft = CampaignForm(
        name="which_letter",
        title="Which letter is answered more?",
        variants=[(flow_id, SHARE) for flow_id in sent],
        audience_kind="everybody",
        start_kind="local_hour",
        local_date=today + timedelta(days=7),
        local_hour=time(9),
        when_passed="tomorrow",
        winner_rule="answered",
        winner_after=timedelta(hours=4),
    )
    await campaigns.create_campaign(tx, caller, draft)


async def _add_flow(tx: Tx, caller: Caller, kinds: SubjectKinds, letter: tuple[str, str, str]) -> UUID:
    name, title, subject = letter
    body = resources.files("switchboard.ops").joinpath("library", "spring_news.mjml").read_text(encoding="utf-8")
    await letter_templates.create_template(tx, caller, LetterDraft(name, title, "marketing", subject, body))
    flow = await flows.save_flow(tx, caller, FLOW.format(name=name, title=title), kinds)
    await flows.activate(tx, caller, flow.id, kinds)
    return flow.id
