"""Writing down what became of messages that were taken, in batches and behind the fence.

Only rows that are still taken with the very token of the try are touched: whoever was too slow, and whose message has
been taken by somebody else since, changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from switchboard.delivery import repository_holds, repository_outbox, repository_settling, suppressing
from switchboard.delivery.bounces import is_address_gone
from switchboard.delivery.channels.base import SendError
from switchboard.delivery.claiming import LEASE, MOST_ATTEMPTS
from switchboard.delivery.frames import KeptFrames
from switchboard.delivery.letters import Outgoing, Written
from switchboard.delivery.queueing import message_event
from switchboard.delivery.repository_settling import Settlement
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


class Outcome(msgspec.Struct, frozen=True):
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

    @property
    def blames_address(self) -> bool:
        """Whether the recipient's server says that there is nobody by that address."""
        error = self.error
        if error is None or error.kind != "permanent" or error.at_fault != "recipient":
            return False
        return is_address_gone(error.message)


class Completer:
    """Writes down the outcomes of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._frames = KeptFrames()

    async def complete_safely(self, outcomes: Sequence[Outcome]) -> None:
        """Write these; one that cannot be written keeps no other from it, and its message is taken back later."""
        try:
            await self.complete(outcomes)
        except Exception as error:
            if concerns_batch(error):
                raise
            if len(outcomes) == 1:
                log.error("delivery.outcome_lost", message_id=str(outcomes[0].outgoing.message.id), exc_info=error)
                return
            half = len(outcomes) // 2
            await self.complete_safely(outcomes[:half])
            await self.complete_safely(outcomes[half:])

    async def complete(self, outcomes: Sequence[Outcome]) -> int:
        """Write these; returns how many of them still counted."""
        if not outcomes:
            return 0
        counted = 0
        by_workspace: dict[UUID, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            by_workspace[outcome.outgoing.workspace_id].append(outcome)
        async with self._database.queue_loop(keeps_plans=True, workspace_id=min(by_workspace)) as tx:
            await tx.expect(len(outcomes))
            for workspace_id in sorted(by_workspace):
                await tx.enter_workspace(workspace_id)
                with tx.remembering():
                    counted += await self._complete_workspace(tx, by_workspace[workspace_id])
        for workspace_id, mine in by_workspace.items():
            self._frames.note(workspace_id, _frames_of(mine))
        for (channel, word), sends in Counter((one.outgoing.message.channel, one.word) for one in outcomes).items():
            SENDS.labels(channel, word).inc(sends)
        return counted

    async def _complete_workspace(self, tx: Tx, outcomes: Sequence[Outcome]) -> int:
        await self._frames.keep(tx, _frames_of(outcomes))
        settlements = [_settlement_of(outcome) async for some in in_turns(outcomes) for outcome in some]
        places = await repository_settling.settle(tx, settlements)
        if len(places) < len(outcomes):
            _report_late(outcomes, places)
        pairs = [(outcomes[place], settlements[place]) for place in places]
        others = [pair for pair in pairs if not pair[1].is_over]
        await _give_back(tx, [outcome.outgoing for outcome, _ in others if outcome.is_given_back])
        await _keep_for_later(tx, [pair for pair in others if not pair[0].is_given_back])
        for outcome in [outcome for outcome, _ in pairs if outcome.error is not None]:
            message = outcome.outgoing.message
            if outcome.blames_address and message.contact_id is not None:
                await suppressing.suppress(tx, message.channel, message.address, "bounced", message.id)
        told = [_event_of(*pair) async for some in in_turns(pairs) for pair in some]
        await events.append(tx, [event for event in told if event is not None])
        return len(places)


def _report_late(outcomes: Sequence[Outcome], places: Sequence[int]) -> None:
    # A process that stood still may bring both its lost try of a message and the next one in one batch.
    for place in set(range(len(outcomes))).difference(places):
        outcome = outcomes[place]
        log.warning("delivery.late_outcome", message_id=str(outcome.outgoing.message.id), outcome=outcome.word)


async def _give_back(tx: Tx, untried: Sequence[Outgoing]) -> None:
    """Make messages due again that were taken and not begun, as if nobody had taken them."""
    if untried:
        ids = [outgoing.message.id for outgoing in untried]
        await repository_holds.hand_back(tx, ids, [outgoing.token for outgoing in untried])


async def _keep_for_later(tx: Tx, pairs: Sequence[tuple[Outcome, Settlement]]) -> None:
    """Let messages wait for their next try, or, where nobody knows whether they arrived, for the end of their lease."""
    later = [_later_row(outcome) for outcome, settlement in pairs if settlement.state == "queued"]
    doubted = [settlement.message_id for _, settlement in pairs if settlement.state == "in_doubt"]
    if later:
        await repository_outbox.put_off(tx, later)
    if doubted:
        await repository_outbox.keep_leased(tx, doubted, LEASE)


def _settlement_of(outcome: Outcome) -> Settlement:
    """What one outcome means for its message."""
    error = outcome.error
    if outcome.is_given_back:
        return _unsent(outcome, "queued", None, None, is_over=False)
    if error is None:
        outgoing = outcome.outgoing
        return _sent(outcome, "sent", outgoing.late_reason, outgoing.late_detail)
    if error.kind == "in_doubt":
        return _doubt(outcome, error)
    if error.kind == "permanent":
        return _unsent(outcome, "failed", error.code, error.message, is_over=True)
    attempts = _attempts_counted(outcome)
    if attempts >= MOST_ATTEMPTS and not outcome.is_on_us:
        detail = f"Given up after {attempts} tries. {error.message}"
        return _unsent(outcome, "failed", "too_many_attempts", detail, is_over=True)
    return _unsent(outcome, "queued", "retrying", f"{error.message} It is tried again.", is_over=False)


def _doubt(outcome: Outcome, error: SendError) -> Settlement:
    if outcome.outgoing.message.purpose in SENT_AGAIN_IN_DOUBT:
        detail = f"{error.message} It is sent once more, with the same Message-ID."
        return _unsent(outcome, "in_doubt", error.code, detail, is_over=False)
    return _sent(outcome, "in_doubt", error.code, f"{error.message} Advertising is not sent again by itself.")


def _attempts_counted(outcome: Outcome) -> int:
    """How often the message was tried by now; a try that a break makes up for does not count."""
    return outcome.outgoing.attempts - outcome.is_on_us


def _later_row(outcome: Outcome) -> dict[str, object]:
    error, attempts = outcome.error, _attempts_counted(outcome)
    pause = error.retry_after if error is not None else None
    pause = pause or backoff(outcome.outgoing.attempts, first=FIRST_RETRY)
    return {"message_id": outcome.outgoing.message.id, "attempts": attempts, "seconds": pause.total_seconds()}


def _event_of(outcome: Outcome, settlement: Settlement) -> Event | None:
    """What is told of it; nothing of one that will be tried again."""
    outgoing, state = outcome.outgoing, settlement.state
    if state == "sent":
        return message_event("message.sent", outgoing.message, {"is_late": True} if outgoing.late_reason else None)
    if state == "queued":
        return None
    return message_event(f"message.{state}", outgoing.message, {"reason": settlement.reason})


def _unsent(outcome: Outcome, state: str, reason: str | None, detail: str | None, *, is_over: bool) -> Settlement:
    outgoing = outcome.outgoing
    return Settlement(
        outgoing.message.id,
        outgoing.token,
        outcome.seconds,
        None if outcome.is_given_back else outcome.word,
        outcome.response[:LONGEST_RESPONSE],
        state,
        reason,
        detail[:LONGEST_RESPONSE] if detail else None,
        is_over,
    )


def _sent(outcome: Outcome, state: str, reason: str | None, detail: str | None) -> Settlement:
    outgoing, written = outcome.outgoing, outcome.written
    message = outgoing.message
    cut = written.cut if written else None
    html = written.html if written else message.body_html
    return Settlement(
        message.id,
        outgoing.token,
        outcome.seconds,
        outcome.word,
        outcome.response[:LONGEST_RESPONSE],
        state,
        reason,
        detail,
        True,
        written.subject if written else message.subject,
        written.text if written else message.body_text,
        html if cut is None else None,
        cut.skeleton.id if cut else None,
        msgspec.json.encode(cut.pieces).decode() if cut else None,
    )


def _frames_of(outcomes: Sequence[Outcome]) -> dict[UUID, Sequence[str]]:
    """What the letters of these outcomes share, by its id."""
    cuts = [outcome.written.cut for outcome in outcomes if outcome.written is not None]
    return {cut.skeleton.id: cut.skeleton.texts for cut in cuts if cut is not None}
