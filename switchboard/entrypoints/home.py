"""The home page answers one question: was anybody forgotten?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.delivery import service as delivery
from switchboard.flows import service as flows
from switchboard.flows.models import FailedRun
from switchboard.inbox import service as inbox
from switchboard.inbox.models import ConversationSummary
from switchboard.intake import service as intake
from switchboard.leads import listing, numbers
from switchboard.leads.models import LeadSummary
from switchboard.leads.numbers import Numbers
from switchboard.ops import health

ROWS = 6
MOST_OVERDUE = 99
# Overdue leads and conversations are counted up to here; beyond it the number would not change what is to be done.
MOST_COUNTED = 99
SENDS_OF = timedelta(days=7)
# A source that used to send and has not for so long may be broken at the other end.
QUIET_AFTER = timedelta(days=3)
FORGOTTEN_AFTER = timedelta(days=30)
_WENT = {"failed": "Could not be sent", "in_doubt": "May not have arrived"}
_SMALL = ("Nobody", "One person", "Two people", "Three people", "Four people", "Five people", "Six people")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not work, with where to look."""

    key: str = field(metadata={"help": "Tells the rows apart."})
    text: str = field(metadata={"help": "What is wrong."})
    detail: str = field(metadata={"help": "Why, or since when."})
    href: str = field(metadata={"help": "Where to look, or empty."})
    seen_action: str = field(default="", metadata={"help": "Where a person says that they know of it, or empty."})
    at: datetime | None = field(default=None, metadata={"help": "When it happened, where that is known."})


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a chart."""

    value: float = field(metadata={"help": "Its height."})
    label: str = field(metadata={"help": "The day."})
    kind: str = field(default="", metadata={"help": "`bad` for too long, `quiet` for none."})


@dataclass(frozen=True, slots=True)
class HomePage:
    """Who waits, what fails, and the numbers of today."""

    answer: str = field(metadata={"help": "The sentence that answers the question."})
    is_clear: bool = field(metadata={"help": "Whether nobody waits too long and nothing fails."})
    leads: tuple[LeadSummary, ...] = field(metadata={"help": "Leads that nobody has answered, most urgent first."})
    conversations: tuple[ConversationSummary, ...] = field(metadata={"help": "Overdue answers, longest first."})
    sends: tuple[Trouble, ...] = field(metadata={"help": "Sends and flows that failed, newest first."})
    parts: tuple[Trouble, ...] = field(metadata={"help": "Queues behind, sources quiet or unread."})
    numbers: Numbers = field(metadata={"help": "Today, and the last days."})
    speed: tuple[Bar, ...] = field(metadata={"help": "Median minutes to the first answer, by day."})
    answers: tuple[Bar, ...] = field(metadata={"help": "First answers, by day."})
    has_answers: bool = field(metadata={"help": "Whether the charts have anything to show."})
    is_fresh: bool = field(metadata={"help": "Whether no source has ever sent anything."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_home(visit: Visit) -> Response:
    """The page."""
    tx, caller = visit.tx, visit.caller
    now = await tx.now()
    names = await listing.load_names(tx)
    unanswered = await listing.list_unanswered(tx, caller, names, ROWS)
    overdue = await inbox.list_overdue(tx, MOST_OVERDUE)
    # Somebody whose lead and whose conversation are both late is one person.
    waiting = len(await numbers.find_overdue_contacts(tx) | {found.conversation.contact_id for found in overdue})
    runs = await flows.list_failed_runs(tx, caller, limit=ROWS)
    sends = [*await _failed_sends(visit, now), *_failed_runs(runs, now)]
    parts, is_fresh = await _parts(visit, now)
    figures = await numbers.load_numbers(tx, caller)
    context = HomePage(
        answer=answer_for(waiting, len(sends) + len(parts)),
        is_clear=not waiting and not sends and not parts,
        leads=tuple(unanswered),
        conversations=tuple(overdue[:ROWS]),
        sends=tuple(sends[:ROWS]),
        parts=tuple(parts[:ROWS]),
        numbers=figures,
        speed=_speed_bars(figures),
        answers=tuple(Bar(day.answers, f"{day.day:%d %b}", "" if day.answers else "quiet") for day in figures.days),
        has_answers=any(day.answers for day in figures.days),
        is_fresh=is_fresh and not unanswered,
        now=now,
    )
    return await visit.render("home.html", context, active="home")


def answer_for(waiting: int, troubles: int) -> str:
    """The answer in one sentence: people first, then what does not work."""
    if waiting:
        who = _SMALL[waiting] if waiting < len(_SMALL) else f"{waiting} people"
        if waiting >= MOST_COUNTED:
            who = f"At least {MOST_COUNTED} people"
        return f"{who} {'is' if waiting == 1 else 'are'} waiting longer than they should."
    if troubles:
        return "Nobody is waiting too long, but something needs a look."
    return "Nobody was forgotten."


async def _parts(visit: Visit, now: datetime) -> tuple[list[Trouble], bool]:
    queues = [
        Trouble(f"queue-{queue.name}", f"Queue {queue.name}", queue.trouble, "/health/ready")
        for queue in await health.check_queues(visit.tx)
        if queue.is_behind
    ]
    sources = await intake.list_sources(visit.tx, visit.caller)
    figures = await intake.find_figures(visit.tx, sources)
    troubles = []
    for source in sources:
        found = figures.get(source.id)
        if found is None or source.paused_at is not None:
            continue
        href = f"/sources/{source.id}"
        if found.failed_count:
            text = f"{source.name} sends what cannot be read"
            troubles.append(
                Trouble(f"failed-{source.id}", text, f"{found.failed_count:,} today", href, at=found.last_at)
            )
        elif found.last_at is not None and QUIET_AFTER < now - found.last_at < FORGOTTEN_AFTER:
            text = f"{source.name} has gone quiet"
            troubles.append(Trouble(f"quiet-{source.id}", text, "last signal", href, at=found.last_at))
    is_fresh = all(found.last_at is None for found in figures.values())
    return [*await _kept_troubles(visit), *queues, *troubles], is_fresh


async def _kept_troubles(visit: Visit) -> list[Trouble]:
    """Signals that wait outside the database."""
    kept = await visit.request.app.state.standby.measure()
    return [
        Trouble(f"kept-{number}", "Signals came in while the database was away", text, "/health/ready")
        for number, text in enumerate(health.describe_kept(kept))
    ]


async def _failed_sends(visit: Visit, now: datetime) -> list[Trouble]:
    """Channels that do not send, then what was given up or is in doubt, of the last days."""
    stops = [
        Trouble(
            f"channel-{stop.channel}",
            f"Nothing goes out by {stop.channel}",
            stop.detail,
            "/mailbox",
            at=stop.began_at,
        )
        for stop in await delivery.list_breaks(visit.tx)
    ]
    failed = await delivery.list_troubles(visit.tx, states=("failed", "in_doubt"), limit=ROWS, is_unseen=True)
    return stops + [
        Trouble(
            key=f"message-{message.id}",
            text=_WENT[message.state],
            detail=message.detail or message.reason or message.title,
            href=f"/messages/{message.id}",
            seen_action=f"/messages/{message.id}/seen",
            at=message.created_at,
        )
        for message in failed
        if now - message.created_at < SENDS_OF
    ]


def _failed_runs(runs: Sequence[FailedRun], now: datetime) -> list[Trouble]:
    return [
        Trouble(
            key=f"run-{run.id}",
            text=f"{run.flow_title} could not go on",
            detail=run.reason,
            href=f"/leads/{run.lead_id}" if run.lead_id else f"/flows/{run.flow_id}",
            at=run.ended_at,
        )
        for run in runs
        if now - run.ended_at < SENDS_OF
    ]


def _speed_bars(figures: Numbers) -> tuple[Bar, ...]:
    bars = []
    for day in figures.days:
        minutes = day.median_minutes
        kind = "quiet" if minutes is None else "bad" if minutes > figures.target_minutes else ""
        bars.append(Bar(round(minutes or 0, 1), f"{day.day:%d %b}", kind))
    return tuple(bars)


routes = [Route("/", page(show_home), methods=["GET"])]
