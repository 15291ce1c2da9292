"""Trying a campaign without sending it: who would get what and when, and a test to a colleague."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.delivery import letter_templates
from switchboard.delivery.foreseeing import Foreseen, foresee
from switchboard.delivery.models import Draft
from switchboard.delivery.rendering import Rendered, Template
from switchboard.flows import repository, repository_audience, repository_campaigns
from switchboard.flows.campaign_checks import require_number
from switchboard.flows.campaign_models import Campaign, DryRow, DryRun, Variant
from switchboard.flows.campaign_terms import load_terms
from switchboard.flows.campaigns import get_campaign
from switchboard.flows.compiled import CompiledStep
from switchboard.flows.models import Version, VersionKey
from switchboard.flows.repository_audience import Member, Place
from switchboard.flows.versions import VersionShelf
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError
from switchboard.people import service as people
from switchboard.people.models import Contact

PAGE_ROWS = 50
MOST_ROWS = 200
LONGEST_PATH = 200
# A page waits for the totals: of more people than this they would take longer than some seconds.
MOST_COUNTED = 100_000

_WHY_LEFT_OUT = {
    "got_it": "They got it, or wait for it, in a campaign that this one repeats.",
    "opted_out": "They opted out.",
    "no_address": "There is no address to send the first letter to.",
    "suppressed": "One of their addresses is on the suppression list.",
    "in_flow": "They are in this flow at the moment.",
    "was_in_flow": "They were in this flow too lately, by its rule of re-entry.",
    "hour_passed": "Their local hour has passed.",
}


async def dry_run(
    tx: Tx,
    caller: Caller,
    campaign_id: UUID,
    *,
    after: UUID | None = None,
    limit: int = PAGE_ROWS,
    most_counted: int = MOST_COUNTED,
) -> DryRun:
    """Who would get what and when if the campaign began now, and who nothing and why; totals on the first page only.

    `after` is the `after` of the page before. Of a larger audience than `most_counted` the totals are of its first
    part. Raises CampaignNotFoundError.
    """
    caller.require("viewer")
    campaign, variants, shelf = await _as_begun(tx, await get_campaign(tx, caller, campaign_id))
    limit = min(limit, MOST_ROWS)
    # The totals need every place's clock; a later page only those of its own people.
    places = await _places(tx, campaign, after, most_counted if after is None else limit)
    terms = await load_terms(tx, campaign, shelf, places, variants)
    members = await repository_audience.list_members(tx, campaign, terms, after, limit)
    totals: dict[str, int] = {}
    looked_at = 0
    if after is None:
        totals, looked_at = await repository_audience.count_audience(tx, campaign, terms, most_counted)
    versions = await shelf.load(tx, _keys(variants))
    return DryRun(
        totals=totals,
        is_whole=after is None and looked_at < most_counted,
        rows=await _rows(tx, members, versions),
        after=await repository_audience.find_last_place(tx, campaign, after, limit),
    )


async def send_test(
    tx: Tx,
    caller: Caller,
    campaign_id: UUID,
    *,
    contact_id: UUID | None = None,
    user_id: UUID | None = None,
    variant: int = 1,
) -> str:
    """Send the first letter of a variant, as a contact would get it, to a member only; returns that one's address.

    It is written for `contact_id`, else for the first of the audience, and says Test in its subject; it is in nobody's
    ledger. `user_id` is the caller by default. Raises CampaignNotFoundError, InvalidError, TemplateError.
    """
    caller.require("agent")
    template, contact = await _find_letter(tx, caller, campaign_id, contact_id, variant)
    return await letter_templates.send_test(tx, caller, template, contact, user_id=user_id)


async def preview_letter(
    tx: Tx, caller: Caller, campaign_id: UUID, *, contact_id: UUID | None = None, variant: int = 1
) -> Rendered:
    """The first letter of a variant as a contact would get it, the first of the audience by default; nothing is sent.

    Raises CampaignNotFoundError, InvalidError, TemplateError.
    """
    caller.require("viewer")
    template, contact = await _find_letter(tx, caller, campaign_id, contact_id, variant)
    return await letter_templates.preview(tx, caller, template, contact)


def find_first_letter(version: Version) -> tuple[CompiledStep, timedelta] | None:
    """The first step that writes to the contact, with the fixed waits before it; None where there is none.

    Of two ways the one that is taken when a condition holds is followed.
    """
    index: int | None = 0
    waited = timedelta(0)
    for _ in range(LONGEST_PATH):
        if index is None:
            return None
        step = version.steps[index]
        if step.kind == "send" and step.config["to"] == "contact":
            return step, waited
        if step.kind == "wait":
            waited += timedelta(seconds=int(str(step.config.get("for_seconds", 0))))
        index = step.next_true if step.branches else step.next
    return None


async def _as_begun(tx: Tx, campaign: Campaign) -> tuple[Campaign, list[Variant], VersionShelf]:
    """The campaign as if it began now: from this moment, with the newest versions of its flows."""
    variants = await repository_campaigns.list_variants(tx, campaign.id)
    begun = []
    for one in variants:
        flow = await repository.find_flow(tx, one.flow_id)
        if flow is not None:
            begun.append(replace(one, flow_version=one.flow_version or flow.version))
    now = (await tx.now()).replace(microsecond=0)
    starts_at = campaign.start_at if campaign.start_kind == "at" and campaign.start_at else now
    return replace(campaign, spread_from=max(starts_at, now), spread={}), begun, VersionShelf()


async def _places(tx: Tx, campaign: Campaign, after: UUID | None, limit: int) -> list[Place]:
    if campaign.start_kind != "local_hour":
        return []
    return await repository_audience.list_places(tx, campaign, after, limit)


async def _find_letter(
    tx: Tx, caller: Caller, campaign_id: UUID, contact_id: UUID | None, variant: int
) -> tuple[Template, Contact | None]:
    campaign, variants, shelf = await _as_begun(tx, await get_campaign(tx, caller, campaign_id))
    require_number(variants, variant)
    versions = await shelf.load(tx, _keys(variants))
    version = next(versions[key] for key, one in zip(_keys(variants), variants, strict=True) if one.number == variant)
    found = find_first_letter(version)
    if found is None:
        raise InvalidError("The flow of this variant sends no letter to contacts.")
    letter = await letter_templates.find_template_by_name(tx, caller, str(found[0].config["template"]))
    if letter is None:
        raise InvalidError(f"There is no template called {found[0].config['template']}.")
    return Template(letter.subject, letter.body), await _find_contact(tx, campaign, variants, shelf, contact_id)


def _keys(variants: Sequence[Variant]) -> list[VersionKey]:
    return [(one.flow_id, one.flow_version) for one in variants if one.flow_version is not None]


async def _find_contact(
    tx: Tx, campaign: Campaign, variants: Sequence[Variant], shelf: VersionShelf, contact_id: UUID | None
) -> Contact | None:
    if contact_id is None:
        terms = await load_terms(tx, campaign, shelf, await _places(tx, campaign, None, 1), variants)
        members = await repository_audience.list_members(tx, campaign, terms, None, 1)
        contact_id = members[0].contact_id if members else None
    return (await people.load_contacts(tx, [contact_id])).get(contact_id) if contact_id else None


async def _rows(tx: Tx, members: Sequence[Member], versions: dict[VersionKey, Version]) -> list[DryRow]:
    letters = {key: find_first_letter(version) for key, version in versions.items()}
    drafts: list[tuple[Draft, datetime]] = []
    places: dict[UUID, int] = {}
    for member in members:
        found = letters.get((member.flow_id, member.version))
        if member.reason is None and member.due_at is not None and found is not None:
            places[member.contact_id] = len(drafts)
            drafts.append((_draft(member, found[0]), member.due_at + found[1]))
    foreseen = await foresee(tx, drafts) if drafts else []
    return [
        _left_out(member) if place is None else _sent_row(member, foreseen[place], *drafts[place])
        for member, place in ((member, places.get(member.contact_id)) for member in members)
    ]


def _draft(member: Member, step: CompiledStep) -> Draft:
    return Draft(
        contact_id=member.contact_id,
        channel=str(step.config["channel"]),
        purpose="marketing" if step.config["purpose"] == "marketing" else "transactional",
        template_name=str(step.config["template"]),
        is_urgent=bool(step.config["urgent"]),
    )


def _sent_row(member: Member, foreseen: Foreseen, draft: Draft, at: datetime) -> DryRow:
    return DryRow(
        contact_id=member.contact_id,
        name=member.name,
        address=foreseen.message.address,
        variant=member.variant,
        template=draft.template_name or "",
        subject=foreseen.subject,
        due_at=foreseen.until or at,
        action=foreseen.action,
        reason=foreseen.reason,
        detail=foreseen.detail,
    )


def _left_out(member: Member) -> DryRow:
    reason = member.reason or "no_letter"
    return DryRow(
        contact_id=member.contact_id,
        name=member.name,
        address="",
        variant=member.variant,
        template="",
        subject="",
        due_at=None,
        action="exclude",
        reason=reason,
        detail=_WHY_LEFT_OUT.get(reason, "The flow sends no letter to contacts."),
    )
