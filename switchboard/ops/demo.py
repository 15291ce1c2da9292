"""A believable workspace, made the way real ones come about: through the intake, by members' own hands, by mail.

Older enquiries come first and are worked off; then the flows are switched on and the last two days arrive, so that
letters go out, clocks run, and some people answer by mail.
"""

import asyncio
import json
import random
import secrets
import smtplib
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from uuid import UUID

import structlog

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, Member, Role, system_caller
from switchboard.delivery import service as delivery
from switchboard.flows import service as flows
from switchboard.flows.subjects import SubjectKinds
from switchboard.inbox import answering
from switchboard.inbox import service as inbox
from switchboard.intake import service as intake
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import Settings
from switchboard.leads import listing
from switchboard.leads import service as leads
from switchboard.leads.models import LeadFilter, LeadSummary
from switchboard.ops import demo_campaigns, queries
from switchboard.ops.demo_people import DemoLead, demo_leads
from switchboard.ops.first_run import ROTA_NAME, SOURCE_NAME
from switchboard.people import service as people
from switchboard.routing import rotas, rules
from switchboard.routing import service as routing
from switchboard.routing.models import Rota, RuleTarget, Shift

LEADS = 5_000
RECENT = timedelta(days=2)
AT_ONCE = 200
ANSWERS = 40
LOST = 25
SETTLE_SECONDS = 300.0
REQUEST_SECONDS = 30
MEMBERS: tuple[tuple[str, str, Role], ...] = (
    ("maya@switchboard.localhost", "Maya Lindqvist", "admin"),
    ("jonas@switchboard.localhost", "Jonas Weber", "agent"),
    ("priya@switchboard.localhost", "Priya Sharma", "agent"),
    ("tomas@switchboard.localhost", "Tomas Novák", "agent"),
)
SOURCES = (("Facebook ads", "generic"), ("Partner API", "generic"), ("Trade fair", "generic"))
NOTES = (
    "Called, very interested. Sends the numbers tomorrow.",
    "Left a message with the front desk.",
    "Wants to compare with their present contract first.",
    "Asked for references from the same trade.",
)
REPLIES = (
    "Thanks for getting back so quickly! Could we talk on Thursday at ten?",
    "That sounds good. What would it cost for twelve people?",
    "We are still waiting for our budget. Can you write again in two weeks?",
    "Yes please, send the brochure. And do you also work with partners?",
    "I had expected a call yesterday. Is anybody looking after this?",
)
ANSWERED = ("Of course. I will call you at ten.", "Gladly: the offer is on its way to you.", "I am sorry for the wait!")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Team:
    """Who works in the demo: the caller that sets up, and the members as callers."""

    setup: Caller
    members: tuple[Caller, ...]


async def fill(database: Database, settings: Settings, workspace_id: UUID, kinds: SubjectKinds) -> bool:
    """Fill one workspace; False when the demo is in it already."""
    chance = random.Random(11)  # noqa: S311 the demo is the same every time
    async with database.transaction(workspace_id) as tx:
        if await intake.find_source_by_name(tx, SOURCES[0][0]) is not None:
            return False
        team = await _make_team(tx, workspace_id)
        urls = await _make_sources(tx, team.setup, settings)
        now = await tx.now()
    people_ahead = list(demo_leads(LEADS, until=now))
    await _post(urls, [lead for lead in people_ahead if lead.at < now - RECENT])
    await _settle(database, "signals")
    log.info("demo.past_accepted", leads=LEADS)
    await _work_off(database, team, chance)
    await _switch_flows_on(database, team.setup, kinds)
    await _lose_some(database, team, chance)
    await _post(urls, [lead for lead in people_ahead if lead.at >= now - RECENT])
    await _settle(database, "signals")
    await _settle(database, "steps")
    await _settle(database, "outbox")
    await _send_campaign(database, team.setup, kinds)
    await _let_people_answer(database, settings, team, chance)
    log.info("demo.ready")
    return True


async def _make_team(tx: Tx, workspace_id: UUID) -> _Team:
    setup = system_caller(workspace_id)
    for email, name, role in MEMBERS:
        await accounts.create_member(tx, setup, email=email, name=name, password=secrets.token_urlsafe(16), role=role)
    members = [member for member in await accounts.list_members(tx) if member.role != "viewer"]
    callers = tuple(Caller(workspace_id, member.role, member.user_id, member.name) for member in members)
    await _make_rotas(tx, setup, members)
    return _Team(setup, callers)


async def _make_rotas(tx: Tx, caller: Caller, members: Sequence[Member]) -> None:
    sales = await routing.find_rota_by_name(tx, ROTA_NAME)
    boss = next((member.user_id for member in members if member.role == "admin"), None)
    if sales is not None:
        for member in members:
            if member.role == "agent":
                await rotas.set_member(tx, caller, sales.id, member.user_id, capacity=2_000)
    large = Rota(new_id(), "large accounts", "Europe/Berlin", "least_loaded", "DE", boss, 1)
    large_id = await rotas.create_rota(tx, caller, large)
    senior = [member.user_id for member in members if member.role in {"owner", "admin"}]
    for user_id in senior:
        await rotas.set_member(tx, caller, large_id, user_id)
    hours = [Shift(large_id, user_id, day, time(8), time(20)) for user_id in senior for day in range(1, 6)]
    await rotas.set_shifts(tx, caller, large_id, hours)
    await rules.create_rule(
        tx, caller, name="Large requests", condition="lead.value >= 600000", target=RuleTarget(rota_id=large_id)
    )


async def _make_sources(tx: Tx, caller: Caller, settings: Settings) -> dict[str, str]:
    form = await intake.find_source_by_name(tx, SOURCE_NAME)
    made = [form] if form is not None else []
    for name, format_name in SOURCES:
        made.append(await intake.create_source(tx, caller, name=name, format_name=format_name))
    local = f"http://{settings.host}:{settings.port}"
    return {source.name: f"{local}/in/{source.token}" for source in made}


async def _post(urls: dict[str, str], arriving: Sequence[DemoLead]) -> None:
    """Send enquiries as their senders would, each source's in its order."""
    by_source: dict[str, list[DemoLead]] = defaultdict(list)
    for lead in arriving:
        by_source[lead.source].append(lead)
    for name, its_leads in by_source.items():
        for start in range(0, len(its_leads), AT_ONCE):
            rows = [lead.payload for lead in its_leads[start : start + AT_ONCE]]
            await asyncio.to_thread(_send_rows, urls[name], rows)


def _send_rows(url: str, rows: Sequence[object]) -> None:
    body = json.dumps(rows).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 ours
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS):  # noqa: S310 our own address
        return


async def _settle(database: Database, queue: str) -> None:
    """Wait until nothing of a queue is due, or for `SETTLE_SECONDS`."""
    for _ in range(int(SETTLE_SECONDS * 4)):
        async with database.queue_loop() as tx:
            lags = {lag.name: lag.depth for lag in await queries.list_queue_lags(tx)}
        if lags.get(queue, 0) == 0:
            return
        await asyncio.sleep(0.25)


async def _work_off(database: Database, team: _Team, chance: random.Random) -> None:
    """What a team does with a month of leads: most are accepted, moved on, won or lost; some are junk."""
    by_user = {caller.user_id: caller for caller in team.members}
    before: UUID | None = None
    while True:
        async with database.transaction(team.setup.workspace_id) as tx:
            names = await listing.load_names(tx)
            page = await listing.list_leads(tx, team.setup, LeadFilter(), names, before=before, limit=AT_ONCE)
            now = await tx.now()
            for lead in page.leads:
                worker = by_user.get(lead.owner_id) or chance.choice(team.members)
                await _work_lead(tx, worker, lead, now, chance)
        if page.older_than is None:
            return
        before = page.older_than


async def _work_lead(tx: Tx, worker: Caller, lead: LeadSummary, now: datetime, chance: random.Random) -> None:
    age_days = (now - lead.created_at) / timedelta(days=1)
    fate = chance.random()
    if fate < 0.05:
        await leads.mark_junk(tx, worker, [lead.id], chance.choice(("wrong number", "advertising", "student project")))
        return
    if fate < 0.07 and age_days < 6:
        return
    await leads.accept(tx, worker, lead.id)
    stage = _stage_after(age_days, chance)
    if stage != "new":
        # Nobody moves on unheard: the call is the first response.
        await leads.add_note(tx, worker, lead.id, chance.choice(NOTES), is_call=True)
        await leads.change_stage(tx, worker, [lead.id], stage)


def _stage_after(age_days: float, chance: random.Random) -> str:
    stages = ("new", "contacted", "qualified", "proposal", "won", "lost")
    if age_days < 5:
        weights = (20, 45, 25, 10, 0, 0)
    elif age_days < 15:
        weights = (3, 25, 30, 20, 10, 12)
    else:
        weights = (0, 8, 12, 15, 25, 40)
    return chance.choices(stages, weights)[0]


async def _switch_flows_on(database: Database, caller: Caller, kinds: SubjectKinds) -> None:
    async with database.transaction(caller.workspace_id) as tx:
        for flow in await flows.list_flows(tx, caller):
            await flows.activate(tx, caller, flow.id, kinds)


async def _lose_some(database: Database, team: _Team, chance: random.Random) -> None:
    """Some of the older leads say no, so that winning them back begins."""
    async with database.transaction(team.setup.workspace_id) as tx:
        names = await listing.load_names(tx)
        page = await listing.list_leads(tx, team.setup, LeadFilter(), names, limit=AT_ONCE)
        for lead in chance.sample(page.leads, min(LOST, len(page.leads))):
            await leads.change_stage(tx, chance.choice(team.members), [lead.id], "lost")


async def _send_campaign(database: Database, caller: Caller, kinds: SubjectKinds) -> None:
    """One campaign goes out at its pace while the rest of the demo is made; another is a draft."""
    async with database.transaction(caller.workspace_id) as tx:
        segment_id = await demo_campaigns.add_segment(tx, caller)
    for _ in range(int(SETTLE_SECONDS * 4)):
        async with database.transaction(caller.workspace_id) as tx:
            if await demo_campaigns.is_filled(tx, caller, segment_id):
                today = (await tx.now()).date()
                await demo_campaigns.run_one_and_draft_one(tx, caller, segment_id, kinds, today)
                return
        await asyncio.sleep(0.25)


async def _let_people_answer(database: Database, settings: Settings, team: _Team, chance: random.Random) -> None:
    """Some of those who got a letter answer it by SMTP; the team answers half of them."""
    async with database.transaction(team.setup.workspace_id) as tx:
        workspace = await accounts.get_workspace(tx)
        names = await listing.load_names(tx)
        newest = await listing.list_leads(tx, team.setup, LeadFilter(), names, limit=AT_ONCE)
        chosen = chance.sample(newest.leads, min(ANSWERS, len(newest.leads)))
        mails = [await _answer_of(tx, lead, workspace.mail_from, chance) for lead in chosen]
    try:
        await asyncio.to_thread(_send_mails, settings, mails)
    except OSError as error:
        log.warning("demo.no_mail_listener", error_type=type(error).__name__)
        return
    await _settle(database, "jobs")
    async with database.transaction(team.setup.workspace_id) as tx:
        waiting = await inbox.list_conversations(tx, team.setup, "open")
        for waiting_one in waiting[::2]:
            answer = chance.choice(ANSWERED)
            await answering.reply(
                tx, chance.choice(team.members), waiting_one.conversation.id, body=answer, key=new_id()
            )


async def _answer_of(tx: Tx, lead: LeadSummary, recipient: str, chance: random.Random) -> EmailMessage:
    contact = (await people.load_contacts(tx, [lead.contact_id]))[lead.contact_id]
    sent = await delivery.list_messages_of_contact(tx, lead.contact_id)
    mail = EmailMessage()
    mail["From"] = f"{contact.name} <{contact.email}>"
    mail["To"] = recipient
    mail["Subject"] = f"Re: {sent[0].subject}" if sent and sent[0].subject else "My request"
    mail["Message-ID"] = f"<{new_id().hex}@mail.example>"
    if sent:
        mail["In-Reply-To"] = mail["References"] = sent[0].header_id
    mail.set_content(chance.choice(REPLIES))
    return mail


def _send_mails(settings: Settings, mails: Sequence[EmailMessage]) -> None:
    with smtplib.SMTP(settings.smtp_in_host, settings.inbound_port, timeout=REQUEST_SECONDS) as server:
        for mail in mails:
            server.send_message(mail)


async def wait_until_ready(settings: Settings, *, seconds: float = 60.0) -> None:
    """Wait for the web server of this machine, for at most `seconds`."""
    url = f"http://{settings.host}:{settings.port}/health/ready"
    for _ in range(int(seconds * 5)):
        if await asyncio.to_thread(_answers, url):
            return
        await asyncio.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
