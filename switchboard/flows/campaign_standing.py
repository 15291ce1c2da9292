"""How a campaign stands: figures from the counts that are kept, and what happens next in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from switchboard.delivery.wording import REASON_WORDS, Words
from switchboard.flows.campaign_models import Campaign, CampaignState, Counts, RecipientState, Variant
from switchboard.flows.campaign_terms import find_gap, has_rest, starts_at
from switchboard.flows.campaign_winner import count_reached
from switchboard.kernel.localtime import to_local
from switchboard.people.wording import STOPPED_BY

STATE_WORDS: Mapping[CampaignState, Words] = {
    "draft": Words("Draft", "outline"),
    "scheduled": Words("Scheduled", "wait"),
    "starting": Words("Starting", "accent"),
    "running": Words("Running", "ok"),
    "paused": Words("Paused", "wait"),
    "finished": Words("Finished", "outline"),
    "cancelled": Words("Cancelled", "bad"),
}
STATE_ICONS: Mapping[CampaignState, str] = {
    "draft": "pencil",
    "scheduled": "calendar-clock",
    "starting": "play",
    "running": "play",
    "paused": "pause",
    "finished": "check",
    "cancelled": "ban",
}
RECIPIENT_WORDS: Mapping[RecipientState, Words] = {
    "waiting": Words("Waiting", "outline"),
    "queued": Words("In the outbox", "wait"),
    "sent": Words("Sent", "ok"),
    "answered": Words("Answered", "ok"),
    "bounced": Words("Came back", "bad"),
    "opted_out": Words("Opted out", "bad"),
    "held": Words("Held", "wait"),
    "dropped": Words("Not sent", "outline"),
    "failed": Words("Failed", "bad"),
    "in_doubt": Words("In doubt", "bad"),
    "excluded": Words("Left out", "outline"),
    "cancelled": Words("Cancelled", "outline"),
}
# Why somebody stands where they stand; reasons that a provider gave, or a step that failed, stand as they are.
WHY: Mapping[str, str] = {
    **REASON_WORDS,
    **STOPPED_BY,
    "in_flow": "is in this flow already",
    "was_in_flow": "was in this flow too lately",
    "hour_passed": "their local hour had passed",
    "got_it": "has it already",
    "nothing_sent": "the flow ended without a letter to them",
    "no_letter": "the flow sends no letter to contacts",
    "merged": "was merged with somebody who gets it",
    "allowed": "",
}
# Of these nobody knows yet what becomes; all others have come to an end, or a person has to act.
UNSETTLED: frozenset[RecipientState] = frozenset({"waiting", "queued"})
KEPT_BACK: tuple[RecipientState, ...] = ("held", "dropped", "failed", "in_doubt")


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign in figures."""

    states: Mapping[str, int] = field(metadata={"help": "Recipients by state, none missing that are not zero."})
    total: int = field(metadata={"help": "Lines of the ledger."})
    settled: int = field(metadata={"help": "Those who neither wait nor stand in the outbox."})
    reached: int = field(metadata={"help": "Those who got a letter, whatever came of it."})
    kept_back: int = field(metadata={"help": "Those whose letter did not simply go out."})
    under_way: int = field(metadata={"help": "Runs that have not ended."})
    late: int = field(metadata={"help": "Those whose turn has come and who have no letter yet."})
    last_turn: datetime | None = field(metadata={"help": "When the last turn comes, None when nobody has one."})

    def people_query(self, *states: str) -> str:
        """The end of the ledger's address that shows those who stand there: all of it where they stand in several."""
        found = [state for state in states if self.states.get(state)] or list(states[:1])
        return f"?state={found[0]}" if len(found) == 1 else ""

    def share(self, state: str) -> str:
        """How many of those reached stand in a state, in percent; empty when nobody was reached."""
        return f"{100 * self.states.get(state, 0) / self.reached:.1f} %" if self.reached else ""


def stand(campaign: Campaign, states: Mapping[str, int], now: datetime, under_way: int = 0) -> Standing:
    """The figures of a campaign, or of one of its variants, with these recipients by state."""
    total = sum(states.values())
    return Standing(
        states=states,
        total=total,
        settled=total - sum(states.get(state, 0) for state in UNSETTLED),
        reached=count_reached(states),
        kept_back=sum(states.get(state, 0) for state in KEPT_BACK),
        under_way=under_way,
        late=_count_late(campaign, states.get("waiting", 0), now),
        last_turn=find_last_turn(campaign),
    )


def sum_counts(counts: Sequence[Counts]) -> dict[str, int]:
    """Recipients by state, of all variants together."""
    totals: dict[str, int] = {}
    for one in counts:
        for state, recipients in one.states.items():
            totals[state] = totals.get(state, 0) + recipients
    return totals


def find_last_turn(campaign: Campaign) -> datetime | None:
    """When the last of those whose turn is known has it."""
    gap = find_gap(campaign)
    turns = [_moment(campaign, moment) + (number - 1) * gap for moment, number in campaign.spread.items() if number]
    return max(turns, default=None)


def find_start(campaign: Campaign) -> datetime | None:
    """When a scheduled campaign begins by itself; None for any other."""
    return starts_at(campaign) if campaign.state == "scheduled" else None


def say_next(campaign: Campaign, variants: Sequence[Variant], standing: Standing, zone: str) -> str:
    """What happens next, in a sentence or two; moments are of the workspace's `zone`."""
    if campaign.state == "paused":
        return "Nothing goes out until somebody resumes it. Whoever waits keeps their place."
    if campaign.sweep is not None:
        return _SWEEPING[campaign.sweep]
    if campaign.state == "running":
        return _say_running(campaign, variants, standing, zone)
    if campaign.state == "scheduled":
        return _say_scheduled(campaign, zone)
    return _SAID[campaign.state].format(reached=f"{standing.reached:,}", total=f"{standing.total:,}")


_SWEEPING = {
    "resume": "It goes on where it stood: those who rested are being let go on.",
    "spread": "Everybody who waits is being given a new turn, by the pace it has now.",
    "cancel": "What had not gone is being called back. Nothing of it goes out any more.",
}
_SAID: Mapping[CampaignState, str] = {
    "draft": "Nothing goes out before you start it. The dry run says who would get what, and who is held back.",
    "starting": "The audience is being taken in; the first letters go out meanwhile.",
    "finished": "It is over: {reached} of {total} got it.",
    "cancelled": "It was cancelled: {reached} of {total} got it before, and nobody gets it any more.",
}


def _say_scheduled(campaign: Campaign, zone: str) -> str:
    moment = find_start(campaign)
    if moment is None:
        return "It starts by itself."
    if campaign.local_date is None or campaign.local_hour is None:
        return f"It starts by itself: {say_moment(moment, zone)}."
    hour = f"{campaign.local_date:%a %d %b} at {campaign.local_hour:%H:%M}"
    first = say_moment(moment, zone)
    return f"Everybody gets it on {hour} by their own clock. It begins where that comes first: {first} with you."


def _say_running(campaign: Campaign, variants: Sequence[Variant], standing: Standing, zone: str) -> str:
    said = []
    if standing.states.get("waiting"):
        said.append(_say_waiting(standing, zone))
    elif standing.states.get("queued"):
        said.append(f"{standing.states['queued']:,} letters wait in the outbox.")
    elif standing.under_way:
        said.append(f"{standing.under_way:,} are in the middle of its flow; the others have come to its end.")
    if has_rest(campaign, variants):
        said.append(_say_winner(campaign, zone))
    return " ".join(said) or "Everybody has had their turn; it ends within a minute."


def _say_waiting(standing: Standing, zone: str) -> str:
    waiting = standing.states["waiting"]
    those = "1 person waits" if waiting == 1 else f"{waiting:,} people wait"
    if standing.last_turn is None or standing.late >= waiting:
        return f"{those} for a letter."
    return f"{those} for their turn; the last one comes {say_moment(standing.last_turn, zone)}."


def _say_winner(campaign: Campaign, zone: str) -> str:
    if campaign.winner_rule == "manual":
        return "The rest of the audience waits until somebody chooses the winner."
    if campaign.winner_due_at is None:
        return "The rest of the audience waits for the winner of the test."
    return f"The winner of the test is chosen {say_moment(campaign.winner_due_at, zone)}, and the rest gets it."


def say_moment(at: datetime, zone: str) -> str:
    """A moment as people of a zone write it, such as `Sat 21 Nov, 09:00`."""
    return f"{to_local(at, zone):%a %d %b, %H:%M}"


def _count_late(campaign: Campaign, waiting: int, now: datetime) -> int:
    """Of those who wait, how many have had their turn: all but those whose turn is still to come."""
    if not campaign.is_under_way or campaign.state == "paused" or campaign.sweep is not None:
        return 0
    gap = find_gap(campaign)
    to_come = sum(
        number - _count_due(_moment(campaign, moment), number, gap, now) for moment, number in campaign.spread.items()
    )
    return max(waiting - to_come, 0)


def _count_due(base: datetime, number: int, gap: timedelta, now: datetime) -> int:
    if now < base:
        return 0
    return number if not gap else min(number, (now - base) // gap + 1)


def _moment(campaign: Campaign, seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), tz=campaign.created_at.tzinfo)
