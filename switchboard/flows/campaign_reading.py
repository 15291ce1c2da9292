"""Campaigns as people type them: from fields of text to a form with everything that is wrong, and back."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar, cast
from uuid import UUID

from switchboard.accounts.service import get_workspace
from switchboard.delivery.models import CampaignPriority
from switchboard.flows.campaign_checks import LONGEST_NAME, MOST_VARIANTS, check_form
from switchboard.flows.campaign_models import (
    AudienceKind,
    Campaign,
    CampaignForm,
    StartKind,
    Variant,
    WhenPassed,
    WinnerRule,
)
from switchboard.flows.campaign_terms import local_instant
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.ids import new_id
from switchboard.kernel.localtime import first_instant, format_duration, parse_duration, to_local

Value = TypeVar("Value")

FIELDS: tuple[str, ...] = (
    "title", "name", "audience", "start_kind", "start_at", "local_date", "local_hour", "when_passed",
    "throttle_per_minute", "priority", "winner_rule", "winner_after", "pause_at_percent",
    *(f"{part}_{number}" for number in range(1, MOST_VARIANTS + 1) for part in ("flow", "share")),
)  # fmt: skip
BLANK: Mapping[str, str] = {
    "audience": "", "start_kind": "now", "when_passed": "now", "priority": "normal", "winner_rule": "none",
    "pause_at_percent": "5", "share_1": "100",
}  # fmt: skip
# Who stands for all in examples: a name, where they live, and the zone.
EXAMPLES = (
    ("Ann", "Sydney", "Australia/Sydney"),
    ("Ben", "London", "Europe/London"),
    ("Cleo", "Los Angeles", "America/Los_Angeles"),
)
_SPACES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Example:
    """When somebody gets a campaign: by their own clock, and by that of the workspace; None when they are left out."""

    name: str
    place: str
    local: datetime | None
    yours: datetime | None


def read_form(typed: Mapping[str, str], zone: str) -> tuple[CampaignForm, list[Problem]]:
    """The form, with what cannot be read left at its default and named; moments are typed in the workspace's `zone`."""
    problems: list[Problem] = []

    def read(name: str, parse: Callable[[str], Value], expected: str) -> Value | None:
        text = typed.get(name, "").strip()
        try:
            return parse(text) if text else None
        except (ValueError, InvalidError):
            problems.append(Problem(name, expected))
            return None

    kind, audience_id = _read_audience(typed.get("audience", ""))
    if not kind:
        problems.append(Problem("audience", "Choose who gets it."))
    form = CampaignForm(
        name=typed.get("name", "").strip() or make_name(typed.get("title", "")),
        title=typed.get("title", "").strip(),
        variants=_read_variants(typed, problems),
        audience_kind=kind or "everybody",
        audience_id=audience_id,
        start_kind=cast("StartKind", typed.get("start_kind", "now")),
        start_at=read("start_at", lambda text: _read_moment(text, zone), "a day and a time, such as 2027-05-03 09:00"),
        local_date=read("local_date", date.fromisoformat, "a day, such as 2027-05-03"),
        local_hour=read("local_hour", time.fromisoformat, "a time of day, such as 09:00"),
        when_passed=cast("WhenPassed", typed.get("when_passed", "now")),
        throttle_per_minute=read("throttle_per_minute", int, "a whole number, or nothing for no limit"),
        priority=cast("CampaignPriority", typed.get("priority", "normal")),
        winner_rule=cast("WinnerRule", typed.get("winner_rule", "none")),
        winner_after=read("winner_after", parse_duration, "a duration, such as 4h or 2d"),
        pause_at_percent=read("pause_at_percent", int, "a whole number from 1 to 100") or 5,
    )
    return form, problems


async def check_typed(tx: Tx, typed: Mapping[str, str]) -> CampaignForm:
    """The form; raises InvalidError with all that cannot be read and all that makes no sense, at once."""
    form, problems = read_form(typed, (await get_workspace(tx)).time_zone)
    try:
        await check_form(tx, form)
    except InvalidError as error:
        named = {problem.field for problem in problems}
        problems += [problem for problem in error.problems if problem.field not in named]
    if problems:
        raise InvalidError("The campaign cannot be saved as it is.", problems=problems)
    return form


def type_form(campaign: Campaign, variants: Sequence[Variant], zone: str) -> dict[str, str]:
    """A campaign as its form would be typed."""
    start = to_local(campaign.start_at, zone) if campaign.start_at else None
    throttle = campaign.throttle_per_minute
    typed = {
        "title": campaign.title,
        "name": campaign.name,
        "audience": ":".join(filter(None, [campaign.audience_kind, str(campaign.audience_id or "")])),
        "start_kind": campaign.start_kind,
        "start_at": f"{start:%Y-%m-%dT%H:%M}" if start else "",
        "local_date": campaign.local_date.isoformat() if campaign.local_date else "",
        "local_hour": f"{campaign.local_hour:%H:%M}" if campaign.local_hour else "",
        "when_passed": campaign.when_passed,
        "throttle_per_minute": str(throttle) if throttle else "",
        "priority": campaign.priority,
        "winner_rule": campaign.winner_rule,
        "winner_after": format_duration(campaign.winner_after) if campaign.winner_after else "",
        "pause_at_percent": str(campaign.pause_at_percent),
    }
    for one in variants:
        typed |= {f"flow_{one.number}": str(one.flow_id), f"share_{one.number}": str(one.share_percent)}
    return typed


def make_name(title: str) -> str:
    """A name for a title: its letters without their marks; one by chance where the title has none of ours."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return _SPACES.sub("_", plain).strip("_")[:LONGEST_NAME].strip("_") or f"campaign_{new_id().hex[-8:]}"


def show_examples(form: CampaignForm, zone: str, now: datetime) -> list[Example]:
    """When people far apart would get a campaign that starts at a moment or at a local hour; none for any other."""
    if form.start_kind == "at" and form.start_at is not None:
        return [_example(name, place, theirs, form.start_at, zone) for name, place, theirs in EXAMPLES]
    if form.start_kind == "local_hour" and form.local_date is not None and form.local_hour is not None:
        return [
            _example(name, place, theirs, local_instant(form, theirs, now), zone) for name, place, theirs in EXAMPLES
        ]
    return []


def default_start(now: datetime, zone: str) -> tuple[str, str]:
    """The day and hour that a new form proposes: tomorrow at nine."""
    return (to_local(now, zone).date() + timedelta(days=1)).isoformat(), "09:00"


def _example(name: str, place: str, theirs: str, at: datetime | None, zone: str) -> Example:
    if at is None:
        return Example(name, place, None, None)
    return Example(name, place, to_local(at, theirs), to_local(at, zone))


def _read_moment(text: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else first_instant(moment.date(), moment.time(), zone)


def _read_audience(text: str) -> tuple[AudienceKind | None, UUID | None]:
    kind, _, identifier = text.partition(":")
    if kind in ("everybody", "missed"):
        return cast("AudienceKind", kind), None
    try:
        return (cast("AudienceKind", kind), UUID(identifier)) if kind in ("segment", "import") else (None, None)
    except ValueError:
        return None, None


def _read_variants(typed: Mapping[str, str], problems: list[Problem]) -> list[tuple[UUID, int]]:
    """Rows without a flow are left out; a flow alone gets everybody."""
    rows = []
    for number in range(1, MOST_VARIANTS + 1):
        flow, share = typed.get(f"flow_{number}", "").strip(), typed.get(f"share_{number}", "").strip()
        if flow:
            rows.append((flow, share))
    read = [_read_variant(flow, share or ("100" if len(rows) == 1 else "")) for flow, share in rows]
    if not rows:
        problems.append(Problem("variants", "Choose the flow that it sends."))
    elif None in read:
        problems.append(Problem("variants", "Each flow needs a share: a whole number of percent, such as 10."))
    return [one for one in read if one is not None]


def _read_variant(flow: str, share: str) -> tuple[UUID, int] | None:
    try:
        return UUID(flow), int(share.removesuffix("%"))
    except ValueError:
        return None
