"""By which terms the recipients of a campaign go: in which parts, from which moment, and how far apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.delivery.gate import GateFacts, choose_zone
from switchboard.flows import repository_campaigns
from switchboard.flows.campaign_models import Campaign, CampaignForm, Variant
from switchboard.flows.models import Version
from switchboard.flows.repository_audience import Part, Place, Terms
from switchboard.flows.versions import VersionShelf
from switchboard.kernel.db import Tx
from switchboard.kernel.localtime import first_instant

# Where a day begins first; taking in the audience begins so long before the hour comes there.
FIRST_ZONE = "Pacific/Kiritimati"
HEAD_START = timedelta(minutes=15)
ONE_DAY = timedelta(days=1)
# Of the clock an hour is put off to tomorrow at most so often: places that are a day behind, and clock changes.
MOST_DAYS = 7


async def load_terms(
    tx: Tx, campaign: Campaign, shelf: VersionShelf, places: Sequence[Place], variants: Sequence[Variant]
) -> Terms:
    """The terms of a campaign as it stands; `places` are those whose local hour is asked for."""
    keys = [(one.flow_id, one.flow_version) for one in variants if one.flow_version is not None]
    versions = await shelf.load(tx, keys)
    return Terms(
        parts=list(find_parts(campaign, variants, versions)),
        family=await repository_campaigns.find_family(tx, campaign.root_id) if campaign.sends_to_missed_of else [],
        base=campaign.spread_from,
        gap=find_gap(campaign),
        clocks=await _find_hours(tx, campaign, places) if places else {},
    )


def find_gap(campaign: Campaign) -> timedelta:
    """How far apart recipients go."""
    pace = campaign.throttle_per_minute
    return timedelta(minutes=1) / pace if pace else timedelta(0)


def find_parts(
    campaign: Campaign, variants: Sequence[Variant], versions: Mapping[tuple[UUID, int], Version]
) -> Iterable[Part]:
    """Which hundredths of the audience get which version: the winner all that is left, once there is one."""
    low = 0
    for one in variants:
        if one.flow_version is None or campaign.winner not in (None, one.number):
            continue
        high = 100 if campaign.winner is not None else low + one.share_percent
        version = versions[one.flow_id, one.flow_version]
        reentry, channel = version.flow.reentry_after, first_channel(version)
        yield Part(one.number, one.flow_id, one.flow_version, reentry, channel, low, high)
        low = high


def first_channel(version: Version) -> str:
    """The kind of address that the first letter to the contact needs, empty where none is sent."""
    sends = (step for step in version.steps if step.kind == "send" and step.config["to"] == "contact")
    return next((str(step.config["channel"]) for step in sends), "")


def has_rest(campaign: Campaign, variants: Sequence[Variant]) -> bool:
    """Whether a part of the audience waits for a winner."""
    return campaign.winner is None and sum(one.share_percent for one in variants) < 100


def starts_at(campaign: Campaign) -> datetime | None:
    """When a scheduled campaign begins; None for at once."""
    if campaign.start_kind == "local_hour":
        return local_start(campaign)
    return campaign.start_at if campaign.start_kind == "at" else None


def local_start(campaign: Campaign) -> datetime:
    """When the taking in of a campaign by local hour begins: before the hour comes anywhere."""
    if campaign.local_date is None or campaign.local_hour is None:
        raise ValueError("a campaign by local hour names a day and an hour")
    return first_instant(campaign.local_date, campaign.local_hour, FIRST_ZONE) - HEAD_START


def local_instant(
    campaign: Campaign | CampaignForm, zone: str, now: datetime, *, since: datetime | None = None
) -> datetime | None:
    """When it is a recipient's turn who lives in `zone`; None when their hour has passed and they are left out.

    `since` is when the taking in began, from which those are spread whose hour has passed; `now` by default.
    """
    if campaign.local_date is None or campaign.local_hour is None:
        raise ValueError("a campaign by local hour names a day and an hour")
    instant = first_instant(campaign.local_date, campaign.local_hour, zone)
    if instant >= now:
        return instant
    if campaign.when_passed == "skip":
        return None
    if campaign.when_passed == "now":
        # One moment for all of them, whichever slice they come in, so that a throttle counts over all.
        return since or now.replace(microsecond=0)
    return _next_day(campaign, zone, now)


def _next_day(campaign: Campaign | CampaignForm, zone: str, now: datetime) -> datetime:
    if campaign.local_date is None or campaign.local_hour is None:
        raise ValueError("a campaign by local hour names a day and an hour")
    day = max(campaign.local_date, now.date() - ONE_DAY)
    for _ in range(MOST_DAYS):
        day += ONE_DAY
        instant = first_instant(day, campaign.local_hour, zone)
        if instant >= now:
            return instant
    raise ValueError(f"no local {campaign.local_hour} in {zone} within a week")


async def _find_hours(tx: Tx, campaign: Campaign, places: Sequence[Place]) -> dict[str, datetime | None]:
    """The moment for each place, by its name; the zone is chosen as the gate chooses it."""
    now = await tx.now()
    blank = GateFacts(now=now, purpose="marketing", workspace_zone=(await accounts.get_workspace(tx)).time_zone)
    instants: dict[str, datetime | None] = {}
    hours: dict[str, datetime | None] = {}
    for place in places:
        zone = choose_zone(
            replace(blank, contact_zone=place.time_zone, phone_e164=place.phone, country=place.country)
        ).zone
        if zone not in instants:
            instants[zone] = local_instant(campaign, zone, now, since=campaign.spread_from)
        hours[place.name] = instants[zone]
    return hours
