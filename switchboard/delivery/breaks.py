"""When a channel takes a break: its server cannot be reached, or will not have us, so every message would fail alike.

While it lasts nothing is taken for that channel in any process. After it one message tries; its outcome ends the break
or makes the next one longer.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec.structs import replace

from switchboard.delivery import repository_outbox
from switchboard.delivery.completing import Outcome
from switchboard.kernel.db import Database
from switchboard.kernel.queues import backoff

FIRST_BREAK = timedelta(seconds=5)
LONGEST_BREAK = timedelta(seconds=60)
# So many failures in a row may be bad luck with single messages; these refusals never are.
FAILURES_IN_A_ROW = 5
REFUSES_US = frozenset({"connect_failed", "address_private", "401", "403", "530", "534", "535", "538"})


@dataclass(slots=True)
class Breaker:
    """Watches the outcomes of one process and begins and ends breaks."""

    failures: dict[str, int] = field(default_factory=dict)

    async def watch(self, database: Database, outcomes: Sequence[Outcome], resting: Collection[str]) -> list[Outcome]:
        """The same outcomes, those marked that a break makes up for; `resting` are the channels that had one lately."""
        broken = {channel for channel in _channels_of(outcomes) if self._is_broken(channel, outcomes)}
        working = {one.outgoing.message.channel for one in outcomes if one.error is None}.intersection(resting)
        if broken or working:
            await self._write(database, outcomes, broken, working)
        return [replace(one, is_on_us=True) if _is_on_us(one, broken) else one for one in outcomes]

    def _is_broken(self, channel: str, outcomes: Sequence[Outcome]) -> bool:
        mine = [one for one in outcomes if one.outgoing.message.channel == channel]
        if any(one.error is None for one in mine):
            self.failures[channel] = 0
            return False
        failed = [one.error for one in mine if one.error is not None and _blames_connection(one)]
        if not failed:
            return False
        self.failures[channel] = self.failures.get(channel, 0) + len(failed)
        return self.failures[channel] >= FAILURES_IN_A_ROW or any(error.code in REFUSES_US for error in failed)

    async def _write(
        self, database: Database, outcomes: Sequence[Outcome], broken: set[str], working: set[str]
    ) -> None:
        async with database.queue_loop() as tx:
            breaks = {found.channel: found for found in await repository_outbox.list_breaks(tx)}
            if ended := sorted(working & breaks.keys()):
                await repository_outbox.end_break(tx, ended)
            for channel in sorted(broken):
                before = breaks[channel].failures if channel in breaks else 0
                length = backoff(before + 1, first=FIRST_BREAK, most=LONGEST_BREAK)
                await repository_outbox.begin_break(tx, channel, length, _detail_of(channel, outcomes))


def _channels_of(outcomes: Sequence[Outcome]) -> set[str]:
    return {one.outgoing.message.channel for one in outcomes}


def _blames_connection(outcome: Outcome) -> bool:
    error = outcome.error
    return error is not None and error.kind == "retryable" and error.at_fault == "connection"


def _is_on_us(outcome: Outcome, broken: set[str]) -> bool:
    return outcome.outgoing.message.channel in broken and _blames_connection(outcome)


def _detail_of(channel: str, outcomes: Sequence[Outcome]) -> str:
    return next(
        one.error.message
        for one in reversed(outcomes)
        if one.error is not None and _blames_connection(one) and one.outgoing.message.channel == channel
    )
