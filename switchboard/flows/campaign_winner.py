"""Which variant of a test the rest of the audience gets."""

from collections.abc import Mapping

from switchboard.flows import repository_recipients
from switchboard.flows.campaign_models import Campaign
from switchboard.kernel.db import Tx

# Who got the letter, whatever came of it.
REACHED = ("sent", "answered", "bounced", "opted_out")


async def find_winner(tx: Tx, campaign: Campaign) -> int | None:
    """The variant with the most answers, or with the fewest opt-outs, of those it reached; the first of equals.

    None while nobody was reached: quiet hours may hold all of the test back.
    """
    counts: dict[int, dict[str, int]] = {}
    for _, variant, state, recipients in await repository_recipients.count_states(tx, [campaign.id]):
        counts.setdefault(variant, {})[state] = recipients
    reached = {number: states for number, states in counts.items() if count_reached(states)}
    if not reached:
        return None
    return min(reached, key=lambda number: (_rank(campaign, reached[number]), number))


def count_reached(states: Mapping[str, int]) -> int:
    """How many of these got the letter."""
    return sum(states.get(name, 0) for name in REACHED)


def _rank(campaign: Campaign, states: Mapping[str, int]) -> float:
    if campaign.winner_rule == "answered":
        return -states.get("answered", 0) / count_reached(states)
    return states.get("opted_out", 0) / count_reached(states)
