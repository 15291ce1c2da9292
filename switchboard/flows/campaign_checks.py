"""Whether a campaign makes sense: what is wrong with a form, and what stands against starting."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import get_args
from uuid import UUID

from switchboard.delivery.models import CampaignPriority
from switchboard.flows import repository, repository_campaigns
from switchboard.flows.campaign_models import (
    AudienceKind,
    Campaign,
    CampaignForm,
    StartKind,
    Variant,
    WhenPassed,
    WinnerRule,
)
from switchboard.flows.campaign_terms import has_rest
from switchboard.flows.models import StoredFlow
from switchboard.kernel.characters import is_storable
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

LONGEST_NAME = 60
LONGEST_TITLE = 120
MOST_VARIANTS = 9
FASTEST = 1_000_000
# Any other year is a slip of the pen, and the first and the last of all have days that begin in no zone's calendar.
YEARS = range(2000, 3000)
LONGEST_TEST = timedelta(days=90)
NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")

_FORGOTTEN = "The rows of this import are past KEEP_SIGNALS_MONTHS. Choose a segment of its people."
# Of a segment or an import: some of its people are not known yet.
_UNREADY = frozenset({"building", "uploaded", "ready", "running"})

_CHOICES: tuple[tuple[str, object], ...] = (
    ("audience_kind", AudienceKind),
    ("start_kind", StartKind),
    ("when_passed", WhenPassed),
    ("winner_rule", WinnerRule),
    ("priority", CampaignPriority),
)


async def check_form(tx: Tx, form: CampaignForm) -> None:
    """Raise InvalidError with everything that is wrong with a form."""
    problems = [*_check_names(form), *_check_choices(form), *_check_start(form), *_check_shares(form)]
    for flow_id, _ in form.variants:
        flow = await repository.find_flow(tx, flow_id)
        problems += _check_flow(flow)
    if problems:
        raise InvalidError("The campaign cannot be saved.", problems=problems)


async def check_ready(tx: Tx, campaign: Campaign, variants: Sequence[Variant]) -> None:
    """Raise InvalidError with everything that stands against starting a campaign."""
    problems = await _list_troubles(tx, campaign)
    if campaign.start_kind == "at" and campaign.start_at is None:
        problems.append(Problem("start_at", "Say when the campaign starts."))
    for one in variants:
        flow = await repository.find_flow(tx, one.flow_id)
        problems += _check_flow(flow)
        if flow is not None and not flow.is_active:
            problems.append(Problem("variants", f"The flow {flow.name} is paused. Activate it, then start again."))
    if problems:
        raise InvalidError("The campaign cannot start.", problems=problems)


async def check_audience(tx: Tx, campaign: Campaign) -> None:
    """Raise InvalidError when the audience of a campaign cannot be read, or not to its end."""
    problems = await _list_troubles(tx, campaign)
    if problems:
        raise InvalidError("The campaign cannot take its audience in.", problems=problems)


async def _list_troubles(tx: Tx, campaign: Campaign) -> list[Problem]:
    if campaign.audience_kind not in ("segment", "import"):
        return []
    is_segment = campaign.audience_kind == "segment"
    find = repository_campaigns.find_segment_state if is_segment else repository_campaigns.find_import_state
    state = await find(tx, campaign.audience_id) if campaign.audience_id else None
    if state is None:
        return [Problem("audience_id", f"There is no such {campaign.audience_kind}. Choose another.")]
    if state == "forgotten":
        return [Problem("audience_id", _FORGOTTEN)]
    if state in _UNREADY:
        return [Problem("audience_id", f"The {campaign.audience_kind} is not complete yet. Start when it is.")]
    return []


def _check_names(form: CampaignForm) -> Iterator[Problem]:
    if not form.name or len(form.name) > LONGEST_NAME or not set(form.name) <= NAME_LETTERS:
        yield Problem("name", f"up to {LONGEST_NAME} small letters, digits, - and _, such as spring_sale")
    if len(form.title) > LONGEST_TITLE or not is_storable(form.title):
        yield Problem("title", f"at most {LONGEST_TITLE} characters that can be read")


def _check_choices(form: CampaignForm) -> Iterator[Problem]:
    for field, choices in _CHOICES:
        if getattr(form, field) not in get_args(choices):
            yield Problem(field, f"expected one of {', '.join(get_args(choices))}")
    if form.audience_kind in ("segment", "import") and form.audience_id is None:
        yield Problem("audience_id", f"Choose the {form.audience_kind} whose people get it.")
    if form.throttle_per_minute is not None and not 1 <= form.throttle_per_minute <= FASTEST:
        yield Problem("throttle_per_minute", f"a whole number from 1 to {FASTEST}, or nothing for no limit")
    if not 1 <= form.pause_at_percent <= 100:
        yield Problem("pause_at_percent", "a whole number from 1 to 100")


def _check_start(form: CampaignForm) -> Iterator[Problem]:
    if form.start_kind == "at" and form.start_at is None:
        yield Problem("start_at", "Say when the campaign starts.")
    if form.start_kind == "local_hour" and (form.local_date is None or form.local_hour is None):
        yield Problem("local_hour", "Name the day and the hour at which everybody gets it, by their own clock.")
    moments: dict[str, date | None] = {"start_at": form.start_at, "local_date": form.local_date}
    for field, moment in moments.items():
        if moment is not None and moment.year not in YEARS:
            yield Problem(field, f"a day of the years {YEARS.start} to {YEARS.stop - 1}")


def _check_shares(form: CampaignForm) -> Iterator[Problem]:
    shares = [share for _, share in form.variants]
    if not 1 <= len(shares) <= MOST_VARIANTS or not all(1 <= share <= 100 for share in shares) or sum(shares) > 100:
        yield Problem("variants", f"1 to {MOST_VARIANTS} flows, whose shares are whole numbers of 100 together at most")
    elif len({flow_id for flow_id, _ in form.variants}) != len(shares):
        yield Problem("variants", "Each variant needs a flow of its own.")
    if sum(shares) < 100 and form.winner_rule == "none":
        yield Problem("winner_rule", "Shares below 100 leave a rest: say how the winner is chosen that the rest gets.")
    if sum(shares) == 100 and form.winner_rule != "none":
        yield Problem("winner_rule", "Shares of 100 leave no rest for a winner: make them smaller, or choose none.")
    if form.winner_rule in ("answered", "opt_outs") and form.winner_after is None:
        yield Problem("winner_after", "Say how long after the test the winner is chosen, such as 4h.")
    if form.winner_after is not None and not timedelta(0) <= form.winner_after <= LONGEST_TEST:
        yield Problem("winner_after", f"at most {LONGEST_TEST.days} days")


def _check_flow(flow: StoredFlow | None) -> Iterator[Problem]:
    if flow is None:
        yield Problem("variants", "There is no such flow. Choose one from the list of flows.")
    elif flow.subject_kind != "contact":
        message = f"The flow {flow.name} is about leads. A campaign needs one with `subject: contact`."
        yield Problem("variants", message)


def needs_winner(campaign: Campaign, variants: Sequence[Variant]) -> bool:
    """Whether the rest of the audience still waits for its winner."""
    return campaign.is_under_way and has_rest(campaign, variants)


def require_number(variants: Sequence[Variant], number: int) -> UUID:
    """The flow of a variant; raises InvalidError when there is none of that number."""
    for one in variants:
        if one.number == number:
            return one.flow_id
    numbers = ", ".join(str(one.number) for one in variants)
    raise InvalidError(f"There is no variant {number}.", problems=[Problem("variant", f"expected one of {numbers}")])
