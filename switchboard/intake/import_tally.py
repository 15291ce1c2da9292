"""What became of a file's rows, counted as they are recognised."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

from switchboard.intake import repository_imports
from switchboard.intake.models import DueSignal, SignalOutcome
from switchboard.kernel.db import Tx


async def count_imported(tx: Tx, due: Sequence[DueSignal], outcomes: Sequence[SignalOutcome]) -> None:
    """Add the outcomes of imported signals to their import's report, and keep the rows that failed with reasons."""
    origin = {signal.signal_id: signal for signal in due if signal.import_id is not None}
    counts: dict[UUID, Counter[str]] = defaultdict(Counter)
    rejected: list[tuple[UUID, int, str, UUID]] = []
    for outcome in outcomes:
        signal = origin.get(outcome.signal_id)
        if signal is None or signal.import_id is None:
            continue
        counts[signal.import_id][outcome.outcome] += 1
        if outcome.outcome == "failed":
            rejected.append((signal.import_id, signal.import_row or 0, _reason(outcome), signal.signal_id))
    for import_id, counted in sorted(counts.items()):
        new, updated = counted["opened"] + counted["junk"], counted["joined"]
        await repository_imports.add_counts(tx, import_id, new=new, updated=updated, failed=counted["failed"])
    if rejected:
        await repository_imports.insert_problems(tx, rejected)


def _reason(outcome: SignalOutcome) -> str:
    return "; ".join(f"{problem['field']}: {problem['message']}".removeprefix(": ") for problem in outcome.problems)
