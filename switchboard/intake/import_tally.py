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
    origin = {signal.signal_id: signal.import_id for signal in due if signal.import_id is not None}
    by_import: dict[UUID, list[SignalOutcome]] = defaultdict(list)
    for outcome in outcomes:
        if (import_id := origin.get(outcome.signal_id)) is not None:
            by_import[import_id].append(outcome)
    for import_id, own in sorted(by_import.items()):
        if rejected := list_rejected(due, own, payloads):
            await repository_imports.insert_problems(tx, import_id, rejected)
    # Last, because every process that recognises rows of the same file waits for this row.
    for import_id, own in sorted(by_import.items()):
        await add_progress(tx, import_id, count_outcomes(own))


def count_outcomes(outcomes: Sequence[SignalOutcome]) -> Progress:
    """What recognised rows add to their import's report."""
    counted = Counter(outcome.outcome for outcome in outcomes)
    return Progress(new=counted["opened"] + counted["junk"], updated=counted["joined"], failed=counted["failed"])


def list_rejected(
    due: Sequence[DueSignal], outcomes: Sequence[SignalOutcome], payloads: Mapping[UUID, object]
) -> list[ImportProblem]:
    """The rows that failed, with reasons; `payloads` has the cells by signal."""
    failed = {outcome.signal_id: outcome for outcome in outcomes if outcome.outcome == "failed"}
    return [
        _problem(signal, failed[signal.signal_id], payloads.get(signal.signal_id))
        for signal in due
        if signal.signal_id in failed
    ]


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
