"""What became of a file's rows, counted as they are recognised."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from switchboard.intake import repository_imports
from switchboard.intake.models import DueSignal, SignalOutcome
from switchboard.intake.repository_imports import ImportProblem, Progress
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event


async def count_imported(
    tx: Tx, due: Sequence[DueSignal], outcomes: Sequence[SignalOutcome], payloads: Mapping[UUID, object]
) -> None:
    """Add the outcomes of imported signals to their import's report, and keep the rows that failed with reasons."""
    origin = {signal.signal_id: signal for signal in due if signal.import_id is not None}
    counts: dict[UUID, Counter[str]] = defaultdict(Counter)
    rejected: dict[UUID, list[ImportProblem]] = defaultdict(list)
    for outcome in outcomes:
        signal = origin.get(outcome.signal_id)
        if signal is None or signal.import_id is None:
            continue
        counts[signal.import_id][outcome.outcome] += 1
        if outcome.outcome == "failed":
            rejected[signal.import_id].append(_problem(signal, outcome, payloads.get(signal.signal_id)))
    for import_id, problems in sorted(rejected.items()):
        await repository_imports.insert_problems(tx, import_id, problems)
    # Last, because every process that recognises rows of the same file waits for this row.
    for import_id, counted in sorted(counts.items()):
        new, updated = counted["opened"] + counted["junk"], counted["joined"]
        await add_progress(tx, import_id, Progress(new=new, updated=updated, failed=counted["failed"]))


async def add_progress(tx: Tx, import_id: UUID, progress: Progress) -> None:
    """Add to an import's report, and say so to open pages."""
    if await repository_imports.add_progress(tx, import_id, progress):
        await events.append(tx, [Event("import.finished", subject_id=import_id)])
    else:
        await events.notify_live(tx, {"import"})


def _problem(signal: DueSignal, outcome: SignalOutcome, payload: object) -> ImportProblem:
    cells = payload if isinstance(payload, dict) else {}
    return ImportProblem(signal.import_row or 0, reason(outcome.problems), cells)


def reason(problems: Sequence[Mapping[str, object]]) -> str:
    """Why a row was not imported, in one line."""
    return "; ".join(f"{problem['field']}: {problem['message']}".removeprefix(": ") for problem in problems)
