"""Whom a campaign can go to, with how many people each choice is, before it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from switchboard.accounts.models import Caller
from switchboard.flows import repository_choices
from switchboard.flows.campaign_models import AudienceKind, Campaign
from switchboard.flows.campaigns import count_by_state, get_campaign
from switchboard.flows.repository_choices import FlowChoice, ImportChoice
from switchboard.kernel.db import Tx
from switchboard.people import segments
from switchboard.people.errors import SegmentNotFoundError
from switchboard.people.segment_models import Segment
from switchboard.people.segment_previews import count_everybody

MOST_CHOICES = 200


@dataclass(frozen=True, slots=True)
class Audience:
    """A choice of people."""

    value: str = field(metadata={"help": "What the form sends, such as `segment:ID`."})
    kind: AudienceKind = field(metadata={"help": "What it is a choice of."})
    title: str = field(metadata={"help": "What to call it."})
    size: int = field(metadata={"help": "How many people it is."})
    is_exact: bool = field(metadata={"help": "Whether the size is counted and not estimated."})
    href: str = field(default="", metadata={"help": "Where its people are shown, empty where they are not."})
    note: str = field(default="", metadata={"help": "What to mind, or empty."})

    @property
    def people(self) -> str:
        """Its size in words."""
        return f"{'' if self.is_exact else 'about '}{self.size:,} {'person' if self.size == 1 else 'people'}"


async def list_audiences(tx: Tx, caller: Caller) -> list[Audience]:
    """Everybody, the segments in use, and the newest imports."""
    found = [_of_segment(one) for one in await segments.list_segments(tx, caller, limit=MOST_CHOICES)]
    found += [_of_import(one) for one in await repository_choices.list_imports(tx, MOST_CHOICES)]
    return [await _everybody(tx, caller), *found]


async def list_flow_choices(tx: Tx, caller: Caller) -> list[FlowChoice]:
    """The flows that a campaign can send: those about contacts."""
    caller.require("viewer")
    return await repository_choices.list_flows(tx, MOST_CHOICES)


async def get_audience(tx: Tx, caller: Caller, campaign: Campaign) -> Audience:
    """The audience of a campaign, also where it is gone."""
    if campaign.audience_kind == "everybody":
        return await _everybody(tx, caller)
    if campaign.audience_kind == "missed":
        return await _missed(tx, caller, campaign)
    found = await _find_segment(tx, caller, campaign) or await _find_import(tx, campaign)
    if found is None:
        return Audience("", campaign.audience_kind, f"A {campaign.audience_kind} that is gone", 0, is_exact=True)
    return found


async def _everybody(tx: Tx, caller: Caller) -> Audience:
    size, is_exact = await count_everybody(tx, caller)
    return Audience("everybody", "everybody", "Everybody", size, is_exact=is_exact, href="/contacts")


async def _missed(tx: Tx, caller: Caller, campaign: Campaign) -> Audience:
    if campaign.sends_to_missed_of is None:
        raise ValueError("a campaign to the missed names an earlier one")
    earlier = campaign.sends_to_missed_of
    counts = await count_by_state(tx, caller, earlier)
    size = sum(one.states.get(state, 0) for one in counts for state in campaign.missed_states)
    title = f"Those missed by {(await get_campaign(tx, caller, earlier)).title}"
    return Audience("missed", "missed", title, size, is_exact=True, href=f"/campaigns/{earlier}/people")


async def _find_segment(tx: Tx, caller: Caller, campaign: Campaign) -> Audience | None:
    if campaign.audience_kind != "segment" or campaign.audience_id is None:
        return None
    try:
        return _of_segment(await segments.get_segment(tx, caller, campaign.audience_id))
    except SegmentNotFoundError:
        return None


async def _find_import(tx: Tx, campaign: Campaign) -> Audience | None:
    if campaign.audience_kind != "import" or campaign.audience_id is None:
        return None
    found = await repository_choices.find_import(tx, campaign.audience_id)
    return _of_import(found) if found else None


def _of_segment(one: Segment) -> Audience:
    note = "archived" if one.archived_at else "being filled" if one.is_building else ""
    href = f"/segments/{one.id}"
    return Audience(f"segment:{one.id}", "segment", one.title, one.members, is_exact=True, href=href, note=note)


def _of_import(one: ImportChoice) -> Audience:
    # A row that found somebody twice, or whom a later merge took away, is counted and yet gets one letter.
    title = f"{one.file_name}, {one.created_at:%d %b %Y}"
    return Audience(f"import:{one.id}", "import", title, one.people, is_exact=False, href=f"/imports/{one.id}")


def grouped(audiences: Sequence[Audience]) -> list[tuple[str, list[Audience]]]:
    """The choices under the headings of the form's list."""
    headings = (("everybody", "Everybody"), ("missed", "The missed"), ("segment", "Segments"), ("import", "Imports"))
    groups = [(heading, [one for one in audiences if one.kind == kind]) for kind, heading in headings]
    return [(heading, found) for heading, found in groups if found]
