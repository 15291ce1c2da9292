"""How large a segment would be, and who would be in it, before it is saved."""

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.people import repository_previews as repository
from switchboard.people.models import ContactSummary
from switchboard.people.repository import load_contacts
from switchboard.people.repository_conditions import write_predicate
from switchboard.people.repository_vocabulary import OWN_WORDS
from switchboard.people.segment_conditions import check_condition
from switchboard.people.segment_models import Preview
from switchboard.people.segment_vocabulary import Vocabulary

MOST_MILLISECONDS = 1_000
FEW_MILLISECONDS = 20
SAMPLE = 8
SAMPLED = 5_000


async def preview(
    tx: Tx,
    caller: Caller,
    condition: str,
    vocabulary: Vocabulary = OWN_WORDS,
    *,
    milliseconds: int = MOST_MILLISECONDS,
) -> Preview:
    """How many contacts meet a condition, and some of the newest of them; raises InvalidError.

    They are counted for `milliseconds` at most; then the share among the newest must do, and `is_exact` is False.
    """
    caller.require("viewer")
    predicate = write_predicate(check_condition(condition, vocabulary).tree)
    counted = await repository.find_count(tx, predicate, milliseconds)
    ids = await repository.list_sample(tx, predicate, SAMPLED, SAMPLE)
    contacts = await load_contacts(tx, ids)
    sample = [ContactSummary.of(contacts[contact_id]) for contact_id in ids if contact_id in contacts]
    count = await repository.estimate(tx, predicate, SAMPLED) if counted is None else counted
    return Preview(max(count, len(sample)), counted is not None, sample)


async def count_everybody(tx: Tx, caller: Caller) -> tuple[int, bool]:
    """How many contacts there are, and whether that is counted: it is while it takes no time, else estimated."""
    caller.require("viewer")
    predicate = write_predicate(check_condition("true", OWN_WORDS).tree)
    counted = await repository.find_count(tx, predicate, FEW_MILLISECONDS)
    return (await repository.expect_contacts(tx), False) if counted is None else (counted, True)
