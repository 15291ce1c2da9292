"""The ledger of campaigns, kept by what happens to messages and runs, in the same transaction.

A message and the run that wrote it name their campaign in the data of their events, so that nothing is looked up for
those of flows. An answer and an opt-out are about a person: they count for the campaign that reached them last.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from switchboard.accounts.models import system_caller
from switchboard.flows import campaigns, repository_campaigns, repository_recipients
from switchboard.flows.campaign_models import AlikeChanges, Campaign, Change, RecipientState
from switchboard.flows.campaign_winner import count_reached
from switchboard.kernel.columns import NOTHING
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event, id_in
from switchboard.kernel.events_alike import AlikeEvents

_OF_MESSAGE: Mapping[str, RecipientState] = {
    "message.queued": "queued",
    "message.sent": "sent",
    "message.held": "held",
    "message.dropped": "dropped",
    "message.failed": "failed",
    "message.in_doubt": "in_doubt",
    "message.bounced": "bounced",
}
_OF_PERSON: Mapping[str, RecipientState] = {"message.replied": "answered", "contact.opted_out": "opted_out"}
_OF_RUN: Mapping[str, RecipientState] = {"run.finished": "dropped", "run.stopped": "dropped", "run.failed": "failed"}
HEARD_OF_CAMPAIGNS = (*_OF_MESSAGE, *_OF_RUN)
HEARD_OF_PERSONS = tuple(_OF_PERSON)
CAMPAIGN = "campaign_id"
_COUNTS_AGAINST = frozenset({"message.bounced", "message.failed"})

# How long after its start an answer or an opt-out still counts for a campaign.
WINDOW = timedelta(days=30)
# Deliverability is judged over so many messages at most, and never by fewer than would be one in a hundred.
MOST_JUDGED = 1_000
FEWEST_JUDGED = 100
NOTHING_SENT = "nothing_sent"

Writer = Callable[[Tx, Sequence[Change]], Awaitable[list[Change]]]


async def hear(tx: Tx, told: Sequence[Event]) -> None:
    """Write what happened to recipients, and pause a campaign of which too much comes back."""
    of_campaigns = [event for event in told if event.contact_id is not None and "campaign_id" in event.data]
    move, end = repository_recipients.move_recipients, repository_recipients.end_waiting
    await _write(tx, move, [_change(event) for event in of_campaigns if event.kind in _OF_MESSAGE])
    await _write(tx, end, [_ending(event) for event in of_campaigns if event.kind in _OF_RUN])
    await _hear_persons(tx, [event for event in told if event.kind in _OF_PERSON])
    bad = {event.find_id("campaign_id") for event in of_campaigns if event.kind in _COUNTS_AGAINST}
    for campaign_id in sorted(one for one in bad if one is not None):
        await _judge(tx, campaign_id)


async def hear_alike(tx: Tx, told: AlikeEvents) -> None:
    """The same of events that are alike, by their columns: what each step of a campaign tells of a whole cohort."""
    campaign_id = id_in(told.data, CAMPAIGN)
    if campaign_id is None:
        return
    if told.kind in _OF_MESSAGE:
        unfound = await repository_recipients.move_alike(tx, _alike(told, campaign_id, of_messages=True))
        await _write_moved(tx, repository_recipients.move_recipients, unfound)
    else:
        unfound = await repository_recipients.end_alike(tx, _alike(told, campaign_id, of_messages=False))
        await _write_moved(tx, repository_recipients.end_waiting, unfound)
    if told.kind in _COUNTS_AGAINST:
        await _judge(tx, campaign_id)


async def _write(tx: Tx, write: Writer, changes: Sequence[Change]) -> None:
    """Write changes in their order; a line that merging has moved is looked for where it lies now."""
    for each in _rounds(changes):
        await _write_moved(tx, write, await write(tx, each))


async def _write_moved(tx: Tx, write: Writer, unfound: Sequence[Change]) -> None:
    if unfound:
        for again in _rounds(await repository_recipients.find_moved(tx, unfound)):
            await write(tx, again)


async def _hear_persons(tx: Tx, told: Sequence[Event]) -> None:
    states = {event.contact_id: _OF_PERSON[event.kind] for event in told if event.contact_id is not None}
    if not states:
        return
    reached = await repository_recipients.find_lately_reached(tx, sorted(states), WINDOW)
    if reached:
        changes = [Change(campaign_id, contact_id, states[contact_id]) for campaign_id, contact_id in reached]
        await repository_recipients.move_recipients(tx, changes)


def _change(event: Event) -> Change:
    return Change(
        *_line(event),
        state=_OF_MESSAGE[event.kind],
        reason=_reason(event.data),
        run_id=event.find_id("run_id"),
        message_id=event.subject_id,
    )


def _alike(told: AlikeEvents, campaign_id: UUID, *, of_messages: bool) -> AlikeChanges:
    return AlikeChanges(
        campaign_id=campaign_id,
        state=_OF_MESSAGE[told.kind] if of_messages else _OF_RUN[told.kind],
        reason=_reason(told.data) if of_messages else _why_ended(told.kind, told.data),
        contact_ids=told.contact_ids,
        run_ids=told.cause_ids,
        message_ids=told.subject_ids if of_messages else NOTHING,
    )


def _ending(event: Event) -> Change:
    reason = _why_ended(event.kind, event.data)
    return Change(*_line(event), state=_OF_RUN[event.kind], reason=reason, run_id=event.find_id("run_id"))


def _line(event: Event) -> tuple[UUID, UUID]:
    campaign_id = event.find_id("campaign_id")
    if campaign_id is None or event.contact_id is None:
        raise ValueError("the event is not about a campaign's recipient")
    return campaign_id, event.contact_id


def _why_ended(kind: str, data: Mapping[str, object]) -> str | None:
    return NOTHING_SENT if kind == "run.finished" else _reason(data)


def _reason(data: Mapping[str, object]) -> str | None:
    reason = data.get("reason")
    return str(reason) if reason is not None else None


def _rounds(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """The changes in their order, each recipient at most once a round: one statement writes a line once."""
    left = list(changes)
    while left:
        first = {(change.campaign_id, change.contact_id): change for change in reversed(left)}
        yield list(first.values())
        left = [change for change in left if first[change.campaign_id, change.contact_id] is not change]


async def _judge(tx: Tx, campaign_id: UUID) -> None:
    """Pause a campaign when of its messages since the last look too many came back or were refused."""
    campaign = await repository_campaigns.find_campaign(tx, campaign_id)
    if campaign is None or campaign.state not in ("starting", "running"):
        return
    states: dict[str, int] = {}
    for _, _, state, recipients in await repository_recipients.count_states(tx, [campaign_id]):
        states[state] = states.get(state, 0) + recipients
    bad = states.get("bounced", 0) + states.get("failed", 0)
    sent = count_reached(states) + states.get("failed", 0)
    judged = sent - campaign.seen_sent
    if 100 * (bad - campaign.seen_bad) > campaign.pause_at_percent * max(judged, FEWEST_JUDGED):
        await repository_campaigns.set_seen(tx, campaign_id, sent, bad)
        await _pause(tx, campaign, bad - campaign.seen_bad, judged)
    elif judged >= MOST_JUDGED:
        await repository_campaigns.set_seen(tx, campaign_id, sent, bad)


async def _pause(tx: Tx, campaign: Campaign, bad: int, judged: int) -> None:
    reason = (
        f"{bad} of the last {judged} messages came back or were refused, more than {campaign.pause_at_percent} of 100. "
        "Look at the addresses before it goes on."
    )
    await campaigns.pause_campaign(tx, system_caller(tx.workspace_id), campaign.id, reason)
