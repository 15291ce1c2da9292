"""The pages of campaigns: the list, one with how it stands, and what can be done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service as accounts
from switchboard.accounts.web import Visit, action, page
from switchboard.delivery import letter_templates
from switchboard.delivery.wording import Words
from switchboard.flows import campaigns, pages_campaign_form, pages_campaign_people, pages_campaign_trial
from switchboard.flows import repository_choices as choices
from switchboard.flows.campaign_audiences import Audience, get_audience
from switchboard.flows.campaign_checks import needs_winner
from switchboard.flows.campaign_models import (
    MISSED_STATES,
    Campaign,
    CampaignForm,
    CampaignState,
    Counts,
    RecipientState,
    Variant,
)
from switchboard.flows.campaign_reading import read_form, type_form
from switchboard.flows.campaign_standing import (
    RECIPIENT_WORDS,
    STATE_ICONS,
    STATE_WORDS,
    Standing,
    find_start,
    say_next,
    stand,
    sum_counts,
)
from switchboard.flows.campaign_trials import send_test
from switchboard.flows.repository_choices import FlowChoice
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id

MOST_VARIANT_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Marks:
    """The words and icons of states."""

    words: Mapping[CampaignState, Words] = field(
        default_factory=lambda: STATE_WORDS, metadata={"help": "What each state of a campaign is called."}
    )
    icons: Mapping[CampaignState, str] = field(
        default_factory=lambda: STATE_ICONS, metadata={"help": "The icon of each state of a campaign."}
    )
    recipients: Mapping[RecipientState, Words] = field(
        default_factory=lambda: RECIPIENT_WORDS, metadata={"help": "What each state of a recipient is called."}
    )


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign in the list."""

    campaign: Campaign = field(metadata={"help": "Which it is."})
    standing: Standing = field(metadata={"help": "Its figures."})
    starts_at: datetime | None = field(metadata={"help": "When it begins by itself, None when it does not."})


@dataclass(frozen=True, slots=True)
class CampaignListPage:
    """Campaigns that are not archived, newest first."""

    rows: list[CampaignRow] = field(metadata={"help": "The campaigns."})
    marks: Marks = field(metadata={"help": "Words and icons."})
    newer_href: str = field(metadata={"help": "Address of the first rows, empty when these are they."})
    older_href: str = field(metadata={"help": "Address of the next rows, empty when there are none."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class VariantView:
    """One variant with its figures."""

    variant: Variant = field(metadata={"help": "Number, flow and share."})
    flow: FlowChoice | None = field(metadata={"help": "The flow it sends, None when it is gone."})
    standing: Standing = field(metadata={"help": "Its figures."})


@dataclass(frozen=True, slots=True)
class Offers:
    """What can be done with a campaign by this caller in this state; what is not offered is not shown."""

    start: bool = field(metadata={"help": "It can begin now."})
    schedule: bool = field(metadata={"help": "It can wait for its moment."})
    edit: bool = field(metadata={"help": "All of it can be changed."})
    pace: bool = field(metadata={"help": "Its pace can be changed while it goes on."})
    pause: bool = field(metadata={"help": "It can be paused."})
    resume: bool = field(metadata={"help": "It can go on."})
    cancel: bool = field(metadata={"help": "It can be ended."})
    archive: bool = field(metadata={"help": "It can be taken out of the list."})
    winner: bool = field(metadata={"help": "A winner can be chosen by hand."})
    missed: Sequence[tuple[RecipientState, int]] = field(
        metadata={"help": "States of those it missed, with how many they are, when it can be sent to them."}
    )
    test: bool = field(metadata={"help": "A test can be sent."})


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """One campaign."""

    campaign: Campaign = field(metadata={"help": "Which it is."})
    standing: Standing = field(metadata={"help": "Its figures."})
    next: str = field(metadata={"help": "What happens next, in words."})
    audience: Audience = field(metadata={"help": "Who gets it."})
    variants: list[VariantView] = field(metadata={"help": "What it sends, by number."})
    starts_at: datetime | None = field(metadata={"help": "When it begins by itself, None when it does not."})
    zone: str = field(metadata={"help": "The workspace's time zone."})
    testers: list[tuple[UUID, str]] = field(metadata={"help": "To whom a test can go: members by id and name."})
    offers: Offers = field(metadata={"help": "What can be done with it."})
    marks: Marks = field(metadata={"help": "Words and icons."})
    problems: Sequence[Problem] = field(metadata={"help": "Why what was asked for was not done."})
    error: str = field(metadata={"help": "That in one sentence, or empty."})
    typed: Mapping[str, str] = field(metadata={"help": "What stood in the form that was refused."})
    now: datetime = field(metadata={"help": "The request's time."})

    def problem_of(self, name: str) -> str | None:
        """What is wrong with a field."""
        return next((one.message for one in self.problems if one.field == name), None)


async def list_campaigns(visit: Visit) -> Response:
    """The campaigns with how each stands, newest first."""
    before, now = visit.query_id("before"), await visit.tx.now()
    found = await campaigns.list_campaigns(visit.tx, visit.caller, before=before, limit=campaigns.PAGE_ROWS + 1)
    shown = found[: campaigns.PAGE_ROWS]
    rows = [CampaignRow(one.campaign, stand(one.campaign, one.states, now), find_start(one.campaign)) for one in shown]
    context = CampaignListPage(
        rows=rows,
        marks=Marks(),
        newer_href="/campaigns" if before else "",
        older_href=f"/campaigns?{urlencode({'before': shown[-1].campaign.id})}" if len(found) > len(shown) else "",
        now=now,
    )
    return await visit.render("flows/campaigns/list.html", context, active="campaigns")


async def show_campaign(visit: Visit) -> Response:
    """One campaign: how it stands, what happens next, and what can be done."""
    return await _campaign(visit, path_id(visit.request))


async def start(visit: Visit) -> Response:
    """Let a draft or a scheduled campaign begin now."""
    campaign_id = path_id(visit.request)
    try:
        await campaigns.start_campaign(visit.tx, visit.caller, campaign_id)
    except InvalidError as error:
        return await _campaign(visit, campaign_id, error)
    return visit.done(f"/campaigns/{campaign_id}", "It has begun.", undo=f"/campaigns/{campaign_id}/pause")


async def schedule(visit: Visit) -> Response:
    """Let a draft begin when its form says."""
    campaign_id = path_id(visit.request)
    try:
        await campaigns.schedule_campaign(visit.tx, visit.caller, campaign_id)
    except InvalidError as error:
        return await _campaign(visit, campaign_id, error)
    return visit.done(f"/campaigns/{campaign_id}", "Scheduled. It begins by itself.")


async def pause(visit: Visit) -> Response:
    """Let nothing more of a campaign go out."""
    campaign = await campaigns.pause_campaign(visit.tx, visit.caller, path_id(visit.request))
    undo = f"/campaigns/{campaign.id}/resume" if visit.caller.may("admin") else ""
    return visit.done(f"/campaigns/{campaign.id}", "Paused. Nothing more goes out.", undo=undo)


async def resume(visit: Visit) -> Response:
    """Let a paused campaign go on where it stood."""
    campaign = await campaigns.resume_campaign(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(f"/campaigns/{campaign.id}", "It goes on.", undo=f"/campaigns/{campaign.id}/pause")


async def cancel(visit: Visit) -> Response:
    """End a campaign; whoever waits gets nothing."""
    campaign = await campaigns.cancel_campaign(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(f"/campaigns/{campaign.id}", "Cancelled. What had not gone is called back.")


async def archive(visit: Visit) -> Response:
    """Take a campaign that is not under way out of the list."""
    await campaigns.archive_campaign(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/campaigns", "Archived.")


async def choose_winner(visit: Visit) -> Response:
    """Send one variant to all who were not in the test."""
    visit.caller.require("admin")
    campaign_id = path_id(visit.request)
    number = visit.form.whole("variant", least=1, most=99)
    await campaigns.choose_winner(visit.tx, visit.caller, campaign_id, number)
    return visit.done(f"/campaigns/{campaign_id}", f"The rest gets variant {number}.")


async def change_pace(visit: Visit) -> Response:
    """Change how fast a campaign under way goes, and how it queues."""
    visit.caller.require("admin")
    campaign_id = path_id(visit.request)
    typed = {name: visit.form.text(name) for name in ("throttle_per_minute", "priority")}
    try:
        form = await _paced_form(visit, campaign_id, typed)
        await campaigns.update_campaign(visit.tx, visit.caller, campaign_id, form)
    except InvalidError as error:
        return await _campaign(visit, campaign_id, error, typed)
    return visit.done(f"/campaigns/{campaign_id}", "Saved. Those who wait get new turns.")


async def send_to_missed(visit: Visit) -> Response:
    """Make a draft for those whom a campaign did not reach."""
    visit.caller.require("admin")
    campaign_id = path_id(visit.request)
    states = [state for state in MISSED_STATES if state in visit.form.texts("states")]
    try:
        made = await campaigns.send_to_missed(visit.tx, visit.caller, campaign_id, states=states)
    except InvalidError as error:
        return await _campaign(visit, campaign_id, error)
    return visit.done(f"/campaigns/{made.id}", "A draft for those it missed. Look at it, then start it.")


async def send_a_test(visit: Visit) -> Response:
    """Send the first letter to a member, as somebody of the audience would get it."""
    visit.caller.require("agent")
    campaign_id = path_id(visit.request)
    typed = {name: visit.form.text(name) for name in ("contact", "user_id", "variant")}
    try:
        address = await _send_test(visit, campaign_id, typed["contact"])
    except InvalidError as error:
        return await _campaign(visit, campaign_id, error, typed)
    return visit.done(f"/campaigns/{campaign_id}", f"The test is on its way to {address}.")


async def _send_test(visit: Visit, campaign_id: UUID, named: str) -> str:
    contact = await letter_templates.find_preview_contact(visit.tx, visit.caller, named)
    if named and contact is None:
        raise InvalidError("Nobody has this address.", problems=[Problem("contact", "Nobody has this address.")])
    number = visit.form.text("variant")
    is_number = number.isascii() and number.isdigit() and len(number) <= MOST_VARIANT_DIGITS
    return await send_test(
        visit.tx,
        visit.caller,
        campaign_id,
        contact_id=contact.id if contact else None,
        user_id=visit.form.optional_id("user_id"),
        variant=int(number) if is_number else 1,
    )


async def _paced_form(visit: Visit, campaign_id: UUID, typed: Mapping[str, str]) -> CampaignForm:
    """The campaign as it is, with the pace that was typed."""
    campaign = await campaigns.get_campaign(visit.tx, visit.caller, campaign_id)
    variants = await campaigns.list_variants(visit.tx, visit.caller, campaign_id)
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    form, problems = read_form({**type_form(campaign, variants, zone), **typed}, zone)
    if problems:
        raise InvalidError("The pace cannot be changed.", problems=problems)
    return replace(form, audience_id=campaign.audience_id)


async def _campaign(
    visit: Visit, campaign_id: UUID, error: InvalidError | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    tx, caller = visit.tx, visit.caller
    campaign = await campaigns.get_campaign(tx, caller, campaign_id)
    variants = await campaigns.list_variants(tx, caller, campaign_id)
    counts = await campaigns.count_by_state(tx, caller, campaign_id)
    now, zone = await tx.now(), (await accounts.get_workspace(tx)).time_zone
    standing = stand(campaign, sum_counts(counts), now, sum(one.under_way for one in counts))
    context = CampaignPage(
        campaign=campaign,
        standing=standing,
        next=say_next(campaign, variants, standing, zone),
        audience=await get_audience(tx, caller, campaign),
        variants=await _variants(visit, campaign, variants, counts, now),
        starts_at=find_start(campaign),
        zone=zone,
        testers=[(one.user_id, one.name) for one in await accounts.list_members(tx)] if caller.may("agent") else [],
        offers=_offers(visit, campaign, variants, standing),
        marks=Marks(),
        problems=error.problems if error else (),
        error=error.message if error else "",
        typed=typed or {},
        now=now,
    )
    return await visit.render(
        "flows/campaigns/campaign.html", context, active="campaigns", status=422 if error else 200
    )


async def _variants(
    visit: Visit, campaign: Campaign, variants: Sequence[Variant], counts: Sequence[Counts], now: datetime
) -> list[VariantView]:
    flows = await choices.load_flows(visit.tx, [one.flow_id for one in variants])
    found = {one.variant: one for one in counts}
    return [
        VariantView(one, flows.get(one.flow_id), stand(campaign, own.states, now, own.under_way))
        for one, own in ((one, found.get(one.number, Counts(one.number, {}, 0))) for one in variants)
    ]


def _offers(visit: Visit, campaign: Campaign, variants: Sequence[Variant], standing: Standing) -> Offers:
    state, may_set_up, may_work = campaign.state, visit.caller.may("admin"), visit.caller.may("agent")
    has_begun = state in ("running", "paused", "finished", "cancelled")
    missed = [(one, standing.states[one]) for one in MISSED_STATES if standing.states.get(one)]
    return Offers(
        start=may_set_up and state in ("draft", "scheduled"),
        schedule=may_set_up and state == "draft" and campaign.start_kind != "now",
        edit=may_set_up and state in campaigns.EDITABLE,
        pace=may_set_up and campaign.is_under_way,
        pause=may_work and state in ("starting", "running"),
        resume=may_set_up and state == "paused",
        cancel=may_set_up and (campaign.is_under_way or state == "scheduled"),
        archive=may_set_up and state in ("draft", "finished", "cancelled") and campaign.archived_at is None,
        winner=may_set_up and campaign.is_taken_in and needs_winner(campaign, variants),
        missed=missed if may_set_up and has_begun else (),
        test=may_work,
    )


routes = [
    Route("/campaigns", page(list_campaigns), methods=["GET"]),
    *pages_campaign_form.routes,
    Route("/campaigns/{id}", page(show_campaign), methods=["GET"]),
    Route("/campaigns/{id}/start", action(start), methods=["POST"]),
    Route("/campaigns/{id}/schedule", action(schedule), methods=["POST"]),
    Route("/campaigns/{id}/pause", action(pause), methods=["POST"]),
    Route("/campaigns/{id}/resume", action(resume), methods=["POST"]),
    Route("/campaigns/{id}/cancel", action(cancel), methods=["POST"]),
    Route("/campaigns/{id}/archive", action(archive), methods=["POST"]),
    Route("/campaigns/{id}/winner", action(choose_winner), methods=["POST"]),
    Route("/campaigns/{id}/pace", action(change_pace), methods=["POST"]),
    Route("/campaigns/{id}/missed", action(send_to_missed), methods=["POST"]),
    Route("/campaigns/{id}/test", action(send_a_test), methods=["POST"]),
    *pages_campaign_people.routes,
    *pages_campaign_trial.routes,
]
