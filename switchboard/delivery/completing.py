"""Writing down what became of messages that were taken, in batches and behind the fence.

Only rows that are still taken with the very token of the try are touched: whoever was too slow, and whose message has
been taken by somebody else since, changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from switchboard.delivery import repository, repository_frames, repository_holds, repository_outbox, suppressing
from switchboard.delivery.bounces import is_address_gone
from switchboard.delivery.channels.base import SendError
from switchboard.delivery.claiming import LEASE, MOST_ATTEMPTS
from switchboard.delivery.letters import Outgoing, Written
from switchboard.delivery.models import Message, NewAttempt
from switchboard.delivery.queueing import message_event
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Event
from switchboard.kernel.queues import backoff, concerns_batch
from switchboard.kernel.telemetry import SENDS
from switchboard.kernel.turns import in_turns

FIRST_RETRY = timedelta(seconds=10)
LONGEST_RESPONSE = 500
# Where nobody knows whether a mail arrived, advertising is not sent again; an answer or a page had better come twice.
SENT_AGAIN_IN_DOUBT = frozenset({"page", "reply", "transactional"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try: `error` is None when the provider took it. `written` is None when it could not be made.

    `is_on_us` says that the channel takes a break for it, so the message does not pay with an attempt. One that
    `is_given_back` was not tried at all.
    """

    outgoing: Outgoing
    seconds: float
    response: str
    written: Written | None = None
    error: SendError | None = None
    is_on_us: bool = False
    is_given_back: bool = False

    @property
    def word(self) -> str:
        """The outcome as attempts and figures name it."""
        if self.is_given_back:
            return "given_back"
        return "sent" if self.error is None else self.error.kind


class _Counted(NamedTuple):
    """An outcome that still counts, and how often its message was tried."""

    outcome: Outcome
    attempts: int


@dataclass(slots=True)
class _Writing:
    """What is to be written for one workspace's outcomes."""

    sent: list[dict[str, object]]
    states: list[dict[str, object]]
    done: list[UUID]
    later: list[dict[str, object]]
    doubted: list[UUID]
    events: list[Event]
    gone: list[Message]
    frames: Mapping[UUID, Sequence[str]]


async def complete_safely(database: Database, outcomes: Sequence[Outcome]) -> None:
    """Write these outcomes; one that cannot be written keeps no other from it, and its message is taken back later."""
    try:
        await complete(database, outcomes)
    except Exception as error:
        if concerns_batch(error):
            raise
        if len(outcomes) == 1:
            log.error("delivery.outcome_lost", message_id=str(outcomes[0].outgoing.message.id), exc_info=error)
            return
        half = len(outcomes) // 2
        await complete_safely(database, outcomes[:half])
        await complete_safely(database, outcomes[half:])


async def complete(database: Database, outcomes: Sequence[Outcome]) -> int:
    """Write these outcomes; returns how many of them still counted."""
    async with database.queue_loop() as tx:
        attempts = await repository_outbox.lock_leased(
            tx, [one.outgoing.message.id for one in outcomes], [one.outgoing.token for one in outcomes]
        )
        by_workspace: dict[UUID, list[_Counted]] = defaultdict(list)
        for place, outcome in enumerate(outcomes):
            # A process that stood still may bring both its lost try of a message and the next one in one batch.
            if place in attempts:
                by_workspace[outcome.outgoing.workspace_id].append(_Counted(outcome, attempts[place]))
            else:
                log.warning("delivery.late_outcome", message_id=str(outcome.outgoing.message.id), outcome=outcome.word)
        for workspace_id in sorted(by_workspace):
            await tx.enter_workspace(workspace_id)
            with tx.remembering():
                await _complete_workspace(tx, by_workspace[workspace_id])
    for (channel, word), sends in Counter((one.outgoing.message.channel, one.word) for one in outcomes).items():
        SENDS.labels(channel, word).inc(sends)
    return len(attempts)


async def _complete_workspace(tx: Tx, outcomes: Sequence[_Counted]) -> None:
    await repository.hold_messages(tx, [outcome.outgoing.message.id for outcome, _ in outcomes])
    tried = [counted for counted in outcomes if not counted.outcome.is_given_back]
    writing = _Writing([], [], [], [], [], [], [], _frames_of(tried))
    async for outcome, attempts in in_turns(tried):
        _sort(writing, outcome, attempts)
    await repository.insert_attempts(tx, [_attempt_of(outcome) for outcome, _ in tried])
    await _write(tx, writing)
    await _give_back(tx, [outcome.outgoing for outcome, _ in outcomes if outcome.is_given_back])


async def _give_back(tx: Tx, untried: Sequence[Outgoing]) -> None:
    """Make messages due again that were taken and not begun, as if nobody had taken them."""
    if untried:
        ids = [outgoing.message.id for outgoing in untried]
        await repository_holds.hand_back(tx, ids, [outgoing.token for outgoing in untried])
        none: dict[str, object] = {"state": "queued", "reason": None, "detail": None}
        await repository.set_states(tx, [{"id": message_id, **none} for message_id in ids])


def _sort(writing: _Writing, outcome: Outcome, attempts: int) -> None:
    """Decide what one outcome means for its message."""
    error = outcome.error
    message = outcome.outgoing.message
    if error is None:
        writing.sent.append(_sent_row(outcome, "sent"))
        writing.done.append(message.id)
        writing.events.append(message_event("message.sent", message, _sent_data(outcome)))
    elif error.kind == "in_doubt":
        _doubt(writing, outcome, error)
    elif error.kind == "permanent":
        _fail(writing, message, error.code, error.message)
        if error.at_fault == "recipient" and is_address_gone(error.message):
            writing.gone.append(message)
    else:
        _retry(writing, outcome, error, attempts)


def _doubt(writing: _Writing, outcome: Outcome, error: SendError) -> None:
    message = outcome.outgoing.message
    if message.purpose in SENT_AGAIN_IN_DOUBT:
        detail = f"{error.message} It is sent once more, with the same Message-ID."
        writing.states.append(_state_row(message, "in_doubt", error.code, detail))
        writing.doubted.append(message.id)
    else:
        detail = f"{error.message} Advertising is not sent again by itself."
        writing.sent.append(_sent_row(outcome, "in_doubt") | {"reason": error.code, "detail": detail})
        writing.done.append(message.id)
    writing.events.append(message_event("message.in_doubt", message, {"reason": error.code}))


def _retry(writing: _Writing, outcome: Outcome, error: SendError, attempts: int) -> None:
    message = outcome.outgoing.message
    if outcome.is_on_us:
        attempts -= 1
    elif attempts >= MOST_ATTEMPTS:
        _fail(writing, message, "too_many_attempts", f"Given up after {attempts} tries. {error.message}")
        return
    pause = error.retry_after or backoff(attempts + 1 if outcome.is_on_us else attempts, first=FIRST_RETRY)
    writing.states.append(_state_row(message, "queued", "retrying", f"{error.message} It is tried again."))
    writing.later.append({"message_id": message.id, "attempts": attempts, "seconds": pause.total_seconds()})


def _fail(writing: _Writing, message: Message, reason: str, detail: str) -> None:
    writing.states.append(_state_row(message, "failed", reason, detail))
    writing.done.append(message.id)
    writing.events.append(message_event("message.failed", message, {"reason": reason}))


async def _write(tx: Tx, writing: _Writing) -> None:
    if writing.sent:
        await repository_frames.keep_frames(tx, writing.frames)
        await repository.set_sent(tx, writing.sent)
    if writing.states:
        await repository.set_states(tx, writing.states)
    if writing.done:
        await repository_outbox.delete_outbox(tx, writing.done)
    if writing.later:
        await repository_outbox.put_off(tx, writing.later)
    if writing.doubted:
        await repository_outbox.keep_leased(tx, writing.doubted, LEASE)
    for message in writing.gone:
        if message.contact_id is not None:
            await suppressing.suppress(tx, message.channel, message.address, "bounced", message.id)
    await events.append(tx, writing.events)


def _attempt_of(outcome: Outcome) -> NewAttempt:
    outgoing = outcome.outgoing
    response = outcome.response[:LONGEST_RESPONSE]
    return NewAttempt(outgoing.message.id, outgoing.token, outcome.seconds, outcome.word, response)


def _sent_row(outcome: Outcome, state: str) -> dict[str, object]:
    message, written = outcome.outgoing.message, outcome.written
    cut = written.cut if written else None
    html = written.html if written else message.body_html
    return {
        "id": message.id,
        "state": state,
        "reason": outcome.outgoing.late_reason,
        "detail": outcome.outgoing.late_detail,
        "subject": written.subject if written else message.subject,
        "body_text": written.text if written else message.body_text,
        "body_html": html if cut is None else None,
        "frame_id": cut.skeleton.id if cut else None,
        "frame_pieces": msgspec.json.encode(cut.pieces).decode() if cut else None,
    }


def _frames_of(outcomes: Sequence[_Counted]) -> dict[UUID, Sequence[str]]:
    """What the letters of these outcomes share, by its id."""
    cuts = [outcome.written.cut for outcome, _ in outcomes if outcome.written is not None]
    return {cut.skeleton.id: cut.skeleton.texts for cut in cuts if cut is not None}


def _state_row(message: Message, state: str, reason: str, detail: str) -> dict[str, object]:
    return {"id": message.id, "state": state, "reason": reason, "detail": detail[:LONGEST_RESPONSE]}


def _sent_data(outcome: Outcome) -> dict[str, object]:
    return {"is_late": True} if outcome.outgoing.late_reason else {}
